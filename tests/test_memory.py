"""The memory model's arithmetic, and what makes two runs of one kind."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from specs import spec

from dfgctl.memory import BACK_OFF, MARGIN, MORE, REACH, Point, Profile, kind_of, shared_out

GB = 10**9
sizes = st.integers(1, 300)
memory = st.integers(0, 200 * GB)
points = st.lists(
    st.builds(
        Point,
        pack=sizes,
        peak_bytes=st.none() | memory,
        failures=st.integers(0, 3),
        free_bytes=memory,
    ),
    unique_by=lambda p: p.pack,
    max_size=6,
).map(lambda found: sorted(found, key=lambda p: p.pack))


def profile(*points: Point) -> Profile:
    return Profile("k" * 64, "a device", 80 * GB, "dfg", "lenet5", "digits", points)


def measured(**peaks: int) -> Profile:
    """Make a profile of sizes and bytes: ``r1=2 * GB``."""
    return profile(*(Point(int(name[1:]), peak) for name, peak in peaks.items()))


def failed(pack: int, free: int, failures: int = 1) -> Point:
    return Point(pack, failures=failures, free_bytes=free)


def test_two_sizes_give_the_line_through_them() -> None:
    known = measured(r1=2 * GB, r3=3 * GB)
    line = known.line()
    assert line == pytest.approx((1.5 * GB, 0.5 * GB))
    assert known.bytes(9) == pytest.approx(6 * GB)


@pytest.mark.parametrize("known", [profile(), measured(r4=GB), profile(failed(3, GB))])
def test_less_than_two_sizes_give_no_line_and_a_run_alone(known: Profile) -> None:
    assert known.line() is None
    assert known.bytes(1) is None
    assert known.fitting(80 * GB, 45) == 1


@given(points)
def test_no_measured_size_lies_above_the_line_and_it_never_falls(known: list[Point]) -> None:
    made = profile(*known)
    line = made.line()
    assume(line is not None)
    assert line is not None
    assert line[1] >= 0
    for pack, peak in made.peaks.items():
        assert line[0] + line[1] * pack >= peak - 1e-6 * abs(peak) - 1


@given(points, memory, sizes)
def test_what_fits_is_never_more_than_the_free_memory_by_the_line(
    known: list[Point], available: int, most: int
) -> None:
    made = profile(*known)
    size = made.fitting(available, most)
    assert 1 <= size <= most
    needed = made.bytes(size)
    assert size == 1 or (needed is not None and needed <= (1 - MARGIN) * available)


@given(points, memory, memory, sizes, sizes)
def test_more_memory_and_more_runs_never_make_a_pack_smaller(
    known: list[Point], less: int, more: int, few: int, many: int
) -> None:
    made = profile(*known)
    (less, more), (few, many) = sorted((less, more)), sorted((few, many))
    assert made.fitting(less, few) <= made.fitting(more, few)
    assert made.fitting(less, few) <= made.fitting(less, many)


@given(points, memory, sizes)
def test_what_fits_is_the_largest_that_does(known: list[Point], available: int, most: int) -> None:
    made = profile(*known)
    size = made.fitting(available, most)
    if made.line() is not None and size < made.limit(available, most):
        needed = made.bytes(size + 1)
        assert needed is not None
        assert needed > (1 - MARGIN) * available * (1 - 1e-9)


@given(points, memory, sizes)
def test_a_size_that_ran_out_is_not_chosen_again_nor_a_larger_one(
    known: list[Point], available: int, most: int
) -> None:
    made = profile(*known)
    for point in known:
        if not point.failures or point.pack == 1:
            continue
        if point.failures > 1 or available < MORE * (point.free_bytes or 0):
            for size in (made.fitting(available, most), made.limit(available, most)):
                assert size < point.pack
                assert size <= max(1, BACK_OFF * point.pack)
            unmeasured = made.unmeasured(available, most)
            assert unmeasured is None or unmeasured < point.pack


def test_a_failure_with_little_memory_says_nothing_of_much_unless_it_came_twice() -> None:
    peaks = measured(r1=GB, r2=2 * GB).points
    once = profile(*peaks, failed(8, 5 * GB))
    assert once.fitting(9 * GB, 45) == 6  # three quarters of 8; the line alone allows 8
    assert once.fitting(80 * GB, 45) == 45
    twice = profile(*peaks, failed(8, 5 * GB, failures=2))
    assert twice.fitting(80 * GB, 45) == 6


def test_sizes_are_measured_one_two_and_then_no_larger_than_the_reach() -> None:
    free = 80 * GB
    assert profile().unmeasured(free, 45) == 1
    assert profile().unmeasured(free, 1) is None
    assert measured(r1=GB).unmeasured(free, 45) == 2
    assert measured(r8=GB).unmeasured(free, 45) == 1
    assert measured(r1=GB, r2=GB + 1).unmeasured(free, 45) == 2 * REACH
    assert measured(r1=GB, r2=GB + 1).unmeasured(free, 2 * REACH) is None
    assert measured(r1=GB, r2=21 * GB).unmeasured(free, 45) is None  # three fit at the most
    assert profile(failed(1, free)).unmeasured(free, 45) is None
    assert profile(Point(1, GB), failed(2, free)).unmeasured(free, 45) is None


@given(points, memory, sizes)
def test_measuring_comes_to_an_end(known: list[Point], available: int, most: int) -> None:
    made = profile(*known)
    for _ in range(6):
        size = made.unmeasured(available, most)
        if size is None:
            break
        assert size <= most
        others = [p for p in made.points if p.pack != size]
        old = next((p for p in made.points if p.pack == size), Point(size))
        assert old.peak_bytes is None
        added = replace(old, peak_bytes=GB * size)
        made = replace(made, points=tuple(sorted([*others, added], key=lambda p: p.pack)))
    assert made.unmeasured(available, most) is None


@given(st.integers(1, 2000), st.integers(1, 300))
def test_runs_are_shared_out_to_as_few_packs_as_can_be_and_evenly(count: int, most: int) -> None:
    size = shared_out(count, most)
    assert 1 <= size <= most
    packs = -(-count // most)
    assert -(-count // size) == packs
    assert size * packs - count < packs  # no pack is more than one short of the others' size


# Kinds


@pytest.mark.parametrize(
    "same",
    [
        {"seed": 7, "combination": (1, 2)},
        {"steps": 999, "eval_every": 500},
        {"ratio": "40:1", "majority": 3, "majority_count": 70},
        {"source_identity": "6" * 64},
        {"own": {"rho": 0.25, "eta_E": 1e-5, "delta": 0.9}},
        {"sections": {"source": {"steps": 3}}},
    ],
)
def test_what_changes_values_only_leaves_the_kind(same: dict[str, Any]) -> None:
    assert kind_of(spec("dfg", **same)) == kind_of(spec("dfg"))


@pytest.mark.parametrize(
    "other",
    [
        {"own": {"batch_size": 32}},
        {"own": {"n_D": 3}},
        {"own": {"optimizer": "sgd"}},
        {"data_digest": "e" * 64},
        {"validation": 0.1},
        {"protocol": "released"},
        {"sections": {"fidelity": {"F13": "released"}}},
        {"sections": {"network": {"split": "block2"}}},
        {"source": "mnist"},
    ],
)
def test_what_decides_memory_or_time_makes_another_kind(other: dict[str, Any]) -> None:
    first = spec("dfg", source="glyphs")
    assert kind_of(spec("dfg", **{"source": "glyphs", **other})) != kind_of(first)


def test_the_imbalance_decides_how_many_features_smote_holds() -> None:
    first = spec("smote")
    assert kind_of(spec("smote", combination=(1, 2), seed=3)) == kind_of(first)
    for other in ({"ratio": "40:1"}, {"majority_count": 60}, {"own": {"neighbours": 2}}):
        assert kind_of(spec("smote", **other)) != kind_of(first)


def test_the_shares_of_stages_decide_the_time() -> None:
    assert kind_of(spec("difa", own={"share_0": 0.1})) != kind_of(spec("difa"))
    assert kind_of(spec("difa", own={"lr": 0.5})) == kind_of(spec("difa"))


def test_methods_make_other_kinds() -> None:
    assert len({kind_of(spec(m)) for m in ("original", "finetune", "delta", "difa", "dfg")}) == 5


def test_of_one_s_own_method_every_setting_counts_and_so_does_its_code() -> None:
    def made(**changes: Any) -> str:
        code = {"class": "mine:Mine", "sha256": "a", "sections": []}
        settings = {"mine": {"width": changes.get("width", 0.5)}, "code": {**code, **changes}}
        return kind_of(replace(spec(), method="mine", settings=settings))

    assert made() == made()
    assert made(width=0.25) != made()
    assert made(sha256="b") != made()
