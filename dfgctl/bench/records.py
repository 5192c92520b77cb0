"""What is measured and what comes out, as plain records; no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dfgctl.data.catalog import DatasetInfo
from dfgctl.records import PlannedRun

SCHEMA = 1
"""Version of the JSON; raised when a key changes its meaning or goes."""

OK, NO_MEMORY, NO_GRAPHS, FAILED = "ok", "out-of-memory", "no-graphs", "failed"
"""How the measurement of a pack ended."""


@dataclass(frozen=True)
class Effort:
    """How long a pack is measured.

    Attributes:
        rounds: rounds, whose median is reported.
        seconds: seconds of all rounds together, about; a round has one cycle of steps at the least.
        steps: steps of a round instead, rounded up to whole cycles; None for ``seconds``.
    """

    rounds: int = 5
    seconds: float = 5.0
    steps: int | None = None


@dataclass(frozen=True)
class Job:
    """One pack to be measured.

    Attributes:
        runs: the pack's runs, of one group.
        info: their data set.
        data_dir: the data directory.
        folder: where decoded pictures and checksums lie.
        counts: training and test images of each class.
        synthetic: whether random pictures stand for the data set's.
        source_classes: classes of the source network; None where the method needs none.
        device: ``cpu``, ``cuda`` or ``cuda:i``.
        graphs: whether steps are replays of CUDA graphs.
        threads: CPU threads; None for PyTorch's own choice.
        effort: how long it is measured.
    """

    runs: tuple[PlannedRun, ...]
    info: DatasetInfo
    data_dir: Path
    folder: Path
    counts: tuple[tuple[int, ...], tuple[int, ...]]
    synthetic: bool
    source_classes: int | None
    device: str
    graphs: bool
    threads: int | None
    effort: Effort

    @property
    def precision(self) -> str:
        """In which precision it trains."""
        return self.runs[0].spec.precision

    @property
    def title(self) -> str:
        """The pack in a line."""
        spec = self.runs[0].spec
        mode = ", CUDA graphs" if self.graphs else ""
        where = f"{spec.backbone} on {self.device}, {self.precision}{mode}"
        return f"{spec.method}, pack of {len(self.runs)}, {where}"

    @property
    def kind(self) -> tuple[str, str, str, str, str, bool]:
        """What a job has in common with those of other pack sizes."""
        spec = self.runs[0].spec
        return (
            *(spec.dataset, spec.backbone, spec.method),
            *(self.device, self.precision, self.graphs),
        )


@dataclass(frozen=True)
class Row:
    """What was measured of a pack. Times are in seconds, memory in bytes, shares in [0, 1].

    All but the first ten are None where the measurement failed, and single ones where they were not
    measured.

    Attributes:
        dataset: the data set.
        backbone: the network.
        method: the method.
        pack: runs that train together, R.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        graphs: whether steps were replays of CUDA graphs.
        device: where it trained, as ``--device`` names it.
        synthetic: whether the pictures were random.
        status: ``ok``, ``out-of-memory``, ``no-graphs`` (it cannot be recorded) or ``failed``.
        error: what went wrong, one line; empty if nothing did.
        device_name: the device in words.
        device_memory: all of its memory.
        threads: CPU threads.
        batch_size: images in a batch of one run.
        steps: training steps of a whole run.
        eval_every: steps between its evaluations.
        steps_timed: steps behind ``seconds_per_step``.
        rounds: seconds a step, of each round.
        seconds_per_step: their median, all replicas together.
        spread: the rounds' interquartile range as a share of the median.
        steps_per_second: steps of the pack.
        run_steps_per_second: R times as many.
        setup_seconds: building networks, source's filter weights and so on, once.
        warmup_seconds: the first steps, recording of graphs included.
        rare_steps: steps of a whole run that cost more (DFG's updates of the filter weights).
        rare_seconds: what one of them takes; None without any.
        evaluation_seconds: an evaluation on all test images.
        evaluations: evaluations of a whole run.
        evaluation_share: their share of a whole run.
        run_seconds: a whole run of the pack, set-up and evaluations included.
        runs_per_hour: runs of such packs, one after the other.
        peak_memory: on CUDA the most that tensors took; on a CPU the process's growth.
        reserved_memory: the most that PyTorch held of the device; None on a CPU.
        idle_share: share of the steps' time in which the device did no work: on CUDA, that no
            kernel or copy ran; on a CPU, which is the device itself, of the cores' time that the
            process left unused.
        waiting_share: share of the steps' time in which training waited for pictures.
        flop_per_step: multiplications and additions of a pack's step, in convolutions and matrix
            products.
        flop_per_second: as many as were done in a second.
        matmul_per_second: FLOP/s of a product of large square matrices, same device and precision.
        peak_share: ``flop_per_second`` as a share of it.
        against_one: ``run_steps_per_second`` over that of a pack of one, both eager.
        against_one_graphs: likewise over a pack of one as captured graphs.
    """

    dataset: str
    backbone: str
    method: str
    pack: int
    precision: str
    graphs: bool
    device: str
    synthetic: bool
    status: str = OK
    error: str = ""
    device_name: str | None = None
    device_memory: int | None = None
    threads: int | None = None
    batch_size: int | None = None
    steps: int | None = None
    eval_every: int | None = None
    steps_timed: int | None = None
    rounds: tuple[float, ...] | None = None
    seconds_per_step: float | None = None
    spread: float | None = None
    steps_per_second: float | None = None
    run_steps_per_second: float | None = None
    setup_seconds: float | None = None
    warmup_seconds: float | None = None
    rare_steps: int | None = None
    rare_seconds: float | None = None
    evaluation_seconds: float | None = None
    evaluations: int | None = None
    evaluation_share: float | None = None
    run_seconds: float | None = None
    runs_per_hour: float | None = None
    peak_memory: int | None = None
    reserved_memory: int | None = None
    idle_share: float | None = None
    waiting_share: float | None = None
    flop_per_step: int | None = None
    flop_per_second: float | None = None
    matmul_per_second: float | None = None
    peak_share: float | None = None
    against_one: float | None = None
    against_one_graphs: float | None = None

    @classmethod
    def of(cls, job: Job, status: str = OK, error: str = "") -> "Row":
        """Begin the row of a job."""
        spec = job.runs[0].spec
        return cls(
            spec.dataset,
            spec.backbone,
            spec.method,
            len(job.runs),
            job.precision,
            job.graphs,
            job.device,
            job.synthetic,
            status,
            error,
        )

    @property
    def series(self) -> tuple[str, ...]:
        """What a row has in common with those of other pack sizes and modes."""
        return (self.dataset, self.backbone, self.method, self.device, self.precision)

    def record(self) -> dict[str, Any]:
        """Return it as a plain object, its keys named as the attributes."""
        return asdict(self)


def compared(rows: Sequence[Row]) -> list[Row]:
    """Fill in what follows from several rows: ratios to packs of one, shares of the peak.

    A replay of graphs does the work of the eager step, which is where FLOP are counted. The peak of
    a device and precision is the best product of matrices of all its rows.
    """
    ones = {(*r.series, r.graphs): r.run_steps_per_second for r in rows if r.pack == 1}
    flop: dict[tuple[str, ...], float] = {}
    peaks: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.flop_per_step is not None:
            flop.setdefault(row.series, row.flop_per_step / row.pack)
        if row.matmul_per_second is not None:
            where = (row.device, row.precision)
            peaks[where] = max(peaks.get(where, 0.0), row.matmul_per_second)
    return [_compared(row, ones, flop, peaks) for row in rows]


def _compared(
    row: Row,
    ones: Mapping[tuple[Any, ...], float | None],
    flop: Mapping[tuple[str, ...], float],
    peaks: Mapping[tuple[str, str], float],
) -> Row:
    if row.seconds_per_step is None or row.run_steps_per_second is None:
        return row
    count, done = row.flop_per_step, None
    if count is None and row.series in flop:
        count = round(flop[row.series] * row.pack)
    if count is not None:
        done = count / row.seconds_per_step
    peak = peaks.get((row.device, row.precision))
    eager, graphs = ones.get((*row.series, False)), ones.get((*row.series, True))
    return replace(
        row,
        flop_per_step=count,
        flop_per_second=done,
        matmul_per_second=peak,
        peak_share=done / peak if done is not None and peak else None,
        against_one=row.run_steps_per_second / eager if eager else None,
        against_one_graphs=row.run_steps_per_second / graphs if graphs else None,
    )
