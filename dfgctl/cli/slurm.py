"""``dfgctl run --launcher slurm`` and ``dry-run``: submit workers to Slurm, and watch them."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfgctl.cli.output import err, escape
from dfgctl.errors import InputError, StoppedError, WorkersFailedError

if TYPE_CHECKING:
    from dfgctl.cli.launching import Launch
    from dfgctl.dispatch.cluster import State
    from dfgctl.dispatch.plan import Plan
    from dfgctl.dispatch.slurm import SlurmJob
    from dfgctl.dispatch.stopping import Stop
    from dfgctl.registry import Registry

PANEL = "Slurm"
"""The panel of ``--help`` with these options."""

PartitionOption = Annotated[
    str | None,
    typer.Option(help="Slurm's partition. \\[default: the cluster's]", rich_help_panel=PANEL),
]
TimeOption = Annotated[
    str | None,
    typer.Option(
        help="A job's time limit: minutes, HH:MM:SS or D-HH:MM:SS. A job that reaches it writes "
        "checkpoints and queues up again. \\[default: 4:00:00]",
        rich_help_panel=PANEL,
    ),
]
GresOption = Annotated[
    str | None, typer.Option(help="What a job needs, such as gpu:1.", rich_help_panel=PANEL)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Any option of sbatch, such as mem=16G or exclusive; may be repeated.",
        rich_help_panel=PANEL,
    ),
]
SetupOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A line of shell before the worker starts, such as 'module load cuda'; may be "
        "repeated.",
        rich_help_panel=PANEL,
    ),
]

ASK_SECONDS = 10.0
"""Time between questions to Slurm about jobs."""

SURE_SECONDS = 2.0
"""Time between the two questions whose answers must both be that all jobs have ended."""

TAIL = 16_384
"""Bytes of a log in which its last line is looked for."""


def check(launch: "Launch") -> None:
    """Check what can be before anything is planned.

    Raises:
        InputError: an option cannot be read, a program is missing, or Slurm's nodes could not
            share the registry.
    """
    from dfgctl.dispatch.cluster import is_this_machine
    from dfgctl.dispatch.slurm import check_sbatch, check_submitit
    from dfgctl.registry.engine import registry_url, sqlite_path

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", launch.device):
        raise InputError(f"Unknown device '{launch.device}': it is auto, cpu, cuda or cuda:0.")
    launch.slurm.parameters()
    check_submitit()
    if launch.launcher == "dry-run":
        return
    check_sbatch()
    shared = sqlite_path(registry_url(launch.registry)) is None
    if not shared and not is_this_machine(launch.slurm.partition):
        raise InputError(
            "Slurm's nodes are other machines, which cannot share an SQLite registry: name a "
            "PostgreSQL one, --registry postgresql://host/name (pip install 'dfgctl[postgres]')."
        )


def show_submission(
    launch: "Launch", plan: "Plan", store: "Registry | None", folder: Path, force: bool
) -> None:
    """Print what would be submitted.

    Args:
        launch: how runs get trained.
        plan: the plan.
        store: the registry, where there is one.
        folder: where results lie.
        force: whether runs that have ended count as missing.
    """
    from dfgctl.cli.names import counted
    from dfgctl.dispatch.slurm import submission

    known = store.runs(r.id for r in plan.runs) if store else []
    ended = {r.id for r in known if r.ended and not force}
    missing = [r for r in plan.runs if r.id not in ended]
    if not missing:
        err().print("All are finished already: nothing would be submitted.")
        return
    count = launch.workers or 1
    typer.echo(submission(launch.slurm, folder / "slurm", count), nl=False)
    words = launch.job("PLAN", launch.device).command("slurm JOB")[3:]
    console = err()
    console.print(
        f"{counted(count, 'job')} for {counted(len(missing), 'run')}. Each is one worker: dfgctl "
        f"{escape(' '.join(words))}",
        soft_wrap=True,
    )
    console.print("The registry travels in the environment, as DFGCTL_REGISTRY.")


def submitted(launch: "Launch", store: "Registry", plan: str, missing: int) -> bool:
    """Submit workers to Slurm, and wait for their plan unless that is not wanted.

    Args:
        launch: how.
        store: the registry.
        plan: the plan's id.
        missing: how many of its runs are still to be trained.

    Returns:
        Whether they have ended; False where they go on without this command.

    Raises:
        StoppedError: a stop was asked for; the jobs go on.
        WorkersFailedError: all jobs have ended, and runs are left.
        InputError: Slurm refuses them.
    """
    from dfgctl.cli.names import counted
    from dfgctl.dispatch.slurm import submit
    from dfgctl.dispatch.stopping import Stop

    stop = Stop()
    with stop.listening():
        job = launch.job(plan, launch.device)
        jobs = submit(job, launch.slurm, store.folder / "slurm", launch.workers or 1)
        console = err()
        console.print(f"{counted(len(jobs), 'job')} submitted to Slurm:")
        for one in jobs:
            console.print(f"  job {one.id}, log {escape(str(one.log))}", soft_wrap=True)
        if launch.detach:
            console.print("Look on: dfgctl runs watch")
            return False
        _watch(jobs, store, plan, missing, stop)
    if stop.reason is not None:
        numbers = " ".join(dict.fromkeys(one.id.partition("_")[0] for one in jobs))
        raise StoppedError(
            "The jobs go on without this command. Look on: dfgctl runs watch. To end them: scancel "
            f"{numbers}, which puts their runs back, and dfgctl runs cancel for what is queued.",
            stop.reason,
        )
    return True


def _watch(
    jobs: "Sequence[SlurmJob]", store: "Registry", plan: str, missing: int, stop: "Stop"
) -> None:
    """Watch a plan until its runs have ended, a stop is asked for, or all jobs are gone."""
    from dfgctl.cli.launching import patient
    from dfgctl.cli.watch import LOOK_SECONDS, Watch, watched
    from dfgctl.dispatch.cluster import states

    watch = patient(store, Watch(store, plan, missing))
    ids = [job.id for job in jobs]
    found: Mapping[str, State] = {}
    said, ended, due = "", 0, time.monotonic()

    def more() -> bool:
        nonlocal found, said, ended, due
        if stop.reason is not None or not watch.busy:
            return False
        # The registry was looked at after Slurm's answer: what ended in between is seen.
        if ended > 1 and not watch.counts["running"]:
            raise WorkersFailedError(_left(jobs, found, watch.counts["queued"]))
        if time.monotonic() >= due:
            if (answer := states(ids)) is not None:
                found = answer
                ended = ended + 1 if all(state.ended for state in found.values()) else 0
                if (line := f"Slurm: {_counted(found)}") != said:
                    watch.news.append(line)
                    said = line
            due = time.monotonic() + (SURE_SECONDS if ended else ASK_SECONDS)
        stop.wait(LOOK_SECONDS)
        return True

    watched(watch, more)


def _counted(found: "Mapping[str, State]") -> str:
    kinds = Counter(map(str, found.values()))
    return ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))


def _left(jobs: "Sequence[SlurmJob]", found: "Mapping[str, State]", queued: int) -> str:
    """Say that no job is left to train what is queued, and what the likeliest log says last."""
    from dfgctl.cli.names import counted

    fine = {"COMPLETED", "CANCELLED"}
    job = min(jobs, key=lambda job: found[job.id].name in fine)
    word = last_line(job.log)
    what = f"the log of job {job.id} ends in '{word}'" if word else f"job {job.id} left no log"
    return (
        f"All Slurm jobs have ended ({_counted(found)}), and {counted(queued, 'run')} of the plan "
        f"are still queued: {what} ({job.log}). Type the command again to go on."
    )


def last_line(log: Path) -> str:
    """Return the last line of a job's log that says something, without what goes with any end."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    usual = ("srun:", "submitit ")
    telling = [line.strip() for line in lines if line.strip() and not line.startswith(usual)]
    return telling[-1] if telling else ""
