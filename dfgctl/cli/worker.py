"""``dfgctl worker``: train what is queued in a registry."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli import complete
from dfgctl.cli.options import (
    DEFAULT_DATA,
    DEFAULT_REGISTRY,
    DataDirOption,
    RegistryOption,
    open_registry,
)
from dfgctl.cli.output import reported
from dfgctl.errors import InputError, RunsFailedError

if TYPE_CHECKING:
    from dfgctl.registry import Registry

EPILOG = (
    "Examples:  dfgctl worker   |   dfgctl worker --device cuda:1 --idle 600   |   "
    "dfgctl worker --registry postgresql://host/dfgctl"
)

PackOption = Annotated[
    str,
    typer.Option(
        help="Runs that are trained together: a number, or auto: on a GPU as many as its memory "
        "holds, elsewhere one."
    ),
]
CheckpointOption = Annotated[
    str,
    typer.Option(
        help="Steps between checkpoints; auto: as often as costs next to nothing; 0: only when "
        "stopped."
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:i.", autocompletion=complete.devices)
]
DeterministicOption = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Train bit for bit the same each time on a GPU, too, which is slower; a CPU always "
        "does.",
    ),
]


SLURM_IDLE = 45.0
"""Seconds that a Slurm job waits for runs to come back: longer than a lease."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker", epilog=EPILOG)(worker)


@reported
def worker(
    plan: Annotated[
        str | None, typer.Option(help="Only the runs of this plan. \\[default: all that is queued]")
    ] = None,
    device: DeviceOption = "auto",
    pack: PackOption = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. \\[default: PyTorch's choice]")
    ] = None,
    checkpoint_every: CheckpointOption = "auto",
    deterministic: DeterministicOption = False,
    idle: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for new runs when nothing is queued.")
    ] = 0.0,
    data_dir: DataDirOption = DEFAULT_DATA,
    registry: RegistryOption = DEFAULT_REGISTRY,
    launcher: Annotated[str, typer.Option(help="What started it.", hidden=True)] = "worker",
    log: Annotated[Path | None, typer.Option(help="Where its output goes.", hidden=True)] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when standard input ends.", hidden=True)
    ] = False,
) -> None:
    """Train the runs that are queued in a registry, until none is left.

    Any number of workers may share a registry; what one leaves, another takes up. Ctrl-C writes
    checkpoints and puts its runs back. Runs of a --precision that the device has not are left to
    others.
    """
    pack_size, every = pack_of(pack), every_of(checkpoint_every)
    store = open_registry(registry)
    if store is None:
        raise InputError(
            f"There is no registry at {registry}: queue runs with dfgctl run, or name the registry "
            "with --registry."
        )
    if store.read_only:
        raise InputError(f"{store.where} cannot be written: a worker needs to.")

    from dfgctl.dispatch.stopping import Stop

    stop = Stop()
    if with_parent:
        stop.with_parent(sys.stdin.fileno())
    # Before PyTorch is imported, which takes seconds: a signal must not find its default.
    with stop.listening(preempted=launcher.startswith("slurm")):
        _take_over(store, launcher)
        import torch

        from dfgctl.cli.live import watcher
        from dfgctl.dispatch.place import Place, choose_device
        from dfgctl.dispatch.worker import Worker

        if threads is not None:
            torch.set_num_threads(threads)
        place = Place(choose_device(device), pack_size, data_dir, every, deterministic)
        with watcher() as watch:
            made = Worker(
                store,
                place,
                watch,
                plan=plan,
                stop=stop,
                waits=launcher == "worker" or (launcher == "local" and not with_parent),
                # A job of Slurm's does not hold its device for others' runs, but takes up those of
                # a job that has just vanished.
                idle=max(idle, SLURM_IDLE) if launcher.startswith("slurm") else idle,
                strict=False,
                launcher=launcher,
                log=log,
            )
            made.work()
    if watch.failed and launcher == "worker":
        from dfgctl.cli.names import counted

        raise RunsFailedError(
            f"{counted(watch.failed, 'run')} failed: see dfgctl runs list --status failed."
        )


def _take_over(store: "Registry", launcher: str) -> None:
    """Return what earlier starts of a Slurm job had to the queue, without waiting for its lease.

    They are dead, or Slurm would not have started the job again.
    """
    if not launcher.startswith("slurm") or not int(os.environ.get("SLURM_RESTART_COUNT", "0")):
        return
    for earlier in store.workers(gone=True):
        if earlier.launcher == launcher and earlier.ended_at is None:
            store.lose(earlier.name, "Slurm ended its job, and started it again.")


def pack_of(text: str) -> int | None:
    """Read ``--pack``.

    Raises:
        InputError: it is neither auto nor a number.
    """
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--pack takes auto or a number of at least 1, not '{text}'.")
    return int(text)


def every_of(text: str) -> int | None:
    """Read ``--checkpoint-every``.

    Raises:
        InputError: it is neither auto nor a number.
    """
    if text == "auto":
        return None
    if not text.isdecimal():
        raise InputError(f"--checkpoint-every takes auto or a number of steps, not '{text}'.")
    return int(text)
