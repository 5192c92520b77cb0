"""How many runs a worker's next pack has: as many as fit, by what was measured of their kind."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from dfgctl import __version__
from dfgctl.devices import Meter, is_memory
from dfgctl.dispatch.events import Observer, described
from dfgctl.dispatch.pictures import Pictures
from dfgctl.dispatch.place import Place, check_usable
from dfgctl.dispatch.sources import SourceNetworks
from dfgctl.dispatch.stopping import Stop
from dfgctl.errors import DfgctlError, InputError, first_line
from dfgctl.measuring import Measured, measure, shortened
from dfgctl.memory import SOFTWARE, Profile, kind_of, shared_out
from dfgctl.networks.catalog import BACKBONES
from dfgctl.records import Claim, Measurement, Run, RunSpec
from dfgctl.registry import Registry


class PackSizes(Observer):
    """Chooses the sizes of a worker's packs, and learns from those that it trains.

    On a CPU a pack is one run, as stacking gives nothing there, and nothing is measured.

    Args:
        registry: keeps what is measured.
        place: where to train.
        meter: measures the device's memory.
        pictures: the data sets.
        sources: the source networks.
        observer: who watches.
        stop: whether to stop.
    """

    def __init__(
        self,
        registry: Registry,
        place: Place,
        meter: Meter,
        pictures: Pictures,
        sources: SourceNetworks,
        observer: Observer,
        stop: Stop,
    ) -> None:
        self._registry, self._place, self._meter = registry, place, meter
        self._pictures, self._sources = pictures, sources
        self._observer, self._stop = observer, stop
        self._unfit: dict[str, tuple[int, str]] = {}
        self._alone: set[str] = set()
        self._training: tuple[Profile, int] | None = None
        self._start = 0
        self._last: tuple[int, int, float] | None = None

    def next(self, plan: str | None) -> int | Mapping[str, int]:
        """Return the size of the next pack, as ``Registry.claim`` takes it.

        Args:
            plan: the plan whose runs are wanted; None for any.

        Raises:
            StoppedError: a stop was asked for while something was measured.
            LeaseLostError: the lease on a source network was lost.
        """
        fixed = self._place.pack
        if fixed == 1 or (fixed is None and not self._meter.measures):
            return 1
        found = self._registry.next_queued(plan, self._place.precisions)
        if found is None:
            return {}  # whatever is queued right now is looked at next time
        run, count = found
        return {run.spec.group(): self._size(run, count)}

    def _size(self, run: Run, count: int) -> int:
        fixed = self._place.pack
        most = min(count, fixed or BACKBONES[run.spec.backbone].pack)
        profile = self._profile(run.spec)
        if most == 1 or profile.kind in self._alone:
            return 1
        profile, available = self._registry.profile(profile), self._meter.available()
        if fixed is not None:
            return profile.limit(available, most)
        try:
            while (size := profile.unmeasured(available, most)) is not None:
                self._probe(run, size, profile)
                profile, available = self._registry.profile(profile), self._meter.available()
        except InputError:
            # Their training says what is wrong, to all of them at once.
            return profile.limit(available, most)
        except DfgctlError:
            raise
        except Exception as error:
            check_usable(str(error), self._place.device_name)
            self._alone.add(profile.kind)
            reason = first_line(str(error) or type(error).__name__)
            self._observer.trouble(
                f"{described(run.spec, 1)} cannot be measured ({reason}): each is trained alone."
            )
            return 1
        return shared_out(count, profile.fitting(available, most))

    def _probe(self, run: Run, pack: int, profile: Profile) -> None:
        """Measure a pack of runs like this one, and store what it took, or that it ran out."""
        out_of_memory, measured = "", None
        self._observer.measuring(run.spec, pack)
        try:
            measured = self._measure(run, pack)
        except Exception as error:
            if not is_memory(error):
                raise
            # Until this block ends, the error holds what the pack held.
            out_of_memory = str(error) or type(error).__name__
        if measured is None:
            self._keep_failure(profile, pack, out_of_memory)
        else:
            self._registry.keep_peak(profile, pack, measured.peak_bytes, measured.seconds_per_step)

    def _measure(self, run: Run, pack: int) -> Measured:
        spec = shortened(run.spec)
        return measure(
            [replace(spec, seed=spec.seed + i) for i in range(pack)],
            [run.class_counts] * pack,
            self._pictures.target(run.spec, run.card),
            self._sources.get(run.spec.source_identity, self._stop.check),
            self._place.device,
            self._meter,
            check=self._stop.check,
        )

    def _keep_failure(self, profile: Profile, pack: int, error: str) -> None:
        free = self._meter.available()
        self._registry.keep_failure(profile, pack, free)
        if pack == 1:
            self._unfit[profile.kind] = (free, error)

    def ran_out(self, claim: Claim, error: str) -> None:
        """Learn that a pack ran out of memory; its training must have been let go of."""
        self._keep_failure(self._profile(claim.runs[0].spec), len(claim.runs), error)

    def refused(self, claim: Claim) -> str | None:
        """Return why a run cannot fit, as one of its kind has just shown; None if it may."""
        if len(claim.runs) > 1 or not self._unfit:
            return None
        unfit = self._unfit.get(kind_of(claim.runs[0].spec))
        if unfit is None or self._meter.available() > unfit[0]:
            return None
        return unfit[1]

    def _profile(self, spec: RunSpec) -> Profile:
        total = self._meter.total
        name = f"{self._place.device_name}, {total / 2**30:.1f} GiB"
        if self._place.deterministic:
            name = f"{name}, deterministic"
        device = f"{name}{SOFTWARE}{torch.__version__}, dfgctl {__version__}"
        kind = kind_of(spec)
        return Profile(kind, device, total, spec.method, spec.backbone, spec.dataset)

    # What the packs in training took

    def pack_started(self, claim: Claim, step: int) -> None:
        """The training of a pack begins: from here on its peak counts."""
        if self._meter.measures:
            self._meter.reset()
            self._training = self._profile(claim.runs[0].spec), len(claim.runs)
            self._start, self._last = step, None

    def evaluated(self, step: int, measurements: Mapping[int, Measurement]) -> None:
        """The pack has been evaluated; after its first steps, its peak is stored.

        Not later on: what an allocator keeps for itself grows as long as there is room.
        """
        if self._training is None or not measurements:
            return
        replica, seconds = min(measurements), measurements[min(measurements)].seconds
        last, self._last = self._last, (replica, step, seconds)
        peak = self._meter.peak()
        if step == self._start or peak is None:
            return
        per_step = None
        if last is not None and last[0] == replica:
            per_step = (seconds - last[2]) / (step - last[1])
        profile, pack = self._training
        self._training = None
        self._registry.keep_peak(profile, pack, peak, per_step)
