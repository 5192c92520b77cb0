"""A worker's source networks: from memory, from their files, or trained now."""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dfgctl.data.catalog import DATASETS
from dfgctl.data.files import WeightsFile
from dfgctl.dispatch.events import Observer
from dfgctl.dispatch.lease import kept_alive
from dfgctl.dispatch.pictures import Pictures
from dfgctl.dispatch.place import Place
from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import InputError, LeaseLostError, SourceBusyError
from dfgctl.ledger import PAPER, readings
from dfgctl.methods.base import SourceWeights
from dfgctl.networks.backbones import Backbone, backbone
from dfgctl.networks.weights import write
from dfgctl.pretraining import pretrain, read_weights
from dfgctl.records import SourceSpec
from dfgctl.registry import Registry
from dfgctl.settings import SourceSettings

POLL_SECONDS = 1.0
"""Time between looks at what other processes train."""


class SourceNetworks:
    """Finds source networks, and trains those that are not there.

    Args:
        registry: the registry.
        place: where to train.
        pictures: the data sets.
        observer: who watches.
        stop: whether to stop.
        provenance: what the worker runs on.
    """

    def __init__(
        self,
        registry: Registry,
        place: Place,
        pictures: Pictures,
        observer: Observer,
        stop: Stop,
        provenance: Mapping[str, Any],
    ) -> None:
        self.registry, self.place, self.pictures = registry, place, pictures
        self.observer, self.stop, self.provenance = observer, stop, provenance
        self._ready: dict[str, SourceWeights] = {}

    def get(self, identity: str | None, check: Callable[[], None]) -> SourceWeights | None:
        """Return a source network; None where a method needs none.

        Args:
            identity: which one.
            check: called while another process trains it; raises if the wait is in vain.

        Raises:
            InputError: its data or weights cannot be read.
            StoppedError: a stop was asked for while it was trained.
        """
        if identity is None:
            return None
        if identity not in self._ready:
            spec = self.registry.source_spec(identity)
            if spec is None:
                raise InputError(
                    "The registry does not know this run's source network: type the command that "
                    "planned it again."
                )
            self._ready[identity] = self._find(spec, check)
        return self._ready[identity]

    def _find(self, spec: SourceSpec, check: Callable[[], None]) -> SourceWeights:
        network = network_of(spec)
        if spec.weights_digest is not None:
            known = self.registry.source(spec.identity())
            if known is None:
                raise InputError(
                    "The registry does not know where this run's --source-weights lie: type the "
                    "command that planned it again."
                )
            return read_weights(Path(known.path), network)
        files = DATASETS[spec.dataset].files
        if isinstance(files, WeightsFile):
            file = self.place.data_dir / files.folder / files.name
            return shelve(self.registry, spec, file, self.provenance)
        while True:
            if (weights := self._read(spec, network)) is not None:
                return weights
            try:
                token = self.registry.claim_source(spec)
            except SourceBusyError:
                check()
                self.stop.check()
                self.observer.waiting(1)
                self.stop.wait(POLL_SECONDS)
                continue
            if (weights := self._read(spec, network)) is not None:  # finished in between
                self.registry.release_source(spec.identity(), token)
                return weights
            return self._pretrain(spec, token)

    def _read(self, spec: SourceSpec, network: Backbone) -> SourceWeights | None:
        """Return a source network that was trained already; a damaged file is made anew."""
        known = self.registry.source(spec.identity())
        if known is None or not (path := self.registry.folder / known.path).exists():
            return None
        with contextlib.suppress(InputError):
            weights = read_weights(path, network)
            self.observer.source_ready(spec, known.accuracy, trained=False)
            return weights
        return None

    def _pretrain(self, spec: SourceSpec, token: int) -> SourceWeights:
        identity = spec.identity()
        start = time.perf_counter()
        self.observer.source_started(spec)

        def stepped(step: int) -> None:
            self.observer.source_stepped(step)
            self.stop.check()

        try:
            with kept_alive(lambda: self.registry.beat_source(identity, token)) as check:
                settings = {k: v for k, v in spec.settings.items() if k != "fidelity"}
                weights, accuracy = pretrain(
                    network_of(spec),
                    self.pictures.source(spec),
                    DATASETS[spec.dataset].class_count,
                    SourceSettings.model_validate(settings),
                    self.place.device,
                    stepped,
                )
                check()  # another's file must not be written over
                name = f"sources/{identity}.safetensors"
                write(self.registry.folder / name, dict(weights.state), durable=True)
        except BaseException:
            with contextlib.suppress(LeaseLostError):
                self.registry.release_source(identity, token)
            raise
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


def shelve(
    registry: Registry, spec: SourceSpec, file: Path, provenance: Mapping[str, Any]
) -> SourceWeights:
    """Read weights that were not trained here, and note where they lie.

    Raises:
        InputError: they cannot be read, or are not of this network.
    """
    weights = read_weights(file, network_of(spec))
    known = registry.source(spec.identity())
    if known is None or known.path != str(file.resolve()):
        with contextlib.suppress(SourceBusyError):
            token = registry.claim_source(spec)
            facts = {"classes": weights.classes, "path": str(file.resolve())}
            registry.finish_source(spec.identity(), token, facts, provenance)
    return weights


def network_of(spec: SourceSpec) -> Backbone:
    """Return the network that a source network is, with the switches that change it."""
    return backbone(spec.backbone, readings=readings(PAPER, spec.settings.get("fidelity", {})))
