"""Does all of a piece of training but what takes long, for who wants its shapes and no numbers."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten

COSTLY = {
    *(aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default),
    *(aten.convolution.default, aten.convolution_backward.default),
    *(aten.native_batch_norm.default, aten.native_batch_norm_backward.default),
    *(aten._native_batch_norm_legit.default, aten._native_batch_norm_legit_no_training.default),
    aten.threshold_backward.default,
}
"""Products, convolutions, batch norms: their results are zeros of the right shapes."""

UPDATES = {aten._fused_adam_.default, aten._fused_sgd_.default, aten.relu_.default}
"""They leave what they would change as it is."""


class Sketch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, what is costly gives zeros, and fused optimisers change nothing."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do an operator, or give zeros of what it would give."""
        kwargs = kwargs or {}
        if func in UPDATES:
            return args[0] if isinstance(args[0], Tensor) else None
        if func not in COSTLY:
            return func(*args, **kwargs)
        shapes = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        device = next(value.device for value in args if isinstance(value, Tensor))
        made = func(*shapes[0], **shapes[1])
        return tree_map_only(Tensor, lambda meta: torch.zeros_like(meta, device=device), made)
