"""Weights as they lie in files: read, named as E's and C's, and divided anew for another split."""

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dfgctl.errors import InputError
from dfgctl.networks.backbones import Backbone

PICKLED = (".pth", ".pt")
"""Endings of files that ``torch.save`` wrote."""

OWN_STREAM = (".key", ".count")
"""How the names of a dropout's state end, which is a run's own and never the source's."""


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a .pth or .pt file without running its pickles.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if path.suffix not in PICKLED:
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        state = content.get("state_dict", content)
        return {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    except (OSError, SafetensorError) as error:
        kind = "weights" if path.suffix in PICKLED else "safetensors"
        raise InputError(
            f"{path} cannot be read as {kind} ({error}): name a file of weights that dfgctl "
            "wrote, e.g. results/weights/ID.1.safetensors."
        ) from error
    except Exception as error:  # torch.load raises what the pickle makes it raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path} cannot be read as weights ({reason}): name a state dict, as torchvision's "
            "files are, or a file of safetensors."
        ) from error


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of names, shapes and numbers."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def divided(
    state: Mapping[str, Tensor], backbone: Backbone
) -> tuple[dict[str, Tensor], int] | None:
    """Name weights as a backbone's E and C (``E.conv1.weight``, ...), however they were named.

    Args:
        state: weights with these names, with those of another split, or with torchvision's.
        backbone: the network.

    Returns:
        The weights and their number of classes; None if they are not this network's.
    """
    if any(name.startswith(("E.", "C.")) for name in state):
        state = {n: t for n, t in state.items() if n.startswith(("E.", "C."))}
    for plain in (False, True):
        found = _renamed(state, backbone) if plain else dict(state)
        head = found.get(f"C.{backbone.head}.bias")
        classes = len(head) if head is not None and head.dim() == 1 else 0
        if not classes:
            continue
        expected = {
            name: shape
            for name, shape in backbone.expected(classes).items()
            if not name.endswith(OWN_STREAM)
        }
        kept = {n: t for n, t in found.items() if not n.endswith(OWN_STREAM)}
        for name in expected:  # which files of an old PyTorch lack
            if name.endswith(".num_batches_tracked"):
                kept.setdefault(name, torch.zeros((), dtype=torch.int64))
        if expected == {name: tuple(tensor.shape) for name, tensor in kept.items()}:
            return kept, classes
    return None


def _renamed(state: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Give each weight the part that has it, whatever part it was in."""
    names = tuple(backbone.expected(1))
    parts = {name[2:]: name for name in names}
    if len(parts) < len(names):
        return {}  # E and C share names, so that these alone do not tell
    plain = {name.removeprefix("E.").removeprefix("C."): t for name, t in state.items()}
    return {parts.get(name, name): tensor for name, tensor in plain.items()}


def write(
    target: Path,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    durable: bool = False,
) -> None:
    """Write a safetensors file beside its place and move it there, so that it is never half.

    Args:
        target: the file.
        state: what it holds.
        metadata: what its header holds beside.
        durable: whether to wait until it is on the disk, so that it outlives a loss of power.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        beside.touch()
        mode = beside.stat().st_mode  # as the user's umask wants it; safetensors makes it private
        save_file(dict(state), beside, dict(metadata) if metadata else None)
        beside.chmod(mode)
        if durable:
            _sync(beside)
        beside.replace(target)
        if durable:
            for folder in (target.parent, target.parent.parent):
                with contextlib.suppress(OSError):  # not every file system can
                    _sync(folder)
    except SafetensorError as error:
        # The library says the system's number in words only.
        if code := re.search(r"os error (\d+)", str(error)):
            number = int(code[1])
            raise OSError(number, os.strerror(number), str(target)) from error
        raise OSError(f"{target} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
