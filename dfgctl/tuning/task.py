"""What is tuned: a method from one start, on pairs set aside, under conditions that are fixed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from dfgctl.contenders import CONTENDERS
from dfgctl.data.manifest import Manifest
from dfgctl.dispatch.plan import counts_of, spec_of
from dfgctl.dispatch.request import Checked, Variant
from dfgctl.fragments import Pair
from dfgctl.plugins import MethodInfo
from dfgctl.records import PlannedRun, RunSpec, SourceSpec, digest
from dfgctl.tuning.space import Parameter, space, with_shorter_schedules


@dataclass(frozen=True)
class Task:
    """A search.

    Attributes:
        checked: the request.
        variant: its settings: the recipe's, and those that are fixed.
        method: the method.
        target: the data set's manifest.
        network: the source network; None where the method starts from random weights.
        pairs: the pairs that each trial trains on.
        select: ``last``, or ``val`` for the best step's balanced accuracy.
    """

    checked: Checked
    variant: Variant
    method: MethodInfo
    target: Manifest
    network: SourceSpec | None
    pairs: tuple[Pair, ...]
    select: str

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What is searched."""
        whole = self.checked.request.steps is not None
        return space(self.variant, self.method, tuple(self.fixed), whole)

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings of the method that were given, and so are not searched."""
        changes = self.variant.changes
        return {k: v for k, v in changes.items() if k.partition(".")[0] in self.method.sections}

    @property
    def own(self) -> dict[str, Any]:
        """The recipe's values of what is searched: the first trial."""
        return {p.key: p.own for p in self.parameters}

    @property
    def title(self) -> str:
        """What tables call it."""
        return CONTENDERS.get(self.spec.contender, self.method.title)

    @cached_property
    def spec(self) -> RunSpec:
        """The recipe's own run, less its combination and seed."""
        return spec_of(self.checked, self.variant, self.method, self.target, self.network)

    @cached_property
    def study(self) -> str:
        """The name of its study: what is in it can be compared, and nothing else."""
        spec = self.spec
        what = {
            "spec": asdict(spec),
            "pairs": self.pairs,
            "select": self.select,
            "space": [p.text() for p in self.parameters],
        }
        return f"{spec.dataset} {spec.ratio} {spec.contender} {digest(what)[:16]}"

    def settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that a trial sets, with what follows from its steps."""
        return with_shorter_schedules(self.variant, self.method, values, self.fixed)

    def runs(self, values: Mapping[str, Any]) -> list[PlannedRun]:
        """Return a trial's runs, one for each pair.

        Raises:
            SettingError: its settings do not fit together.
            InputError: an imbalance cannot be made.
        """
        variant = self.variant.with_values(self.settings(values))
        spec = spec_of(self.checked, variant, self.method, self.target, self.network)
        specs = [replace(spec, combination=c, seed=seed) for c, seed in self.pairs]
        return [PlannedRun(s, counts_of(self.checked, s, self.target)) for s in specs]
