"""How numbers are computed: in which precision, and on a GPU whether bit for bit the same again.

All of it is global in PyTorch, so both are context managers that set back what was before.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dfgctl.errors import InputError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The variable that makes cuBLAS deterministic; cuBLAS reads it when it starts."""

WORKSPACES = (":4096:8", ":16:8")
"""Values of it that do so; the first one costs no speed."""

AMPERE = (8, 0)
"""The first compute capability with TF32 and bfloat16."""

NEEDS = {
    "tf32": "an NVIDIA GPU of compute capability 8.0 (A100) or newer",
    "bf16": "a CPU, or a GPU that knows bfloat16 (NVIDIA's since A100)",
}


@contextmanager
def numerics(device: torch.device, precision: str = "fp32") -> Iterator[None]:
    """Compute in a precision while the block runs.

    - ``fp32``: float32 and no less. TF32 is off, which cuDNN's convolutions else use by default.
    - ``tf32``: matrix products and convolutions of float32 tensors round their factors to TF32
      (10 bits of mantissa) and add up in float32.
    - ``bf16``: autocast. Matrix products and convolutions take and give bfloat16 (7 bits);
      parameters, gradients, the optimiser's state and losses stay float32.

    Blocks may be nested; float64 tensors are left alone.

    Args:
        device: where the block computes; settings of other devices stay.
        precision: one of ``records.PRECISIONS`` that the device has (``check_precision``).
    """
    rounding = _rounding("tf32" if precision == "tf32" else "ieee", device)
    with rounding, _autocast(device.type, precision == "bf16"):
        yield


def precisions(device: torch.device) -> tuple[str, ...]:
    """Return the precisions that a device can compute in; a CPU may have to emulate bfloat16."""
    if device.type != "cuda":
        return ("fp32", "bf16")
    if torch.version.hip is not None:
        return ("fp32", "bf16")
    if torch.cuda.get_device_capability(device) >= AMPERE:
        return ("fp32", "tf32", "bf16")
    return ("fp32",)


def check_precision(device: torch.device, precision: str) -> None:
    """See whether a device can compute in a precision.

    Raises:
        InputError: it cannot.
    """
    if precision == "fp32" or precision in precisions(device):
        return
    if precision not in NEEDS:
        raise InputError(f"This dfgctl does not know the precision '{precision}': upgrade it.")
    raise InputError(
        f"--precision {precision} needs {NEEDS[precision]}, not {device}: choose another "
        "--device, or another precision (fp32 is the default)."
    )


@contextmanager
def _rounding(how: str, device: torch.device) -> Iterator[None]:
    """Say how a GPU rounds the factors of float32 products: ``tf32``, or ``ieee`` for not."""
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    settings: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = how
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


def _autocast(device_type: str, wanted: bool) -> AbstractContextManager[Any]:
    if not wanted and not torch.is_autocast_enabled(device_type):
        return nullcontext()
    # Its cache would hold weights as they were before an optimiser's step inside the block, and
    # what is cached in a graph's capture is gone when it is replayed.
    return torch.autocast(device_type, torch.bfloat16, enabled=wanted, cache_enabled=False)


class _Cast(TorchFunctionMode):
    """Does to layers what autocast does, before ``torch.vmap`` takes them apart.

    Under vmap a batch norm takes no other type than that of its statistics, float32.
    """

    LOWERED = frozenset({F.conv2d, F.conv_transpose2d, F.linear})

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.LOWERED:
            args = _cast(args, torch.float32, self.dtype)
            kwargs = dict(
                zip(kwargs, _cast(kwargs.values(), torch.float32, self.dtype), strict=True)
            )
        elif func is F.batch_norm:
            args = _cast(args, self.dtype, torch.float32)
        return func(*args, **kwargs)


def _cast(values: Iterable[Any], old: torch.dtype, new: torch.dtype) -> tuple[Any, ...]:
    return tuple(
        value.to(new) if isinstance(value, Tensor) and value.dtype is old else value
        for value in values
    )


def inside_vmap(device: torch.device) -> AbstractContextManager[Any]:
    """Let autocast hold under ``torch.vmap``, which takes layers apart before autocast sees them.

    Without it a pack of one would round its convolutions, and a larger pack on the CPU would not.
    """
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return _Cast(torch.get_autocast_dtype(device.type))


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use only operations that give the same bits each time, while the block runs.

    On a CPU all of ours do so anyway. cuBLAS must not have started in this process before.

    Args:
        wanted: whether to; if not, all is left as it is.
    """
    if not wanted:
        yield
        return
    cudnn: Any = torch.backends.cudnn
    flags = (cudnn.deterministic, cudnn.benchmark)
    mode = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    workspace = os.environ.get(WORKSPACE)
    if workspace not in WORKSPACES:
        os.environ[WORKSPACE] = WORKSPACES[0]
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.set_deterministic_debug_mode("error")
    # Nothing of ours reads memory before it is written; to fill it takes a kernel each time.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = filled
        cudnn.deterministic, cudnn.benchmark = flags
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
        else:
            os.environ[WORKSPACE] = workspace


def without_determinism(error: BaseException) -> str | None:
    """Return the operation that ``deterministic`` refused; None for any other error."""
    found = re.match(r"(\S+) does not have a deterministic implementation", str(error))
    return found[1] if found else None
