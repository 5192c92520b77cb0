"""The ledger: where the paper and its released code differ, as data. Torch-free.

Each row has a stable id. Rows with two readings are switches: protocol ``paper`` takes one side,
``released`` the other, and ``--set fidelity.F05=released`` sets a single one. Rows whose readings
agree, or of which only one can be had, are facts that the code always follows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dfgctl.contenders import BUILT_IN
from dfgctl.errors import UnknownNameError
from dfgctl.ledger.rows import LEDGER, Entry
from dfgctl.records import RunSpec

PAPER, RELEASED = "paper", "released"
PROTOCOLS = (PAPER, RELEASED)

SWITCHES: dict[str, Entry] = {entry.id: entry for entry in LEDGER if entry.switch}
"""The rows with two readings, by id."""


@dataclass(frozen=True)
class Readings:
    """Which switches are read as the released code does; all others as the paper does."""

    released: frozenset[str] = field(default_factory=frozenset)

    def __contains__(self, switch: str) -> bool:
        """Say whether a switch is read as the released code does: ``"F05" in readings``."""
        return switch in self.released


PAPER_READINGS = Readings()


def readings(protocol: str, single: Mapping[str, str | None]) -> Readings:
    """Return the readings of a protocol with single switches set otherwise.

    Args:
        protocol: ``paper`` or ``released``.
        single: switch to its reading; None leaves it to the protocol.

    Raises:
        UnknownNameError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    return Readings(frozenset(i for i in SWITCHES if (single.get(i) or protocol) == RELEASED))


def touching(method: str, backbone: str) -> tuple[str, ...]:
    """Return the switches that can change a run of a method on a network."""
    return tuple(i for i, entry in SWITCHES.items() if entry.touches(method, backbone))


def departing(chosen: Readings, protocol: str, method: str, backbone: str) -> dict[str, str]:
    """Return the switches that touch a run and are not read as its protocol says."""
    other = PAPER if protocol == RELEASED else RELEASED
    return {i: other for i in touching(method, backbone) if (i in chosen) == (other == RELEASED)}


def readings_of(spec: RunSpec) -> Readings:
    """Return the readings that a run is trained with."""
    chosen = readings(spec.protocol, spec.settings.get("fidelity", {}))
    return Readings(chosen.released.intersection(touching(spec.method, spec.backbone)))


def table(spec: RunSpec | None = None) -> list[dict[str, object]]:
    """Return the ledger as plain records.

    Args:
        spec: a run; each record then says which reading it used, None where the row does not
            touch it.
    """
    used = readings_of(spec) if spec else None
    records: list[dict[str, object]] = []
    for entry in LEDGER:
        record: dict[str, object] = {
            "id": entry.id,
            "what": entry.what,
            "paper": entry.paper,
            "released": entry.released if entry.switch else entry.paper,
            "default": PAPER if entry.switch else "both",
            "switch": entry.switch,
            "methods": list(entry.methods or BUILT_IN),
            "backbones": list(entry.backbones or ("lenet5", "vgg16", "resnet50")),
        }
        if spec is not None and used is not None:
            record["used"] = _used(entry, spec, used)
        records.append(record)
    return records


def _used(entry: Entry, spec: RunSpec, used: Readings) -> str | None:
    if not entry.touches(spec.method, spec.backbone):
        return None
    if not entry.switch:
        return "both"
    return RELEASED if entry.id in used else PAPER


def ineffective(chosen: Readings, changed: Iterable[str]) -> list[str]:
    """Say which settings that a user changed have no effect under these readings.

    Args:
        chosen: the readings.
        changed: ``section.key`` names.
    """
    mute = {
        "dfg.rho": ("F06", "the mix of Eq. 7 is thrown away"),
        "dfg.delta": ("F03", "the thresholds are 0.90 and 0.95"),
        "dfg.weight_images": ("F13", "10 images of each class are taken"),
    }
    return [
        f"{key} has no effect with {mute[key][0]} read as released: {mute[key][1]}."
        for key in changed
        if key in mute and mute[key][0] in chosen
    ]
