"""The convolutions of a pack: the library's grouped ones, or matrix products, whichever is faster.

A network in a pack has weights of its own, so ``vmap`` makes of one convolution of R networks one
with R groups, which libraries often run badly. The same numbers, to rounding, come from matrix
products over the windows of the images. Which is faster depends on the device, the library and the
shapes: on a GPU both are timed once for each shape, like cuDNN's own benchmark.
"""

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dfgctl.devices import is_memory

RUNS = 10
"""Times that a convolution is run to time it."""


@dataclass(frozen=True)
class Shape:
    """What a convolution of a pack is: all that decides how fast it is.

    Attributes:
        replicas: R.
        images: of its input, (B, C, H, W).
        weight: of its kernels; (out, in, k, k), of a transposed one (in, out, k, k).
        stride: its stride.
        padding: its padding.
        output_padding: of a transposed one; None for one that is not.
        dtype: the type that it computes in.
        device: where.
        rounding: of float32 factors, ``ieee`` or ``tf32``.
        learned: whether gradients are computed.
    """

    replicas: int
    images: tuple[int, ...]
    weight: tuple[int, ...]
    stride: int
    padding: int
    output_padding: int | None
    dtype: torch.dtype
    device: torch.device
    rounding: str = "ieee"
    learned: bool = True

    def by_library(self, x: Tensor, weight: Tensor) -> Tensor:
        """Compute it for one network as PyTorch does."""
        if self.output_padding is None:
            return F.conv2d(x, weight, None, self.stride, self.padding)
        sizes = (self.stride, self.padding, self.output_padding)
        return F.conv_transpose2d(x, weight, None, *sizes)

    def by_products(self, x: Tensor, weight: Tensor) -> Tensor:
        """Compute it for one network by one matrix product over all windows."""
        kernel = weight.shape[2]
        flat = weight.flatten(1)
        if self.output_padding is None:
            padded = F.pad(x, (self.padding,) * 4)
            windows = padded.unfold(2, kernel, self.stride).unfold(3, kernel, self.stride)
            rows = windows.permute(0, 2, 3, 1, 4, 5)  # (B, H', W', C, k, k)
            product = rows.flatten(3).flatten(0, 2) @ flat.t()  # (B H' W', out)
            return product.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)
        rows = x.permute(0, 2, 3, 1)  # (B, H, W, in)
        product = rows.flatten(0, 2) @ flat  # (B H W, out k k)
        windows = product.view(x.shape[0], -1, product.shape[1]).transpose(
            1, 2
        )  # (B, out k k, H W)
        height, width = (
            (size - 1) * self.stride - 2 * self.padding + kernel + self.output_padding
            for size in x.shape[2:]
        )
        return F.fold(windows, (height, width), kernel, padding=self.padding, stride=self.stride)

    def times(self) -> dict[str, float]:
        """Return the seconds that each way takes; infinite for one that there is no memory for."""
        ways = {"library": self.by_library, "products": self.by_products}
        taken = {name: self._time(way) for name, way in ways.items()}
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return taken

    def _time(self, way: Callable[[Tensor, Tensor], Tensor]) -> float:
        # Numbers do not matter, and a global generator is not to be moved: checkpoints look at it.
        x, w = (
            torch.ones(self.replicas, *size, dtype=self.dtype, device=self.device)
            for size in (self.images, self.weight)
        )
        inputs = (x.requires_grad_(self.learned), w.requires_grad_(self.learned))

        def run() -> None:
            output = torch.vmap(way)(*inputs)
            if self.learned:
                torch.autograd.grad(output.sum(), inputs)

        try:
            run()  # the first call sets things up
            return min(self._seconds(run) for _ in range(RUNS))
        except RuntimeError as error:
            if not is_memory(error):
                raise
            return math.inf

    def _seconds(self, run: Callable[[], None]) -> float:
        start = time.perf_counter()
        run()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - start


_chosen: dict[Shape, str] = {}


def chosen() -> Mapping[Shape, str]:
    """Return how each convolution that was met so far is computed: ``library`` or ``products``."""
    return dict(_chosen)


class Convolutions(TorchFunctionMode):
    """Computes the convolutions of R networks, called under ``vmap``, in the faster way.

    On a CPU that is the library's; with deterministic algorithms it is always products, since what
    is timed may come out otherwise the next time.

    Args:
        replicas: R.
    """

    def __init__(self, replicas: int) -> None:
        super().__init__()
        self.replicas = replicas

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute a convolution in the way that is chosen, and all else as it is."""
        kwargs = kwargs or {}
        if func not in (F.conv2d, F.conv_transpose2d):
            return func(*args, **kwargs)
        found = self._shape(func is F.conv_transpose2d, *args, **kwargs)
        if found is None or self._way(found) == "library":
            return func(*args, **kwargs)
        x, weight, *rest = args
        bias = rest[0] if rest else kwargs.get("bias")
        output = found.by_products(x.to(found.dtype), weight.to(found.dtype))
        return output if bias is None else output + bias.to(found.dtype)[:, None, None]

    def _shape(self, transposed: bool, x: Tensor, *rest: Any, **more: Any) -> Shape | None:
        """Return a convolution's shape; None for one that is always the library's."""
        return None if x.device.type == "cpu" else self._read(transposed, x, *rest, **more)

    def _read(
        self,
        transposed: bool,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        *rest: Any,
        **more: Any,
    ) -> Shape | None:
        """Return a convolution's shape; None for one that products do not cover."""
        names = ("output_padding", "groups", "dilation") if transposed else ("dilation", "groups")
        given = {**dict(zip(names, rest, strict=False)), **more}
        single = [_single(v) for v in (stride, padding, given.get("output_padding", 0))]
        plain = given.get("groups", 1) == 1 and _single(given.get("dilation", 1)) == 1
        if not plain or None in single or weight.shape[2] != weight.shape[3]:
            return None
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        return Shape(
            self.replicas,
            tuple(x.shape),
            tuple(weight.shape),
            single[0] or 0,
            single[1] or 0,
            single[2] if transposed else None,
            dtype,
            x.device,
            torch.backends.cuda.matmul.fp32_precision,
            torch.is_grad_enabled(),
        )

    def _way(self, shape: Shape) -> str:
        if torch.are_deterministic_algorithms_enabled():
            return "products"
        if shape not in _chosen:
            if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
                return "library"  # nothing can be timed now
            # In a thread of its own: modes and vmap belong to the thread.
            with ThreadPoolExecutor(1) as pool:
                taken = pool.submit(shape.times).result()
            _chosen[shape] = min(taken, key=taken.__getitem__)
        return _chosen[shape]


def _single(value: Any) -> int | None:
    """Return the number that a pair repeats; None where it is none."""
    if isinstance(value, int):
        return value
    if isinstance(value, tuple | list) and len(set(value)) == 1:
        return int(value[0])
    return None
