"""The ledger: which rows there are, which reading a run takes, and what its identity records."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dfgctl import ledger
from dfgctl.contenders import BUILT_IN, METHODS
from dfgctl.data.catalog import DATASETS
from dfgctl.data.manifest import ChecksumCache, manifest
from dfgctl.dispatch import plan as plans
from dfgctl.dispatch import request as requests
from dfgctl.dispatch.plan import Plan
from dfgctl.errors import SettingError, UnknownNameError
from dfgctl.ledger import LEDGER, PAPER_READINGS, SWITCHES, Readings
from dfgctl.networks.catalog import BACKBONES
from dfgctl.records import RunSpec

NUMBERS = (1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 19, 23, 24, 27, 28, 29)
SWITCH_IDS = [f"F{number:02d}" for number in NUMBERS]
ALL_RUNS = {"F14", "F16"}
DFG_ALONE = {
    *("F01", "F03", "F04", "F05", "F06", "F07", "F08"),
    *("F11", "F12", "F13", "F15", "F23", "F24"),
}
Make = Callable[..., Plan]


def expected(method: str, backbone: str) -> set[str]:
    """Name the switches that can change such a run, by the column ``what`` of each row."""
    found = ALL_RUNS | (DFG_ALONE if method == "dfg" else set())
    if backbone == "lenet5":
        found |= {"F09"}
    if backbone == "vgg16":
        found |= {"F27"}
    if backbone == "resnet50":
        found |= {"F29"}
    if method == "dfg" and backbone != "lenet5":
        found |= {"F28"}
    if method in ("delta", "dfg") and backbone != "resnet50":
        found |= {"F19"}
    return found


@pytest.fixture
def make_plan() -> Make:
    """Plan runs of digits as ``dfgctl run digits`` with these options does."""
    cache = ChecksumCache(Path("nowhere.json"))
    target, source = (manifest(DATASETS[n], Path("data"), cache) for n in ("digits", "glyphs"))

    def make(**options: Any) -> Plan:
        return plans.make(requests.check(requests.Request("digits", **options)), target, source)

    return make


@pytest.fixture
def spec(make_plan: Make) -> RunSpec:
    return make_plan(methods=("dfg",), repeats=1).runs[0].spec


# Rows


def test_rows_are_f01_to_f30_in_order_and_three_of_ours() -> None:
    ours = ["N01", "N02", "N03"]
    assert [entry.id for entry in LEDGER] == [*(f"F{i:02d}" for i in range(1, 31)), *ours]


def test_the_switches_are_the_rows_with_two_readings() -> None:
    assert list(SWITCHES) == SWITCH_IDS
    for entry in LEDGER:
        assert entry.switch == (entry.id in SWITCH_IDS)
        assert entry.what
        assert entry.paper
        assert entry.paper != entry.released


def test_methods_and_backbones_of_rows_are_known() -> None:
    for entry in LEDGER:
        assert set(entry.methods) <= set(METHODS)
        assert set(entry.backbones) <= set(BACKBONES)


@pytest.mark.parametrize(("method", "backbone"), list(product(BUILT_IN, BACKBONES)))
def test_a_run_is_touched_by_the_switches_of_its_method_and_network(
    method: str, backbone: str
) -> None:
    touching = ledger.touching(method, backbone)
    assert set(touching) == expected(method, backbone)
    assert list(touching) == [i for i in SWITCH_IDS if i in touching]


def test_a_method_of_ones_own_is_touched_by_what_is_no_single_methods() -> None:
    assert ledger.touching("balanced_demo", "lenet5") == ("F09", "F14", "F16")


# Readings


def test_protocols_read_all_switches_one_way() -> None:
    assert ledger.readings("paper", {}) == PAPER_READINGS == Readings()
    assert ledger.readings("released", {}).released == set(SWITCH_IDS)


def test_a_single_switch_departs_from_its_protocol() -> None:
    assert ledger.readings("paper", {"F05": "released"}).released == {"F05"}
    assert ledger.readings("released", {"F05": "paper"}).released == set(SWITCH_IDS) - {"F05"}
    assert ledger.readings("released", {"F05": None}).released == set(SWITCH_IDS)
    assert "F05" in Readings(frozenset({"F05"}))
    assert "F05" not in PAPER_READINGS


def test_a_protocol_that_there_is_not_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'released'"):
        ledger.readings("release", {})


@pytest.mark.parametrize("protocol", ledger.PROTOCOLS)
def test_a_single_switch_departs_exactly_where_it_touches(protocol: str) -> None:
    other = "released" if protocol == "paper" else "paper"
    for switch, method, backbone in product(SWITCH_IDS, BUILT_IN, BACKBONES):
        chosen = ledger.readings(protocol, {switch: other})
        found = ledger.departing(chosen, protocol, method, backbone)
        assert found == ({switch: other} if switch in expected(method, backbone) else {})
        same = ledger.readings(protocol, {switch: protocol})
        assert ledger.departing(same, protocol, method, backbone) == {}


def test_readings_of_a_run_are_those_of_its_spec_that_touch_it(spec: RunSpec) -> None:
    assert ledger.readings_of(spec) == PAPER_READINGS
    own = replace(spec, settings={**spec.settings, "fidelity": {"F05": "released"}})
    assert ledger.readings_of(own).released == {"F05"}
    released = replace(spec, protocol="released", settings={"fidelity": {"F05": "paper"}})
    assert ledger.readings_of(released).released == expected("dfg", "lenet5") - {"F05"}
    other = replace(spec, protocol="released", method="original", backbone="resnet50", settings={})
    assert ledger.readings_of(other).released == {"F14", "F16", "F29"}


# The list


def test_the_table_has_both_readings_and_the_default_of_every_row() -> None:
    rows = {row["id"]: row for row in ledger.table()}
    assert list(rows) == [entry.id for entry in LEDGER]
    assert all("used" not in row for row in rows.values())
    for entry in LEDGER:
        row = rows[entry.id]
        assert (row["what"], row["paper"]) == (entry.what, entry.paper)
        assert row["released"] == (entry.released or entry.paper)
        assert row["default"] == ("paper" if entry.switch else "both")
        assert row["switch"] == entry.switch
    assert rows["F01"]["methods"] == ["dfg"]
    assert rows["F14"]["methods"] == list(BUILT_IN)
    assert rows["F09"]["backbones"] == ["lenet5"]
    assert rows["F14"]["backbones"] == list(BACKBONES)


def test_the_table_of_a_run_says_which_reading_it_used(spec: RunSpec) -> None:
    mixed = replace(spec, settings={**spec.settings, "fidelity": {"F05": "released"}})
    used = {row["id"]: row["used"] for row in ledger.table(mixed)}
    assert used["F05"] == "released"
    assert {i for i in SWITCH_IDS if used[i] == "paper"} == expected("dfg", "lenet5") - {"F05"}
    assert {i for i in SWITCH_IDS if used[i] is None} == {"F27", "F28", "F29"}
    assert used["F02"] == "both"
    original = {
        row["id"]: row["used"]
        for row in ledger.table(replace(spec, method="original", protocol="released"))
    }
    assert {i for i in SWITCH_IDS if original[i] == "released"} == {"F09", "F14", "F16"}
    assert {i for i in SWITCH_IDS if original[i] is None} == set(SWITCH_IDS) - {"F09", "F14", "F16"}


# Identities


@pytest.fixture
def planned(make_plan: Make) -> Callable[..., dict[str, Any]]:
    """Plan one run of each method with the same majority classes; specs by method."""

    def make(*settings: str, protocol: str = "paper") -> dict[str, Any]:
        plan = make_plan(
            methods=tuple(METHODS), combinations="0,4", settings=settings, protocol=protocol
        )
        assert [run.spec.method for run in plan.runs] == list(METHODS)
        return {run.spec.method: run for run in plan.runs}

    return make


@pytest.mark.parametrize("protocol", ledger.PROTOCOLS)
def test_a_switch_changes_the_ids_of_the_runs_that_it_touches_and_no_others(
    planned: Callable[..., dict[str, Any]], protocol: str
) -> None:
    other = "released" if protocol == "paper" else "paper"
    plain = planned(protocol=protocol)
    ids = {method: {run.id} for method, run in plain.items()}
    for switch in SWITCH_IDS:
        for method, run in planned(f"fidelity.{switch}={other}", protocol=protocol).items():
            touched = switch in expected(method, "lenet5")
            assert (run.id != plain[method].id) == touched, (switch, method)
            assert run.spec.settings.get("fidelity", {}) == ({switch: other} if touched else {})
            ids[method].add(run.id)
    for method, found in ids.items():
        assert len(found) == 1 + len(expected(method, "lenet5"))


def test_a_switch_set_as_its_protocol_says_leaves_ids_alone(
    planned: Callable[..., dict[str, Any]],
) -> None:
    for protocol in ledger.PROTOCOLS:
        plain = planned(protocol=protocol)
        said = planned(*(f"fidelity.{i}={protocol}" for i in SWITCH_IDS), protocol=protocol)
        assert {r.id for r in said.values()} == {r.id for r in plain.values()}


def test_the_protocol_is_part_of_every_id(planned: Callable[..., dict[str, Any]]) -> None:
    paper, released = planned(), planned(protocol="released")
    assert all(paper[m].id != released[m].id for m in METHODS)
    assert {run.spec.protocol for run in released.values()} == {"released"}


def test_a_switch_that_changes_the_network_changes_its_source_network(make_plan: Make) -> None:
    def source_of(*settings: str, protocol: str = "paper") -> Any:
        options = {"repeats": 1, "settings": settings, "protocol": protocol}
        (source,) = make_plan(methods=("finetune",), **options).sources
        return source

    plain = source_of()
    assert "fidelity" not in plain.settings
    wide = source_of("fidelity.F09=released")
    assert wide.settings["fidelity"] == {"F09": "released"}
    assert wide.identity() != plain.identity()
    assert source_of(protocol="released") == wide
    for switch in SWITCH_IDS:
        if switch != "F09":
            assert source_of(f"fidelity.{switch}=released") == plain, switch


def test_a_switch_can_be_swept(make_plan: Make) -> None:
    sweep = ("fidelity.F05=paper,released",)
    plan = make_plan(methods=("original", "dfg"), repeats=1, settings=sweep)
    assert [r.spec.method for r in plan.runs] == ["original", "dfg", "dfg"]
    swept = [r for r in plan.runs if r.spec.method == "dfg"]
    assert [r.sweep for r in swept] == [{"fidelity.F05": x} for x in ("paper", "released")]
    assert [r.spec.settings.get("fidelity") for r in swept] == [None, {"F05": "released"}]
    assert len({r.id for r in plan.runs}) == 3


def test_a_swept_switch_is_no_part_of_a_run_that_it_does_not_touch(make_plan: Make) -> None:
    sweep = ("fidelity.F05=paper,released",)
    (original,) = make_plan(methods=("original",), repeats=1, settings=sweep).runs
    assert original.sweep == {}


@pytest.mark.parametrize(
    ("setting", "hint"),
    [("F05=yes", "should be 'paper' or 'released'"), ("F02=released", "Unknown setting")],
)
def test_what_cannot_be_read_two_ways_cannot_be_set(
    make_plan: Make, setting: str, hint: str
) -> None:
    with pytest.raises(SettingError, match=hint):
        make_plan(settings=(f"fidelity.{setting}",))


# Notes


def notes(make_plan: Make, *settings: str, **options: Any) -> list[str]:
    plain = make_plan(**{"repeats": 1, "methods": ("dfg",), **options, "protocol": "paper"}).notes
    made = make_plan(**{"repeats": 1, "methods": ("dfg",), **options, "settings": settings}).notes
    return [note for note in made if note not in plain]


def test_a_changed_setting_without_effect_is_named(make_plan: Make) -> None:
    for setting, switch in (("rho", "F06"), ("delta", "F03"), ("weight_images", "F13")):
        change = f"dfg.{setting}=1"
        assert notes(make_plan, change) == []
        for found in (
            notes(make_plan, change, protocol="released"),
            notes(make_plan, change, f"fidelity.{switch}=released"),
            notes(make_plan, change, f"fidelity.{switch}=paper,released"),
        ):
            assert len(found) == 1
            assert found[0].startswith(
                f"dfg.{setting} has no effect with {switch} read as released"
            )
        assert notes(make_plan, change, f"fidelity.{switch}=paper", protocol="released") == []


def test_the_released_protocol_alone_needs_no_note(make_plan: Make) -> None:
    assert notes(make_plan, protocol="released") == []


def test_a_switch_that_touches_no_chosen_method_is_named(make_plan: Make) -> None:
    idle = "--set fidelity.{} touches none of the chosen methods."
    assert notes(make_plan, "fidelity.F27=released") == [idle.format("F27")]
    assert notes(make_plan, "fidelity.F05=released") == []
    found = notes(make_plan, "fidelity.F05=released", methods=("original", "delta"))
    assert found == [idle.format("F05")]


def test_random_majority_classes_are_no_idle_switch(make_plan: Make) -> None:
    released = make_plan(methods=("original",), repeats=2, settings=("fidelity.F15=released",))
    assert {r.id for r in released.runs}.isdisjoint(
        r.id for r in make_plan(methods=("original",), repeats=2).runs
    )
    assert not any("F15 touches none" in note for note in released.notes)


def test_ineffective_settings_are_those_that_were_changed() -> None:
    released = ledger.readings("released", {})
    assert ledger.ineffective(released, ()) == []
    assert ledger.ineffective(released, ("dfg.alpha", "reg.beta")) == []
    assert ledger.ineffective(PAPER_READINGS, ("dfg.rho", "dfg.delta")) == []
    found = ledger.ineffective(released, ("dfg.delta", "dfg.rho"))
    assert [note.partition(" ")[0] for note in found] == ["dfg.delta", "dfg.rho"]
