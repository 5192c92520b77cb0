"""Where a worker trains: devices, how many runs fit together, threads, files."""

from dataclasses import dataclass
from pathlib import Path

import torch

from dfgctl.devices import device_name
from dfgctl.errors import InputError, WorkersFailedError, first_line
from dfgctl.numerics import precisions


@dataclass(frozen=True)
class Place:
    """Where a worker trains, and where it reads and writes files.

    Attributes:
        device: the device.
        pack: runs of a pack at the most; None for as many as are worth it and fit.
        data_dir: the data directory.
        checkpoint_every: steps between checkpoints; None for as often as costs next to nothing, 0
            for none but when asked to stop.
        deterministic: whether a GPU, too, gives the same bits each time.
    """

    device: torch.device
    pack: int | None
    data_dir: Path
    checkpoint_every: int | None = None
    deterministic: bool = False

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that the device can compute in."""
        return precisions(self.device)

    @property
    def device_name(self) -> str:
        """The device in words."""
        return device_name(self.device)


def check_usable(error: str, device_name: str) -> None:
    """See whether an error leaves a device usable.

    Raises:
        WorkersFailedError: this process can do nothing more on it.
    """
    if "CUDA error" in error:
        raise WorkersFailedError(
            f"{device_name} can no longer be used by this process ({first_line(error)}): type the "
            "command again to go on."
        )


def choose_device(name: str) -> torch.device:
    """Read ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if (
        kind not in ("cpu", "cuda")
        or (colon and not index.isdecimal())
        or (kind == "cpu" and colon)
    ):
        raise InputError(f"Unknown device '{name}': it is auto, cpu, cuda or cuda:0.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here: use --device cpu (or auto).")
    if index and int(index) >= torch.cuda.device_count():
        raise InputError(
            f"There is no device {name}: there are cuda:0 to cuda:{torch.cuda.device_count() - 1}."
        )
    return torch.device(name)


def shared_out(name: str, workers: int | None) -> list[str]:
    """Return the device of each worker: one worker a device, or so many over all devices.

    Args:
        name: ``auto`` and ``cuda`` mean all CUDA devices where there are any.
        workers: how many workers; None for one a device.

    Raises:
        InputError: there is no such device.
    """
    device = choose_device(name)
    names = [name if name != "auto" else device.type]
    if device.type == "cuda" and device.index is None:
        names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [names[i % len(names)] for i in range(workers or len(names))]
