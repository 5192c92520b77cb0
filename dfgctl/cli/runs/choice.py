"""Which runs a command is about: the filters that several share, checked, and times."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfgctl.cli import complete
from dfgctl.cli.names import TOLD
from dfgctl.cli.options import open_registry
from dfgctl.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from dfgctl.registry import Registry

RunArgument = Annotated[
    str, typer.Argument(help="The run's id, or the start of it.", autocompletion=complete.runs)
]


def _several(offer: Any) -> Any:
    """Return the argument that takes several runs, with what a shell offers for it."""
    return typer.Argument(
        metavar="[RUN]...", help="Ids of runs, or the start of them.", autocompletion=offer
    )


RunsArgument = Annotated[list[str] | None, _several(complete.runs)]
PendingArgument = Annotated[list[str] | None, _several(complete.pending_runs)]
RetriableArgument = Annotated[list[str] | None, _several(complete.retriable_runs)]
DatasetFilter = Annotated[
    str | None,
    typer.Option("--dataset", help="Only of this data set.", autocompletion=complete.datasets),
]
MethodFilter = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="Only of this method, or of these: paper, rivals.",
        autocompletion=complete.several_methods,
    ),
]
StatusFilter = Annotated[
    str | None,
    typer.Option(
        "--status",
        help="Only in this state: queued, running, finished, failed, cancelled; or those that "
        "failed or are queued again after they diverged, were out-of-memory, lost, preempted or "
        "interrupted.",
        autocompletion=complete.statuses,
    ),
]
SinceFilter = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Only those begun since then: a date as 2026-11-20, a time as 2026-11-20T14:30 or "
        "14:30 (of this machine's time zone), or an age as 30min, 2h, 3d, 1w.",
    ),
]

UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Wanted:
    """Filters, checked: what ``Registry.runs`` and ``Registry.matching`` take."""

    dataset: str | None = None
    method: str | None = None
    status: str | None = None
    outcome: str | None = None
    since: datetime | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return dict(vars(self))

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return any(value is not None for value in self.filters.values())


def wanted(
    store: "Registry | None",
    dataset: str | None = None,
    method: str | None = None,
    status: str | None = None,
    since: str | None = None,
) -> Wanted:
    """Check filters.

    Args:
        store: the registry; None where there is none yet.
        dataset: name of a data set, known or with runs here.
        method: name of a method, likewise, or of a group of ours.
        status: a status, or an outcome that says more.
        since: a date, a time or an age.

    Raises:
        UnknownNameError: a name that is not known.
        InputError: what is no time.
    """
    from dfgctl import recipe
    from dfgctl.contenders import BUILT_IN, GROUPS
    from dfgctl.records import STATUSES

    if status is not None and status not in (*STATUSES, *TOLD):
        raise UnknownNameError("status", status, (*STATUSES, *TOLD))
    datasets, methods = store.names() if store else (set(), set())
    methods |= {*BUILT_IN, *GROUPS}
    if method is not None and method not in methods:
        raise UnknownNameError("method", method, methods)
    if dataset is not None and dataset not in datasets | set(recipe.names()):
        raise UnknownNameError("data set", dataset, datasets | set(recipe.names()))
    begun = since_of(since, datetime.now(UTC)) if since is not None else None
    if status in TOLD:
        return Wanted(dataset, method, None, status, begun)
    return Wanted(dataset, method, status, None, begun)


def since_of(text: str, now: datetime) -> datetime:
    """Read a date, a time (of this machine's time zone, if it names none) or an age.

    Args:
        text: what was typed.
        now: the time now, with its zone.

    Returns:
        The time in UTC, without a zone, as the registry has it.

    Raises:
        InputError: it is none of these.
    """
    try:
        if age := re.fullmatch(r"(\d+) ?(min|h|d|w)", text.strip(), re.ASCII):
            found = now - timedelta(**{UNITS[age[2]]: int(age[1])})
        elif re.fullmatch(r"\d\d?:\d\d(:\d\d)?", text.strip(), re.ASCII):
            clock = time.fromisoformat(text.strip().zfill(5))
            found = datetime.combine(now.astimezone().date(), clock)
        else:
            found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"'{text}' is no time: give --since a date as 2026-11-20, a time as 14:30 or "
            "2026-11-20T14:30, or an age as 30min, 2h, 3d or 1w."
        ) from error


def opened(where: str, run: str) -> "Registry":
    """Open the registry that has a run.

    Raises:
        InputError: there is no registry, so there is no such run.
        RegistryError: it cannot be opened.
    """
    store = open_registry(where)
    if store is None:
        raise InputError(f"There is no run '{run}': there is no registry at {where} yet.")
    return store


def ids_of(store: "Registry", runs: list[str] | None, filters: Wanted) -> list[str]:
    """Return the ids of the runs that are named, those that the filters let through, or both.

    Raises:
        InputError: one that is named is not there, or stands for several.
    """
    if not runs:
        return list(store.matching(**filters.filters))
    named = list(dict.fromkeys(store.find(run).id for run in runs))
    if not filters.any:
        return named
    let_through = store.matching(**filters.filters)
    return [run_id for run_id in named if run_id in let_through]
