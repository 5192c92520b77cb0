"""The ledger's rows, as data."""

from dataclasses import dataclass

_DFG = ("dfg",)


@dataclass(frozen=True)
class Entry:
    """A row of the ledger.

    Attributes:
        id: its stable id.
        what: what it is about.
        paper: the reading of protocol ``paper``, which is the default.
        released: the reading of protocol ``released``; None where there is only one reading.
        methods: methods whose runs it changes; empty for all of ours.
        backbones: networks on which it matters; empty for all.
    """

    id: str
    what: str
    paper: str
    released: str | None = None
    methods: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()

    @property
    def switch(self) -> bool:
        """Whether there are two readings to choose from."""
        return self.released is not None

    def touches(self, method: str, backbone: str) -> bool:
        """Say whether the row can change a run of this method on this network."""
        return (not self.methods or method in self.methods) and (
            not self.backbones or backbone in self.backbones
        )


LEDGER: tuple[Entry, ...] = (
    Entry(
        "F01",
        "Sign of a filter's weight (Eq. 5)",
        "loss without filter j minus loss with it, then softmax over the filters",
        "the opposite sign for E's filters, in Eq. 5 and in DFG's regulariser of E; the DELTA "
        "weights of C's filters keep the paper's",
        _DFG,
    ),
    Entry(
        "F02",
        "Removing a filter",
        "its weights are set to zero, its bias (and the batch norm after it) stays",
        None,
        _DFG,
    ),
    Entry(
        "F03",
        "Threshold delta",
        "after Eq. 6 has scaled a class's mean to 1: keep W > delta, on the mix of Eq. 7 (section "
        "3.2; Algorithm 1 prints delta/n_l and tests the target's weight)",
        "two constants: 0.90 for the first weights, 0.95 for later ones, whatever delta is",
        _DFG,
    ),
    Entry(
        "F04",
        "Scale after the threshold",
        "weights keep a mean of about 1 (Eq. 6 multiplies by n_f)",
        "divided by n_f again, so that kept weights are about 1/n_f",
        _DFG,
    ),
    Entry(
        "F05",
        "Where the weight enters (Eq. 9)",
        "norm[W* . tanh(...)]: before the last batch norm, where a switched-off map is a constant",
        "after the last batch norm",
        _DFG,
    ),
    Entry(
        "F06",
        "rho (Eq. 7)",
        "W = rho W_source + (1 - rho) W_target, thresholded",
        "the mix is thrown away and the target's weights alone are used, so rho has no effect",
        _DFG,
    ),
    Entry(
        "F07",
        "When the weights are updated",
        "every n_W steps",
        "every n_W steps if E's last loss, with its regulariser, was below 0.05 (it may never be)",
        _DFG,
    ),
    Entry(
        "F08",
        "Leaky ReLU in G and D",
        "slope 0.2 (DCGAN's; the paper gives none)",
        "slope 1.0, the identity: the critic is affine",
        _DFG,
    ),
    Entry(
        "F09",
        "LeNet-5's dense layers",
        "400-120-84-K (Table A1)",
        "400-1024-128-K",
        (),
        ("lenet5",),
    ),
    Entry(
        "F10",
        "Critic loss (Eq. 1)",
        "mean D(G) - mean D(E) + lambda GP; the paper prints the two signs swapped",
        None,
        _DFG,
    ),
    Entry(
        "F11",
        "E and C on real data",
        "E by Eq. 3, C by Eq. 4a, each once, each with its own regulariser",
        "one joint loss: cross-entropy counted twice; C's feature distance reaches E too, E's "
        "reaches only E, the L2 term only the last layer",
        _DFG,
    ),
    Entry(
        "F12",
        "Real batches for the critic",
        "n_D fresh batches a step (Algorithm 1, lines 6 to 8), and one for lines 11 to 20",
        "a window of n_D batches; a step drops the oldest, which lines 11 to 20 use, and draws one",
        _DFG,
    ),
    Entry(
        "F13",
        "Images for Eq. 5 and 6",
        "all n_c images of the class, as far as dfg.weight_images allows",
        "the first 10 of each class in a shuffled pass, anew at each update",
        _DFG,
    ),
    Entry(
        "F14",
        "What is reported",
        "the last step's accuracy; the best is kept too",
        "the best test accuracy of all evaluations, while the last weights are saved",
    ),
    Entry(
        "F15",
        "Majority classes",
        "every combination in turn",
        "drawn anew by each program: a repeat's are drawn at random, and the first filter weights "
        "see others than the training does",
        _DFG,
    ),
    Entry(
        "F16",
        "Which images a class keeps",
        "a seeded sample",
        "the first in file order",
    ),
    Entry(
        "F17",
        "Images and head for the source's filter weights",
        "the target's training images (section 3.2 could also mean the source's own); the source's "
        "own head where it has as many classes, else a new head trained alone first (SGD, 10 "
        "epochs), as DELTA does",
        None,
        ("delta", "dfg"),
    ),
    Entry(
        "F18",
        "Regularisers in E and C",
        "DELTA's, with the released strengths: alpha = beta = 0.01, a sum over the batch, "
        "softmax(w/5) of standardised channel weights",
        None,
        ("delta", "dfg"),
    ),
    Entry(
        "F19",
        "Layers that DELTA compares",
        "the convolution's own output, before the ReLU (LeNet-5 conv2; VGG-16 the last of block "
        "5), and E's output",
        "after the ReLU, which overwrites in place what was captured",
        ("delta", "dfg"),
        ("lenet5", "vgg16"),
    ),
    Entry(
        "F20",
        "Noise",
        "uniform on [-1, 1], 100 numbers (ResNet-50: 4,900), with the class one-hot; labels "
        "uniform over the classes",
        None,
        _DFG,
    ),
    Entry(
        "F21",
        "G's and D's biases",
        "none in any (transposed) convolution, one in the dense layers",
        None,
        _DFG,
    ),
    Entry(
        "F22",
        "Head after loading source weights",
        "a new one for ResNet-50 and wherever class counts differ; else the source's",
        None,
        ("finetune", "delta", "difa", "dfg"),
    ),
    Entry(
        "F23",
        "Gradient penalty",
        "lambda = 10, one interpolation weight an image",
        "the same, with 1e-16 added to the gradient",
        _DFG,
    ),
    Entry(
        "F24",
        "Order inside G's hidden layers",
        "transposed convolution, leaky ReLU, batch norm (Tables A2, A4, A6)",
        "transposed convolution, batch norm, leaky ReLU",
        _DFG,
    ),
    Entry(
        "F25",
        "Algorithm 1's blocks",
        "lines 14 to 17 belong to n_C1, 19 and 20 to n_C2, 21 to 25 to n_W",
        None,
        _DFG,
    ),
    Entry(
        "F26",
        "Eq. 4's second term",
        "L_C^g (4b); Eq. 4 prints L_C^r twice",
        None,
        _DFG,
    ),
    Entry(
        "F27",
        "Dropout in VGG-16's head",
        "none (Table A3)",
        "0.5 twice",
        (),
        ("vgg16",),
    ),
    Entry(
        "F28",
        "Mode of E and C while filters are weighed",
        "evaluation mode",
        "training mode after the first weights: dropout on, batch-norm statistics moved by the "
        "ablated passes",
        _DFG,
        ("vgg16", "resnet50"),
    ),
    Entry(
        "F29",
        "ResNet-50's test images",
        "256, centre crop 224 (the paper is silent)",
        "256, uncropped",
        (),
        ("resnet50",),
    ),
    Entry(
        "F30",
        "Settings",
        "appendix A (n_W 5,000 for LeNet-5 and VGG-16; E's rate for ResNet-50, not given, is C's); "
        "the released defaults (E and C at 1e-4, n_C1 1, n_C2 5, n_W 2,000, 40,000 steps) fit none "
        "of its six data sets, and the released training scripts are not to be had",
    ),
    Entry(
        "N01",
        "DIFA + cMWGAN's architecture and settings",
        "not given in the paper: ours is an interpretation (see the method difa), and its size is "
        "not Table 4's",
        None,
        ("difa",),
    ),
    Entry(
        "N02",
        "What the released code does besides, and protocol released does not",
        "new noise for each of a step's updates of G and C (here that of line 10 serves), steps "
        "counted from 0, W >= the threshold, filters weighed on cropped and flipped images (here "
        "their centres), the regulariser's weights of E's filters from ten images a class (here "
        "four batches), PyTorch's own first weights of G and D (here Xavier's and He's, as "
        "appendix A has them), ResNet-50's rates falling after half of all steps",
        None,
        _DFG,
    ),
    Entry(
        "N03",
        "Batch norms of ResNet-50's E and C",
        "their statistics move in every pass of a training step, generated and joint features "
        "included, as in the released code; the paper is silent",
        None,
        _DFG,
        ("resnet50",),
    ),
)
