"""What of the registry a table or a figure is to show, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dfgctl import templates
from dfgctl.errors import NothingToShowError, UnknownNameError
from dfgctl.ledger import PROTOCOLS
from dfgctl.recipe import Recipe
from dfgctl.records import Run
from dfgctl.report.commands import command_for
from dfgctl.report.groups import each_row, row_of
from dfgctl.report.selection import Metric, Select, Settings


@dataclass(frozen=True)
class Filters:
    """Which runs are looked at; what is None or empty lets all pass.

    Attributes:
        datasets: of these data sets.
        majority: with so many majority classes; 0 at 1:1.
        protocol: of this protocol.
        source: from this source, or of a method that has none.
        references: whether balanced runs pass, however many majority classes are asked for.
        settings: whose settings are the recipe's own, or those of ``--tuned``.
    """

    datasets: Sequence[str] = ()
    majority: int | None = None
    protocol: str | None = None
    source: str | None = None
    references: bool = False
    settings: Settings | None = None

    def passed(self, runs: Sequence[Run], required: bool = True) -> list[Run]:
        """Return the runs that pass.

        Args:
            runs: the runs.
            required: whether there must be any.

        Raises:
            UnknownNameError: there is no such protocol, or no run has such a source.
            NothingToShowError: none passes, but some are required.
            InputError: none can pass, but some are required.
        """
        if self.protocol not in (None, *PROTOCOLS):
            raise UnknownNameError("protocol", str(self.protocol), PROTOCOLS)
        sources = {run.spec.source for run in runs if run.spec.source is not None}
        if self.source is not None and sources and self.source not in sources:
            raise UnknownNameError("source with runs", self.source, sources)
        found = self._with_settings([run for run in runs if self._passes(run)])
        # Runs of a method without a source pass, but alone they are not what was asked for.
        missed = self.source is not None and all(run.spec.source is None for run in found)
        if required and (missed or not found):
            which = f" of {', '.join(self.datasets)}" if self.datasets else ""
            raise NothingToShowError(
                f"There are no runs{which}{self._named()} yet: train some, e.g. "
                f"{self._command(runs)}"
            )
        return found

    def left_out(self, found: Sequence[Run]) -> list[str]:
        """Say which of several data sets are not shown, as none of their runs passed.

        Args:
            found: the runs that passed.
        """
        have = {run.spec.dataset for run in found}
        others = self._named()
        return [
            f"There are no runs of {name}{others} yet, so it is left out"
            f"{'' if others else f': dfgctl run {name} trains some'}."
            for name in dict.fromkeys(self.datasets)
            if name not in have
        ]

    def _passes(self, run: Run) -> bool:
        spec = run.spec
        return (
            (not self.datasets or spec.dataset in self.datasets)
            and (self.majority in (None, spec.majority) or (self.references and spec.majority == 0))
            and self.protocol in (None, spec.protocol)
            and (self.source is None or spec.source in (None, self.source))
        )

    def _with_settings(self, runs: list[Run]) -> list[Run]:
        if self.settings is None:
            return runs
        recipes = templates.recipes_of(runs)
        made = each_row(runs, lambda run: row_of(run, recipes[run.spec.dataset]))
        return [run for run, row in made if row.settings_from() is self.settings]

    def _command(self, runs: Sequence[Run]) -> str:
        """Return a command that trains runs which pass."""
        name = self.datasets[0] if self.datasets else "digits"
        recipe = templates.recipes_of(runs, [name])[name]
        command = command_for(
            recipe, majority=self.majority, protocol=self.protocol, source=self.source
        )
        return command + " --tuned" * (self.settings is Settings.tuned)

    def _named(self) -> str:
        parts = []
        if self.majority is not None:
            plural = "es" * (self.majority != 1)
            parts.append(f"{self.majority or 'no'} majority class{plural}")
        if self.protocol is not None:
            parts.append(f"the protocol {self.protocol}")
        if self.source is not None:
            parts.append(f"the source {self.source}")
        if self.settings is Settings.recipe:
            parts.append("the recipe's settings")
        elif self.settings is Settings.tuned:
            parts.append("tuned settings")
        return f" with {' and '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class View:
    """What is shown.

    Attributes:
        runs: the runs that passed the filters, in any state; at least one, but for tables that need
            none.
        recipes: recipe of each data set, in the order in which they are shown.
        select: at which step; None for that of each run's own reading (F14).
        metric: which metric.
        published: whether the paper's numbers stand beside ours, with a verdict.
        margin: by how much two means may differ and still count as equal, in points.
        paper_n: runs behind a number of the paper; None for 45 with majority classes, 10 at 1:1.
        against: the method that the others are compared with.
        judge_all: whether also runs are judged that are not what the paper describes.
        data_dir: the data directory; None for ``data``.
        checksums: the file that remembers checksums; None for none.
        flop: the FLOP of a run's training steps, by its group (``RunSpec.group``), where known.
    """

    runs: Sequence[Run]
    recipes: Mapping[str, Recipe]
    select: Select | None = None
    metric: Metric = Metric.accuracy
    published: bool = False
    margin: float = 1.0
    paper_n: int | None = None
    against: str = "dfg"
    judge_all: bool = False
    data_dir: Path | None = None
    checksums: Path | None = None
    flop: Mapping[str, float] = field(default_factory=dict)
