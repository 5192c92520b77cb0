"""Measures one pack, in this process."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

import torch

from dfgctl.bench import flops
from dfgctl.bench.device import busy_seconds, matmul_per_second, synchronised
from dfgctl.bench.pictures import load, random_source
from dfgctl.bench.records import NO_GRAPHS, Effort, Job, Row
from dfgctl.devices import Meter, device_name, meter_of
from dfgctl.ledger import readings_of
from dfgctl.lookup import sections_of
from dfgctl.phases import Stretch, evaluations, stretches
from dfgctl.training import Trainer

WARM_UP = 3
"""Steps of each stretch before any is timed, at the least."""

EVALUATED_CHUNKS = 4
"""Parts of the test set that are evaluated; the time of all of it follows."""


def measure(job: Job, build: Callable[..., Trainer] = Trainer) -> Row:
    """Measure a pack: set-up, steps, an evaluation, memory, and what the device did meanwhile.

    Its steps are true ones, in the order in which a run takes them, but of each stretch only as
    many as are timed; what is learned is thrown away.

    Args:
        job: the pack.
        build: makes the trainer.

    Raises:
        InputError: the data cannot be read.
        torch.OutOfMemoryError: the device's memory ran out.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    torch.zeros(1, device=device)  # a device's own start is no part of the set-up
    data, spec = load(job), job.runs[0].spec
    source = None
    if job.source_classes is not None:
        source = random_source(spec.backbone, readings_of(spec), job.source_classes)
    best = matmul_per_second(device, job.precision)  # now: later there may be no room for it
    meter = meter_of(device)
    meter.reset()

    start = synchronised(device)
    made = build(
        [run.spec for run in job.runs],
        [run.class_counts for run in job.runs],
        data,
        source,
        device,
        torch.float32,
        graphs=job.graphs,
    )
    with closing(made) as trainer:
        setup = synchronised(device) - start
        row = _measured(job, trainer, device, meter, setup)
    return replace(row, matmul_per_second=best)


def _measured(job: Job, trainer: Trainer, device: torch.device, meter: Meter, setup: float) -> Row:
    """Measure a pack that is set up, which took some seconds."""
    spec = job.runs[0].spec
    usual, rare = stretches(spec)
    steps = Steps(trainer, usual, device)
    warm_up = steps.warm_up(twice=job.graphs)
    if job.graphs and not trainer.stepper.records:
        why = trainer.stepper.problem or "nothing says which of its steps are alike"
        if not trainer.images.at_hand:
            why = "its pictures lie in the host's memory"
        return Row.of(job, NO_GRAPHS, f"its steps cannot be recorded ({why})")
    rounds, idle, waiting = steps.rounds(job.effort)
    timed = steps.timed
    rare_seconds = steps.seconds([rare.first]) if rare else None
    evaluation = evaluated(trainer, device, job.info.test if job.synthetic else None)
    used, held = meter.used(), meter.peak()

    per_step = statistics.median(rounds)
    if device.type == "cuda":
        idle = max(0.0, 1 - steps.busy() / per_step)
    flop = None if job.graphs else steps.flop()  # replays call no operator to be counted
    pack, count, rarely = len(job.runs), evaluations(spec), rare.count if rare else 0
    training = (spec.steps - rarely) * per_step + rarely * (rare_seconds or 0.0)
    whole = setup + training + count * evaluation
    return replace(
        Row.of(job),
        device_name=device_name(device),
        device_memory=meter.total if meter.measures else None,
        threads=torch.get_num_threads(),
        batch_size=sections_of(spec)[0].batch_size,
        steps=spec.steps,
        eval_every=spec.eval_every,
        steps_timed=timed,
        rounds=tuple(rounds),
        seconds_per_step=per_step,
        spread=spread(rounds),
        steps_per_second=1 / per_step,
        run_steps_per_second=pack / per_step,
        setup_seconds=setup,
        warmup_seconds=warm_up,
        rare_steps=rarely,
        rare_seconds=rare_seconds,
        evaluation_seconds=evaluation,
        evaluations=count,
        evaluation_share=count * evaluation / whole,
        run_seconds=whole,
        runs_per_hour=3600 * pack / whole,
        peak_memory=used,
        reserved_memory=held,
        idle_share=idle,
        waiting_share=waiting,
        flop_per_step=None if flop is None else round(flop),
    )


class Steps:
    """The steps of a trainer, timed.

    Args:
        trainer: the trainer.
        parts: the stretches of its run.
        device: where it trains.

    Attributes:
        timed: steps that were timed in rounds.
    """

    def __init__(self, trainer: Trainer, parts: Sequence[Stretch], device: torch.device) -> None:
        self.trainer, self.parts, self.device = trainer, parts, device
        self.timed = 0
        self._cycles = {part: part.cycles() for part in parts}
        self._cycle_seconds: dict[Stretch, float] = {}
        total = sum(part.count for part in parts)
        self._shares = {part: part.count / total for part in parts}

    def take(self, part: Stretch) -> None:
        """Train one cycle of a stretch."""
        for step in next(self._cycles[part]):
            self.trainer.step(step)

    def seconds(self, numbers: Iterable[int]) -> float:
        """Train steps, and return the seconds that they took."""
        start = synchronised(self.device)
        for step in numbers:
            self.trainer.step(step)
        return synchronised(self.device) - start

    def warm_up(self, twice: bool) -> float:
        """Train until nothing new happens, and return the seconds that it took.

        Args:
            twice: whether two cycles are needed: one to run, one to be recorded.
        """
        start = synchronised(self.device)
        for part in self.parts:
            for _ in range(max(2 if twice else 1, -(-WARM_UP // part.cycle))):
                self.take(part)
        ended = synchronised(self.device)
        for part in self.parts:  # as quick as those that follow: they say how many these are
            self._cycle_seconds[part] = self.seconds(next(self._cycles[part]))
        return ended - start

    def rounds(self, effort: Effort) -> tuple[list[float], float, float]:
        """Train in rounds, each a part of a whole run: all stretches, by their shares.

        Returns:
            Seconds a step of each round; the share of the cores' time that the process left unused;
            the share of the time in which it waited for pictures.
        """
        cycles = {part: self._cycles_of(part, effort) for part in self.parts}
        found, wall = [], 0.0
        waited, busy = self.trainer.waited, time.process_time()
        for _ in range(effort.rounds):
            per_step = 0.0
            for part, count in cycles.items():
                numbers = [n for _ in range(count) for n in next(self._cycles[part])]
                seconds = self.seconds(numbers)
                per_step += self._shares[part] * seconds / len(numbers)
                wall += seconds
                self.timed += len(numbers)
            found.append(per_step)
        used = (time.process_time() - busy) / (wall * torch.get_num_threads())
        waiting = (self.trainer.waited - waited) / wall
        return found, min(1.0, max(0.0, 1 - used)), min(1.0, waiting)

    def busy(self) -> float:
        """Train one more cycle of each stretch; return the seconds a step that a GPU worked."""
        return self._weighed(lambda part: busy_seconds(lambda: self.take(part), self.device))

    def flop(self) -> float:
        """Train one more cycle of each stretch; return the FLOP of a step."""
        return self._weighed(lambda part: flops.count(lambda: self.take(part)))

    def _weighed(self, of_cycle: Callable[[Stretch], float]) -> float:
        """Return what a cycle of each stretch comes to, a step, weighed by their shares."""
        return sum(self._shares[part] * of_cycle(part) / part.cycle for part in self.parts)

    def _cycles_of(self, part: Stretch, effort: Effort) -> int:
        """Return how many cycles of a stretch a round has."""
        share = self._shares[part]
        if effort.steps is not None:
            return max(1, math.ceil(effort.steps * share / part.cycle))
        wanted = effort.seconds * share / effort.rounds
        return max(1, round(wanted / self._cycle_seconds[part]))


def evaluated(trainer: Trainer, device: torch.device, images: int | None = None) -> float:
    """Return the seconds of an evaluation on all test images, from that of some of them.

    Args:
        trainer: the trainer.
        device: where it trains.
        images: how many test images there are; None for those that the trainer has.
    """
    with trainer.evaluator.only(EVALUATED_CHUNKS) as share:
        trainer.evaluate(0)  # reads what the steps have left, and warms up
        start = synchronised(device)
        trainer.evaluate(0)
        seconds = synchronised(device) - start
    scale = 1.0 if images is None else images / len(trainer.evaluator.test.labels)
    return scale * seconds / share


def spread(rounds: Sequence[float]) -> float | None:
    """Return the interquartile range of rounds as a share of their median; None for one alone."""
    if len(rounds) < 2:
        return None
    low, _, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return (high - low) / statistics.median(rounds)
