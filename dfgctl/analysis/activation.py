"""Class activation maps of a run's network (Fig. 3 and 4)."""

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dfgctl.analysis.trained import CPU, Trained
from dfgctl.lookup import backbone_of
from dfgctl.networks.resnet50 import Blocks
from dfgctl.numerics import numerics


def is_classic(trained: Trained) -> bool:
    """Say whether a network's maps are the classic ones: its head weighs the maps' plain means."""
    card = trained.classifier.card
    return isinstance(trained.classifier.C, Blocks) and not (card.bounded or card.cosine)


def probabilities(trained: Trained, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities of pictures (N, C, H, W) as they are loaded, (N, K)."""
    chunk = backbone_of(trained.run.spec).evaluation_chunk
    network = trained.classifier
    found = []
    with torch.no_grad(), numerics(CPU):
        for i in range(0, len(pixels), chunk):
            logits = network.C(network.E(trained.seen(pixels[i : i + chunk])))
            found.append(logits.softmax(1))
    result: NDArray[np.float32] = torch.cat(found).numpy()
    return result


def activation_maps(
    trained: Trained, pixels: NDArray[np.uint8], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return what speaks for a class, and where: maps without their negative part.

    ResNet-50: the classic map (Zhou et al. 2016), the last features (7 x 7) weighed by the head's
    row. Else Grad-CAM (Selvaraju et al. 2017) at the last convolution: LeNet-5 10 x 10, VGG-16 2 x
    2 at pictures of 32 x 32; and where the head does not weigh plain means (``difa``, ``ldam``).

    Args:
        trained: the run's networks.
        pixels: pictures (N, C, H, W) as they are loaded.
        classes: of which class each map is, (N,).

    Returns:
        (N, h, w) at the size of what the network sees, by bilinear interpolation.
    """
    chunk = backbone_of(trained.run.spec).evaluation_chunk
    make = _classic if is_classic(trained) else _grad_cam
    found = []
    for i in range(0, len(pixels), chunk):
        x = trained.seen(pixels[i : i + chunk])
        with numerics(CPU):
            maps = make(trained, x, torch.from_numpy(classes[i : i + chunk]))
        whole = F.interpolate(maps[:, None], x.shape[-2:], mode="bilinear", align_corners=False)
        found.append(whole[:, 0].clamp(min=0))
    result: NDArray[np.float32] = torch.cat(found).numpy()
    return result


@torch.no_grad()
def _classic(trained: Trained, x: Tensor, classes: Tensor) -> Tensor:
    """Weigh the last features by the head's row: (N, h, w), whose mean and bias are the logit."""
    C = cast(Blocks, trained.classifier.C)
    last, _ = C.through(trained.classifier.E(x), None, "", "")  # (N, 2048, 7, 7)
    rows = cast(nn.Linear, C.fc).weight[classes]  # (N, 2048)
    return torch.einsum("nc,nchw->nhw", rows, last)


def _grad_cam(trained: Trained, x: Tensor, classes: Tensor) -> Tensor:
    """Weigh the last convolution's output by its mean gradients: (N, h, w)."""
    from captum.attr import LayerGradCam

    network = trained.classifier
    name, entering = weighed(trained)
    cam = LayerGradCam(lambda images: network.C(network.E(images)), network.get_submodule(name))
    found: Tensor = cam.attribute(x, target=classes, attribute_to_layer_input=entering)
    return found.detach()[:, 0]


def weighed(trained: Trained) -> tuple[str, bool]:
    """Return the layer in E and C whose maps Grad-CAM weighs, and whether it is what enters it.

    A ResNet's are its last features, which enter the average pooling.
    """
    if isinstance(trained.classifier.C, Blocks):
        return "C.avgpool", True
    return f"C.{backbone_of(trained.run.spec).map_layers[-1]}", False
