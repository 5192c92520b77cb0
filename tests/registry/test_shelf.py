"""Source networks: ready or not, one trainer at a time, and no word from those who lost theirs."""

from collections.abc import Callable
from typing import Any

import pytest

from dfgctl.errors import LeaseLostError, SourceBusyError
from dfgctl.records import SourceSpec
from dfgctl.registry import Registry

SPEC = SourceSpec("glyphs", "lenet5", "d" * 64, {"steps": 20, "lr": 0.001, "seed": 0})
READY = {"classes": 10, "accuracy": 0.25, "seconds": 1.5, "path": "sources/x.safetensors"}
LATE = "UPDATE sources SET lease_until = '2000-01-01 00:00:00.000000'"


def test_a_source_comes_out_as_it_went_in(registry: Registry) -> None:
    token = registry.claim_source(SPEC)
    assert registry.source(SPEC.identity()) is None
    finished = registry.finish_source(SPEC.identity(), token, READY, {"commit": "abc"})
    stored = registry.source(SPEC.identity())
    assert stored == finished
    assert stored is not None
    assert (stored.identity, stored.spec) == (SPEC.identity(), SPEC)
    assert {name: getattr(stored, name) for name in READY} == READY


def test_a_source_without_accuracy_comes_out_as_it_went_in(registry: Registry) -> None:
    token = registry.claim_source(SPEC)
    registry.finish_source(SPEC.identity(), token, {**READY, "accuracy": None}, {})
    stored = registry.source(SPEC.identity())
    assert stored is not None
    assert stored.accuracy is None


def test_an_unknown_source_is_not_there(registry: Registry) -> None:
    assert registry.source(SPEC.identity()) is None


def test_a_source_that_is_being_trained_is_busy(registry: Registry) -> None:
    registry.claim_source(SPEC)
    with pytest.raises(SourceBusyError):
        registry.claim_source(SPEC)


def test_a_release_lets_the_next_one_train(registry: Registry) -> None:
    token = registry.claim_source(SPEC)
    registry.release_source(SPEC.identity(), token)
    assert registry.claim_source(SPEC) == token + 1


def test_a_beat_keeps_the_lease(registry: Registry, sql: Callable[..., Any]) -> None:
    token = registry.claim_source(SPEC)
    sql(LATE)
    registry.beat_source(SPEC.identity(), token)
    with pytest.raises(SourceBusyError):
        registry.claim_source(SPEC)


def test_who_lost_the_lease_can_no_longer_write(
    registry: Registry, sql: Callable[..., Any]
) -> None:
    old = registry.claim_source(SPEC)
    sql(LATE)
    new = registry.claim_source(SPEC)
    for write in (
        lambda: registry.beat_source(SPEC.identity(), old),
        lambda: registry.release_source(SPEC.identity(), old),
        lambda: registry.finish_source(SPEC.identity(), old, READY, {}),
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert registry.source(SPEC.identity()) is None
    assert registry.finish_source(SPEC.identity(), new, READY, {}).path == READY["path"]


def test_a_lease_on_an_unknown_source_is_no_lease(registry: Registry) -> None:
    with pytest.raises(LeaseLostError):
        registry.beat_source(SPEC.identity(), 1)


def test_a_source_whose_file_is_gone_can_be_claimed_again(registry: Registry) -> None:
    token = registry.claim_source(SPEC)
    registry.finish_source(SPEC.identity(), token, READY, {})
    assert registry.claim_source(SPEC) == token + 1


def test_a_lease_that_a_wrong_clock_wrote_does_not_block(
    registry: Registry, sql: Callable[..., Any]
) -> None:
    token = registry.claim_source(SPEC)
    sql("UPDATE sources SET lease_until = '2999-01-01 00:00:00.000000'")
    assert registry.claim_source(SPEC) == token + 1
