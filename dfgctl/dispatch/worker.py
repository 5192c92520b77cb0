"""A worker: claims packs of queued runs, trains them, and writes what comes."""

import contextlib
import os
import platform
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dfgctl import provenance
from dfgctl.data import sources as data_sources
from dfgctl.data.arrays import ImageArrays
from dfgctl.data.catalog import DATASETS, DatasetInfo
from dfgctl.data.checksums import ChecksumCache
from dfgctl.data.files import OwnFolder, WeightsFile
from dfgctl.data.manifest import manifest
from dfgctl.data.views import VIEWS
from dfgctl.dispatch.events import Observer
from dfgctl.dispatch.lease import kept_alive
from dfgctl.dispatch.plan import Plan
from dfgctl.errors import InputError, LeaseLostError, SourceBusyError
from dfgctl.ledger import PAPER, readings
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import Backbone, backbone
from dfgctl.networks.catalog import BACKBONES
from dfgctl.networks.weights import write
from dfgctl.pretraining import pretrain, read_weights
from dfgctl.records import Claim, Source, SourceSpec
from dfgctl.registry import Registry
from dfgctl.settings import SourceSettings
from dfgctl.training import Done, Evaluated, Stepped, train

POLL_SECONDS = 1.0
"""Time between looks at runs that other processes train."""


@dataclass(frozen=True)
class Place:
    """Where a worker trains, and where it reads and writes files.

    Attributes:
        device: the device.
        pack: runs of a pack at the most.
        data_dir: the data directory.
        source_weights: the file that was named instead of a source.
    """

    device: torch.device
    pack: int
    data_dir: Path
    source_weights: Path | None = None

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"CPU, {torch.get_num_threads()} threads"


def choose_device(name: str) -> torch.device:
    """Read ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if (
        kind not in ("cpu", "cuda")
        or (colon and not index.isdecimal())
        or (kind == "cpu" and colon)
    ):
        raise InputError(f"Unknown device '{name}': it is auto, cpu, cuda or cuda:0.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here: use --device cpu (or auto).")
    if index and int(index) >= torch.cuda.device_count():
        raise InputError(
            f"There is no device {name}: there are cuda:0 to cuda:{torch.cuda.device_count() - 1}."
        )
    return torch.device(name)


def auto_pack(device: torch.device, name: str) -> int:
    """Return how many runs of a backbone ``--pack auto`` trains together.

    On a CPU stacking gives nothing.
    """
    return BACKBONES[name].pack if device.type == "cuda" else 1


class Worker:
    """Trains what a plan still lacks.

    Args:
        registry: the registry, in which the plan's runs are queued.
        plan: the plan.
        place: where to train.
        observer: who watches.
    """

    def __init__(self, registry: Registry, plan: Plan, place: Place, observer: Observer) -> None:
        self.registry = registry
        self.plan = plan
        self.place = place
        self.observer = observer
        self.provenance = {
            **provenance.collect(torch.get_num_threads() if place.device.type == "cpu" else None),
            "device": place.device_name,
        }
        self.name = f"{platform.node()}:{os.getpid()}"
        self._data: dict[tuple[str, str], ImageArrays] = {}
        self._sources: dict[str, SourceWeights] = {}

    def work(self) -> None:
        """Train until all runs of the plan have ended, also those that others train."""
        ids = [run.id for run in self.plan.runs]
        while True:
            self.registry.expire()
            claim = self._claim(ids)
            if claim is not None:
                self._train(claim)
                continue
            statuses = self.registry.statuses(ids).values()
            running = sum(status == "running" for status in statuses)
            if not running and "queued" not in statuses:
                return
            self.observer.waiting(running)
            time.sleep(POLL_SECONDS)

    def _claim(self, ids: Sequence[str]) -> Claim | None:
        return self.registry.claim(
            ids, self.place.pack, self.name, self.place.device_name, self.provenance
        )

    def _train(self, claim: Claim) -> None:
        """Train a pack; whatever goes wrong is stored with its runs, and the next pack goes on."""
        left = set(range(len(claim.runs)))
        try:
            with kept_alive(lambda: self.registry.beat(claim)) as check:
                self._train_alive(claim, left, check)
        except LeaseLostError:
            self.registry.release(claim)  # what it still holds, if it was the source's lease
        except torch.OutOfMemoryError as error:
            self._fail(claim, left, "out-of-memory", str(error))
        except InputError:
            self.registry.release(claim)
            raise
        except Exception:
            self._fail(claim, left, "failed", traceback.format_exc())
        except BaseException:
            self.registry.release(claim)
            raise

    def _train_alive(self, claim: Claim, left: set[int], check: Callable[[], None]) -> None:
        first = claim.runs[0].spec
        source = self._source(first.source_identity, check)
        data = self._load(first.dataset, first.backbone)
        self.observer.pack_started(claim)
        with contextlib.closing(
            train(
                [run.spec for run in claim.runs],
                [run.class_counts for run in claim.runs],
                data,
                source,
                self.place.device,
            )
        ) as events:
            for event in events:
                check()  # has a beat failed?
                match event:
                    case Stepped(step):
                        self.observer.stepped(step)
                    case Evaluated(step, measurements, diverged):
                        self.registry.record(claim, measurements)
                        self.observer.evaluated(step, measurements)
                        self._fail(
                            claim,
                            diverged & left,
                            "diverged",
                            f"A loss was not finite between this and the last evaluation, at step "
                            f"{step:,}.",
                        )
                        left -= diverged
                    case Done(metrics, weights):
                        for i in sorted(metrics):
                            self._save(claim.runs[i].id, claim.attempts[i], weights[i])
                            self.registry.finish(claim, i, metrics[i])
                            left.discard(i)
                            self.observer.run_finished(claim.runs[i], metrics[i])

    def _fail(self, claim: Claim, replicas: Collection[int], outcome: str, error: str) -> None:
        for i in sorted(replicas):
            with contextlib.suppress(LeaseLostError):
                self.registry.fail(claim, i, outcome, error)
            self.observer.run_failed(claim.runs[i], outcome, error)

    def _save(self, run_id: str, attempt: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Write an attempt's final weights; no other attempt has a file of that name."""
        target = self.registry.folder / "weights" / f"{run_id}.{attempt}.safetensors"
        write(target, {n: t.cpu().contiguous() for n, t in weights.items()})

    def _load(self, name: str, network: str) -> ImageArrays:
        if (name, network) not in self._data:
            folder = self.registry.folder
            cache = ChecksumCache(folder / "manifests" / "checksums.json")
            info = self.plan.info if name == self.plan.info.name else DATASETS[name]
            self._check_unchanged(info, cache)
            self._data[name, network] = data_sources.load(
                info,
                self.place.data_dir,
                VIEWS[network],
                folder / "prepared",
                cache,
                lambda done, total: self.observer.data_prepared(name, done, total),
            )
        return self._data[name, network]

    def _check_unchanged(self, info: DatasetInfo, cache: ChecksumCache) -> None:
        """Look whether one's own pictures are still those of the plan.

        Raises:
            InputError: they are not.
        """
        if not isinstance(info.files, OwnFolder):
            return
        if manifest(info, self.place.data_dir, cache).digest != self.plan.card.digest:
            raise InputError(
                f"The pictures in {info.files.root} have changed since this run was planned: type "
                "the command again, so that they get runs of their own."
            )

    # Source networks

    def _source(self, identity: str | None, check: Callable[[], None]) -> SourceWeights | None:
        """Return a source network: from memory, from its file, or trained now."""
        if identity is None:
            return None
        if identity not in self._sources:
            spec = next(s for s in self.plan.sources if s.identity() == identity)
            self._sources[identity] = self._ready_source(spec, check)
        return self._sources[identity]

    def _ready_source(self, spec: SourceSpec, check: Callable[[], None]) -> SourceWeights:
        network = network_of(spec)
        if self.place.source_weights is not None:
            return self._shelve(spec, self.place.source_weights)
        files = DATASETS[spec.dataset].files
        if isinstance(files, WeightsFile):
            return self._shelve(spec, self.place.data_dir / files.folder / files.name)
        while True:
            known = self.registry.source(spec.identity())
            if known is not None and (path := self._source_file(known)).exists():
                with contextlib.suppress(InputError):  # a damaged file is made anew
                    weights = read_weights(path, network)
                    self.observer.source_ready(spec, known.accuracy, trained=False)
                    return weights
            try:
                token = self.registry.claim_source(spec)
            except SourceBusyError:
                check()
                self.observer.waiting(1)
                time.sleep(POLL_SECONDS)
                continue
            return self._pretrain(spec, token)

    def _shelve(self, spec: SourceSpec, file: Path) -> SourceWeights:
        """Read weights that were not trained here, and note where they lie."""
        weights = read_weights(file, network_of(spec))
        known = self.registry.source(spec.identity())
        if known is None or known.path != str(file.resolve()):
            with contextlib.suppress(SourceBusyError):
                token = self.registry.claim_source(spec)
                facts = {"classes": weights.classes, "path": str(file.resolve())}
                self.registry.finish_source(spec.identity(), token, facts, self.provenance)
        return weights

    def _pretrain(self, spec: SourceSpec, token: int) -> SourceWeights:
        identity = spec.identity()
        start = time.perf_counter()
        info = DATASETS[spec.dataset]
        self.observer.source_started(spec)
        try:
            with kept_alive(lambda: self.registry.beat_source(identity, token)):
                settings = {k: v for k, v in spec.settings.items() if k != "fidelity"}
                weights, accuracy = pretrain(
                    network_of(spec),
                    self._load(spec.dataset, spec.backbone),
                    info.class_count,
                    SourceSettings.model_validate(settings),
                    self.place.device,
                    self.observer.source_stepped,
                )
        except BaseException:
            with contextlib.suppress(LeaseLostError):
                self.registry.release_source(identity, token)
            raise
        name = f"sources/{identity}.safetensors"
        write(self.registry.folder / name, dict(weights.state))
        self.registry.finish_source(
            identity,
            token,
            {
                "classes": weights.classes,
                "accuracy": accuracy,
                "seconds": time.perf_counter() - start,
                "path": name,
            },
            self.provenance,
        )
        self.observer.source_ready(spec, accuracy, trained=True)
        return weights

    def _source_file(self, source: Source) -> Path:
        return self.registry.folder / source.path


def network_of(spec: SourceSpec) -> Backbone:
    """Return the network that a source network is, with the switches that change it."""
    return backbone(spec.backbone, readings=readings(PAPER, spec.settings.get("fidelity", {})))
