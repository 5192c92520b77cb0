"""Which steps of a run cost alike, so that a few of them tell what all of them take."""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from dfgctl.records import RunSpec


@dataclass(frozen=True)
class Phase:
    """Steps that do the same work.

    Attributes:
        share: their share of a run's steps, in (0, 1].
        steps: the first of their numbers, ascending.
    """

    share: float
    steps: tuple[int, ...]


def phases(phase_of: Callable[[int], Hashable], steps: int, most: int) -> list[Phase]:
    """Divide a run's steps into phases, in the order in which they begin.

    Args:
        phase_of: says what the steps of a phase have in common, as ``Method.phase`` does.
        steps: the run's steps.
        most: how many numbers of each phase are returned at the most.
    """
    counts: dict[Hashable, int] = {}
    first: dict[Hashable, list[int]] = {}
    for step in range(1, steps + 1):
        phase = phase_of(step)
        counts[phase] = counts.get(phase, 0) + 1
        numbers = first.setdefault(phase, [])
        if len(numbers) < most:
            numbers.append(step)
    return [Phase(counts[phase] / steps, tuple(numbers)) for phase, numbers in first.items()]


@dataclass(frozen=True)
class Stretch:
    """Steps in the order in which a run takes them, whose work repeats cycle after cycle.

    Attributes:
        name: what is done.
        first: its first step.
        last: its last step.
        cycle: steps after which the work repeats; each cycle has the same phases, equally often.
        count: steps of a whole run that are such.
        skip: multiples of it are no such steps; 0 for none.
    """

    name: str
    first: int
    last: int
    cycle: int
    count: int
    skip: int = 0

    def cycles(self) -> Iterator[range]:
        """Yield one cycle of steps after the other, from the first again after the last."""
        start = self.first
        while True:
            steps = range(start, start + self.cycle)
            if not self.skip or all(step % self.skip for step in steps):
                yield steps
            start += self.cycle
            if start + self.cycle - 1 > self.last:
                start = self.first


def stretches(spec: RunSpec) -> tuple[tuple[Stretch, ...], Stretch | None]:
    """Return the stretches of a run, and the rare steps that cost more, if there are any.

    DFG's work repeats after lcm(n_C1, n_C2) steps, apart from the updates of the filter weights;
    where those are as frequent, they are part of the cycle. DIFA has three stages, ``crt`` and
    ``smote`` have two, of which the second begins with a step that costs more. A method of one's
    own is taken to do the same in each step. A fall of the learning rates changes no work.
    """
    steps = spec.steps
    own = spec.settings.get(spec.method, {})
    if spec.method == "difa":
        ends = [round(steps * own["share_0"]), round(steps * (own["share_0"] + own["share_1"]))]
        bounds = list(zip([0, *ends], [*ends, steps], strict=True))
        stages = [Stretch(f"stage {i}", a + 1, b, 1, b - a) for i, (a, b) in enumerate(bounds)]
        return tuple(stage for stage in stages if stage.count), None
    if spec.method in ("crt", "smote") and steps > 2:
        end = min(round(steps * own["share_1"]), steps - 1)
        first = Stretch("stage 1", 1, end, 1, end)
        second = Stretch("stage 2", end + 2, steps, 1, steps - end - 1)
        begin = Stretch("new head", end + 1, end + 1, 1, 1)
        return tuple(stage for stage in (first, second) if stage.count), begin
    if spec.method == "dfg":
        n_W = own["n_W"]
        cycle = min(steps, math.lcm(own["n_C1"], own["n_C2"]))
        if n_W <= cycle:
            cycle = min(steps, math.lcm(cycle, n_W))
            return (Stretch("steps", 1, steps, cycle, steps),), None
        updates = steps // n_W
        usual = Stretch("steps", 1, steps, cycle, steps - updates, skip=n_W)
        return (usual,), Stretch("filter weights", n_W, n_W, 1, updates) if updates else None
    return (Stretch("steps", 1, steps, 1, steps),), None


def evaluations(spec: RunSpec) -> int:
    """Return how often a run is evaluated: at step 0, every so many steps, and at its end."""
    return -(-spec.steps // spec.eval_every) + 1
