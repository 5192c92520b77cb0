"""Which accuracy is reported: a run's own reading of F14, or what was asked for."""

from dataclasses import replace
from typing import Any

import pytest

from dfgctl.errors import NothingToShowError
from dfgctl.report.selection import (
    NO_SHARE,
    NOT_KEPT,
    Select,
    accuracy_of,
    caption,
    gap_of,
    reading_of,
    require_any,
    shown_of,
)

THREE = {"accuracy_best": 0.9, "accuracy_val": 0.8, "val_step": 20}


def with_switch(run: Any, value: str) -> Any:
    """Return a run with a reading of F14 of its own."""
    settings = {**run.spec.settings, "fidelity": {"F14": value}}
    return replace(run, spec=replace(run.spec, settings=settings))


@pytest.mark.parametrize(
    ("protocol", "switch", "expected"),
    [
        ("paper", None, Select.last),
        ("paper", "paper", Select.last),
        ("paper", "released", Select.best),
        ("released", None, Select.best),
        ("released", "paper", Select.last),
        ("released", "released", Select.best),
    ],
)
def test_a_runs_own_reading_is_its_switch_or_else_its_protocol(
    make_run: Any, protocol: str, switch: str | None, expected: Select
) -> None:
    run = make_run(accuracy=0.5, protocol=protocol, metrics=THREE)
    run = with_switch(run, switch) if switch else run
    assert reading_of(run) is shown_of(run) is expected
    assert accuracy_of(run) == {"last": 0.5, "best": 0.9}[expected]


@pytest.mark.parametrize("protocol", ["paper", "released"])
@pytest.mark.parametrize(("select", "expected"), [("last", 0.5), ("best", 0.9), ("val", 0.8)])
def test_what_is_asked_for_comes_before_a_runs_reading(
    make_run: Any, protocol: str, select: str, expected: float
) -> None:
    run = make_run(accuracy=0.5, protocol=protocol, metrics=THREE)
    assert accuracy_of(run, Select(select)) == expected
    assert shown_of(run, Select(select)) == select


def test_a_run_without_results_has_no_accuracy_and_no_gap(make_run: Any) -> None:
    run = make_run(accuracy=None)
    assert [accuracy_of(run, s) for s in (None, *Select)] == [None] * 4
    assert [gap_of(run, s) for s in (None, *Select)] == [None] * 4


def test_a_missing_validated_accuracy_is_explained(make_run: Any) -> None:
    assert gap_of(make_run(), Select.val) == NO_SHARE == "no validation share"
    assert gap_of(make_run(validation=0.1), Select.val) == NOT_KEPT
    assert gap_of(make_run(validation=0.1, metrics=THREE), Select.val) is None
    assert gap_of(make_run(), Select.last) is gap_of(make_run(), Select.best) is None


def test_nothing_to_show_ends_in_the_remedy_only_where_no_finished_run_has_it(
    make_run: Any,
) -> None:
    without, queued, has = make_run(), make_run(accuracy=None), make_run(metrics=THREE)
    with pytest.raises(NothingToShowError, match=r"--validation 0\.1.*--select last"):
        require_any([without, queued], Select.val)
    require_any([without, has], Select.val)
    require_any([queued], Select.val)
    require_any([without], None)


def test_captions_say_what_is_shown_and_that_the_best_looks_at_the_test_set() -> None:
    assert caption([Select.last, Select.last], "*") == "Test accuracy in % after the last step"
    assert "looks at the test set" in caption([Select.best], "*")
    assert "validation share" in caption([Select.val], "*")
    mixed = caption([Select.best, Select.last], "*")
    assert "after the last step" in mixed
    assert "marked * the best" in mixed
    assert "looks at the test set" in mixed
