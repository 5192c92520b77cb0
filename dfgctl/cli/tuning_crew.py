"""Processes that help with ``dfgctl tune``, and what is said of the trials that end."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfgctl.errors import WorkersFailedError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

    from dfgctl.cli.live import Progress
    from dfgctl.cli.tuning import Search
    from dfgctl.dispatch.stopping import Stop
    from dfgctl.registry import Registry
    from dfgctl.tuning.task import Task

LOOK_SECONDS = 1.0
"""Time between looks at a search that other processes make."""


@dataclass(frozen=True)
class Helper:
    """How a process is started that helps with a search; see ``crew.Startable``."""

    typed: tuple[str, ...]
    registry: str
    device: str
    threads: int | None

    def command(self, launcher: str, *more: str) -> list[str]:
        """Return the words that start it; what it prints needs no file's name."""
        words = [sys.executable, "-m", "dfgctl", "tune", *self.typed, "--device", self.device]
        if self.threads is not None:
            words += ["--threads", str(self.threads)]
        return [*words, *(word for word in more if word == "--with-parent")]

    def environment(self) -> Mapping[str, str]:
        """Return the variables that it is started with; a URL may hold a password."""
        return {"DFGCTL_REGISTRY": self.registry}


class Teller:
    """Says of each trial that has ended how far it came.

    Args:
        watch: what prints it.
        task: what is tuned.
        wanted: how many trials are wanted.
        study: its study.
    """

    def __init__(self, watch: "Progress", task: "Task", wanted: int, study: Any) -> None:
        self.watch, self.task, self.wanted, self.study = watch, task, wanted, study
        self.told: set[int] = set()

    def tell(self, trial: "FrozenTrial") -> None:
        """Say it of one trial."""
        from dfgctl.tuning.outcome import outcome

        self.told.add(trial.number)
        found = outcome(self.task, self.study)
        pruned = trial.state.name == "PRUNED"
        how = "pruned" if pruned else f"{100 * (trial.value or 0):.2f} %"
        best = f", best {100 * found.best.value:.2f} %" if found.best and found.best.value else ""
        chosen = ", ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
        seconds = trial.user_attrs.get("seconds", 0.0)
        self.watch.say(
            f"{self.task.title} {len(found.trials)}/{self.wanted}: {how}{best}, {seconds:.0f} s "
            f"({chosen})"
        )

    def look(self) -> None:
        """Say it of those that other processes have ended since the last look."""
        from dfgctl.tuning.search import counted

        for trial in counted(self.study):
            if trial.number not in self.told:
                self.tell(trial)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def beside(
    search: "Search",
    store: "Registry",
    storage: "RDBStorage",
    tasks: "Sequence[Task]",
    stop: "Stop",
) -> None:
    """Search by processes that share the studies, and look on.

    Raises:
        StoppedError: a stop was asked for.
        WorkersFailedError: all processes died.
    """
    from dfgctl.cli.live import Lines
    from dfgctl.dispatch.crew import Crew
    from dfgctl.dispatch.place import shared_out
    from dfgctl.processor import cores
    from dfgctl.registry.engine import registry_url, sqlite_path
    from dfgctl.tuning.search import counted, open_study

    path = sqlite_path(registry_url(search.registry))
    where = str(path.resolve()) if path else search.registry
    threads = max(1, cores() // search.workers)
    devices = shared_out(search.device, search.workers)
    crew = Crew(
        [Helper(search.typed, where, device, threads) for device in devices],
        store.folder / "logs",
    )
    watch = Lines(None)
    tellers = [Teller(watch, t, search.wanted, open_study(t, storage)) for t in tasks]
    for teller in tellers:
        teller.told.update(t.number for t in counted(teller.study))
    stop.on_request = crew.stop
    try:
        crew.start()
        alive = True
        while alive:
            alive = crew.alive > 0
            for death in crew.deaths(replace=stop.reason is None):
                alive |= not death.given_up
                again = "" if death.given_up else " Another takes its place."
                watch.say(f"A process ended ({death.how}), see {death.log}.{again}")
            for teller in tellers:
                teller.look()
            if stop.reason is not None:
                crew.stop()  # those, too, that were started since
                time.sleep(LOOK_SECONDS / 4)
            elif alive:
                stop.wait(LOOK_SECONDS)
    except BaseException:
        crew.kill()
        raise
    crew.wait()
    for teller in tellers:
        teller.look()
    stop.check()
    if any(len(counted(teller.study)) < search.wanted for teller in tellers):
        raise WorkersFailedError(
            f"All processes ended before the search did: see {store.folder / 'logs'}, and type the "
            "command again."
        )
