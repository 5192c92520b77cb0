"""Counts the multiplications and additions of a piece of training."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Self

import torch
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

aten = torch.ops.aten


def count(work: Callable[[], object]) -> int:
    """Return the FLOP of what a function does: convolutions and products of matrices.

    They are counted as PyTorch is called, backward passes and second derivatives (a penalty's, in a
    method of one's own) included, which is how many are done. Checked by hand: for a convolution of
    U FLOP in the forward pass, the gradient of either argument is U more, and a penalty on one's
    norm takes 4 U; but where the stride leaves a rest at the border, PyTorch makes that of a filter
    of k x k for one of (k + 1) x (k + 1) and cuts it down, and this is done, and counted.

    Left out, as PyTorch's own counter does, is all that works element by element: activations,
    batch norm, pooling, losses, random numbers, optimisers, the gather of a batch.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_GROUPED)
    counter.mod_tracker = _NoModules()
    with counter:
        work()
    return int(counter.get_total_flops())


class _NoModules(ModuleTracker):
    """Attributes nothing to modules: its hooks refuse the gradient of a leaf, as in a penalty."""

    def __enter__(self) -> Self:
        self.parents = {"Global"}
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _convolution_backward(
    grad_out: Sequence[int], x: Sequence[int], w: Sequence[int], *args: Any, **named: Any
) -> int:
    """Count the gradients of a convolution: each that is asked for costs what the forward did.

    PyTorch's own formula counts the filters' gradient once for each pair of groups, and a pack's
    convolutions are grouped.
    """
    # bias, stride, padding, dilation, transposed, output padding, groups, output mask
    transposed, mask = args[4], args[7]
    positions = (x if transposed else grad_out)[2:]
    forward: int = 2 * prod(positions) * x[0] * prod(w)
    return forward * (int(mask[0]) + int(mask[1]))


_GROUPED = {aten.convolution_backward: _convolution_backward}
