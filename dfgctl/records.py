"""Frozen records: what passes between the rooms of the house. Standard library only."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from dfgctl import RESULTS_VERSION
from dfgctl.contenders import contender

AS_IS = "as-is"
"""The imbalance of data that is taken as it is."""

PRECISIONS = ("fp32", "tf32", "bf16")
"""In which precisions a run can be trained, the default first (see ``dfgctl.numerics``)."""

STATUSES = ("queued", "running", "finished", "failed", "cancelled")
OUTCOMES = (
    *("finished", "failed", "diverged", "out-of-memory"),
    *("lost", "preempted", "interrupted", "cancelled"),
)
"""How one attempt at a run ended."""

Settings = Mapping[str, Mapping[str, Any]]
"""Section -> key -> value, e.g. ``{"dfg": {"rho": 0.75}}``."""


def canonical(value: object) -> str:
    """Write a value as JSON in the one way that the same content always has."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@dataclass(frozen=True)
class RunSpec:
    """One training, described completely: what its identity is computed from.

    Attributes:
        dataset: the target data set's name.
        source: the source data set's name; None where the method starts from random weights.
        source_identity: identity of the source network; None likewise.
        method: the method's id.
        backbone: the network's name.
        protocol: ``paper`` or ``released``.
        ratio: the imbalance, e.g. ``10:1``; ``1:1`` is balanced.
        majority: how many classes are majority classes (0 at 1:1).
        majority_count: images that a majority class keeps, where it has as many.
        combination: the majority classes, ascending; empty at 1:1.
        seed: the run's seed.
        steps: training steps.
        eval_every: steps between evaluations.
        validation: share of the training subset that is held out, in [0, 1).
        settings: the sections that the method reads.
        data_digest: digest of the target data set.
        results_version: version of the code's results.
    """

    dataset: str
    source: str | None
    source_identity: str | None
    method: str
    backbone: str
    protocol: str
    ratio: str
    majority: int
    majority_count: int
    combination: tuple[int, ...]
    seed: int
    steps: int
    eval_every: int
    validation: float
    settings: Settings
    data_digest: str
    results_version: int = RESULTS_VERSION

    @property
    def contender(self) -> str:
        """Its method, with what it starts from where that can be chosen (``CONTENDERS``)."""
        return contender(self.method, self.settings.get(self.method, {}).get("init", ""))

    @property
    def precision(self) -> str:
        """In which precision it is trained, one of ``PRECISIONS``."""
        return str(self.settings.get("numerics", {}).get("precision", PRECISIONS[0]))

    def identity(self) -> str:
        """SHA-256 of the canonical settings, the data's digest and RESULTS_VERSION."""
        return digest(asdict(self))

    def group(self) -> str:
        """Identity less combination and seed: runs of one group may share a pack."""
        return digest(asdict(replace(self, combination=(), seed=0)))


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan: its spec and how many images of each class it keeps (before validation)."""

    spec: RunSpec
    class_counts: tuple[int, ...]
    sweep: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The run's id: its spec's identity."""
        return self.spec.identity()


@dataclass(frozen=True)
class Measurement:
    """One evaluation of a run.

    Attributes:
        step: training steps done.
        accuracy: share of test images classified rightly, in [0, 1].
        loss: mean cross-entropy on the test images.
        val_accuracy: balanced accuracy on the validation share; None without one.
        losses: mean training losses since the last evaluation, by name; empty at step 0.
        seconds: training time of the whole pack so far, evaluations not counted.
    """

    step: int
    accuracy: float
    loss: float
    val_accuracy: float | None
    losses: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Metrics:
    """A finished run's final metrics, all in [0, 1]; those without a step are the last step's.

    Attributes:
        accuracy_last: test accuracy after the last step.
        accuracy_best: highest test accuracy of all evaluations (it looks at the test set).
        best_step: step of ``accuracy_best``, the earliest if several.
        balanced_accuracy: mean recall over the classes.
        macro_f1: mean F1 over the classes.
        gmean: geometric mean of the recalls.
        recalls: recall of each class; None for a class without test images.
        majority_recall, minority_recall: mean recall of these classes; None at 1:1.
        confusion: test images by true class (rows) and predicted class (columns); empty where it
            was not read (lists leave it out).
        train_seconds: time in training, set-up included; a pack's time is shared out equally.
        eval_seconds: time in evaluations, likewise.
        accuracy_val: test accuracy at ``val_step``; None without a validation share.
        val_step: the earliest step of the highest balanced accuracy on that share; None likewise.
        accuracy_unseen: test accuracy on images new to the source network; None if all are.
        source_weights: fingerprint of the source network's weights that it started from; None
            without one, and for runs from before it was kept.
    """

    accuracy_last: float
    accuracy_best: float
    best_step: int
    balanced_accuracy: float
    macro_f1: float
    gmean: float
    recalls: tuple[float | None, ...]
    majority_recall: float | None
    minority_recall: float | None
    confusion: tuple[tuple[int, ...], ...]
    train_seconds: float
    eval_seconds: float
    accuracy_val: float | None = None
    val_step: int | None = None
    accuracy_unseen: float | None = None
    source_weights: str | None = None


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run; ``outcome`` is None while it lasts.

    ``resumed_step`` is the step of the checkpoint that it went on from, 0 for none. ``peak_bytes``
    is the most that its whole pack took (``Meter.used``); None where it was not kept.
    """

    number: int
    worker: str
    device: str
    pack_size: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: str | None
    provenance: Mapping[str, Any]
    resumed_step: int = 0
    peak_bytes: int | None = None


def has_ended(status: str, outcome: str | None) -> bool:
    """Say whether only force trains a run again: it finished, or its last attempt diverged."""
    return status == "finished" or (status == "failed" and outcome == "diverged")


@dataclass(frozen=True)
class DatasetCard:
    """What the registry keeps of a data set, so that its runs can be read without its files.

    Attributes:
        digest: the data's digest.
        name: its name.
        title: its name in tables.
        classes: the classes' names.
        folder: the folder of one's own pictures; None for a published data set.
        test_fraction: share of one's own pictures that tests; None where they are split already.
        fewest: training images of its smallest class.
    """

    digest: str
    name: str
    title: str
    classes: tuple[str, ...]
    folder: str | None = None
    test_fraction: float | None = None
    fewest: int = 1


@dataclass(frozen=True)
class Run:
    """A run as the registry knows it.

    ``metrics``, ``result_attempt``, ``result_device``, ``pack_size`` and ``peak_bytes`` are of the
    newest finished attempt and stay while a ``--force``d run is queued again. ``checkpoint_step``
    is the step of its newest checkpoint, 0 for none; ``worker`` is who made the newest attempt.
    """

    id: str
    spec: RunSpec
    status: str
    class_counts: tuple[int, ...]
    created_at: datetime
    attempts: int
    outcome: str | None
    error: str | None
    metrics: Metrics | None
    result_attempt: int | None
    device: str | None
    dirty: bool | None
    card: DatasetCard | None = None
    checkpoint_step: int = 0
    worker: str | None = None
    result_device: str | None = None
    pack_size: int | None = None
    peak_bytes: int | None = None

    @property
    def ended(self) -> bool:
        """Whether it is trained again only by force: it finished, or diverged."""
        return has_ended(self.status, self.outcome)


@dataclass(frozen=True)
class SourceSpec:
    """A source network, described completely: what its identity is computed from."""

    dataset: str
    backbone: str
    data_digest: str
    settings: Mapping[str, Any]
    weights_digest: str | None = None
    results_version: int = RESULTS_VERSION

    def identity(self) -> str:
        """SHA-256 of the canonical settings, the data's digest and RESULTS_VERSION."""
        return digest(asdict(self))


@dataclass(frozen=True)
class Source:
    """A source network that the registry knows: where its weights lie, how well it does."""

    identity: str
    spec: SourceSpec
    classes: int
    accuracy: float | None
    seconds: float
    path: str
    created_at: datetime


@dataclass(frozen=True)
class Claim:
    """A pack of runs that this worker may train until its lease ends.

    Attributes:
        runs: the runs, all of one group.
        token: fencing token; every write carries it, and a stale one is refused.
        attempts: attempt number of each run.
        step: step of the newest checkpoint that each of the runs has, 0 for none.
    """

    runs: tuple[Run, ...]
    token: int
    attempts: tuple[int, ...]
    step: int = 0


@dataclass(frozen=True)
class WorkerState:
    """A worker as the registry knows it.

    Attributes:
        name: ``host:pid:random``; attempts name it.
        host: the machine.
        pid: the process.
        device: the device in words.
        launcher: ``run``, ``local``, ``worker``, or ``slurm JOB``.
        started_at: when it started, UTC.
        seen_at: its last sign of life, UTC.
        ended_at: when it ended in order; None while it works, or if it vanished.
        doing: what it does: ``what``, ``step``, ``steps``, ``runs`` (ids), ``accuracy`` and so on.
        log: the file that has what it prints; None where that is a terminal.
    """

    name: str
    host: str
    pid: int
    device: str
    launcher: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    doing: Mapping[str, Any]
    log: str | None = None


@dataclass(frozen=True)
class Finding:
    """What an examination of the registry or the machine found.

    Attributes:
        level: ``ok``, ``note`` or ``problem``.
        topic: what it is about.
        text: what was found.
        remedy: what to do about it; empty where nothing need be done.
    """

    level: str
    topic: str
    text: str
    remedy: str = ""
