"""Records: canonical JSON, and identities that change with everything that a run is."""

import json
from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgctl.contenders import METHODS
from dfgctl.records import PRECISIONS, RunSpec, SourceSpec, canonical, digest

SPEC = RunSpec(
    dataset="digits",
    source="glyphs",
    source_identity="a" * 64,
    method="dfg",
    backbone="lenet5",
    protocol="paper",
    ratio="10:1",
    majority=2,
    majority_count=80,
    combination=(0, 4),
    seed=0,
    steps=800,
    eval_every=50,
    validation=0.0,
    settings={"dfg": {"rho": 0.75, "n_W": 200}, "reg": {"alpha": 0.01}},
    data_digest="b" * 64,
    results_version=1,
)
OTHERS: dict[str, list[Any]] = {
    "dataset": ["fmnist"],
    "source": ["mnist", None],
    "source_identity": ["c" * 64, None],
    "method": ["delta"],
    "backbone": ["vgg16"],
    "protocol": ["released"],
    "ratio": ["40:1"],
    "majority": [3],
    "majority_count": [81],
    "combination": [(0, 5), (), (4, 0)],
    "seed": [1],
    "steps": [801],
    "eval_every": [100],
    "validation": [0.1],
    "settings": [
        {"dfg": {"rho": 0.5, "n_W": 200}, "reg": {"alpha": 0.01}},
        {"dfg": {"rho": 0.75, "n_W": 200}, "reg": {"alpha": 0.02}},
        {"dfg": {"rho": 0.75, "n_W": 200}},
        {"dfg": {"rho": 0.75, "n_W": 200}, "numerics": {"precision": "bf16"}},
        {"dfg": {"rho": 0.75, "n_W": 200, "noise": 100}, "reg": {"alpha": 0.01}},
        {"dfg": {"rho": 0.75, "n_W": 200, "alpha": 0.01}, "reg": {}},
    ],
    "data_digest": ["d" * 64],
    "results_version": [2],
}
CHANGES = [(name, value) for name, values in OTHERS.items() for value in values]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(values)
def test_canonical_json_is_json_of_the_same_content(value: object) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.dictionaries(st.text(max_size=5), values, min_size=2, max_size=6))
def test_canonical_json_does_not_depend_on_the_keys_order(value: dict[str, object]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_canonical_json_is_written_in_one_way() -> None:
    value = {"b": (1, 2.5), "a": None, "ρ": True}
    assert canonical(value) == '{"a":null,"b":[1,2.5],"ρ":true}'
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_the_examples_change_every_field_of_a_run() -> None:
    assert set(OTHERS) == {field.name for field in fields(RunSpec)}


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_the_identity_changes_with_every_field(name: str, value: object) -> None:
    changed = replace(SPEC, **{name: value})
    assert changed.identity() != SPEC.identity()
    assert replace(changed, **{name: getattr(SPEC, name)}).identity() == SPEC.identity()


def test_identities_of_many_specs_are_all_different() -> None:
    identities = [replace(SPEC, **{name: value}).identity() for name, value in CHANGES]
    assert len(set(identities)) == len(CHANGES)
    assert all(len(i) == 64 and set(i) <= set("0123456789abcdef") for i in identities)


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_group_ignores_combination_and_seed_and_nothing_else(name: str, value: object) -> None:
    changed = replace(SPEC, **{name: value})
    assert (changed.group() == SPEC.group()) == (name in ("combination", "seed"))


def test_an_identity_outlives_storage_as_json() -> None:
    stored = json.loads(json.dumps(asdict(SPEC)))
    read = RunSpec(**{**stored, "combination": tuple(stored["combination"])})
    assert read.identity() == SPEC.identity()
    assert read.group() == SPEC.group()


def test_identities_stay_what_they_were() -> None:
    # They name runs in registries that exist: a change orphans every result.
    assert SPEC.identity() == ("fc8ff18629efb29c29ea694f2f2801f1db3b50e832bc770d60de3784dbdeae6f")


SOURCE = SourceSpec("glyphs", "lenet5", "e" * 64, {"steps": 600, "lr": 0.001}, None, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", "mnist"),
        ("backbone", "vgg16"),
        ("data_digest", "f" * 64),
        ("settings", {"steps": 601, "lr": 0.001}),
        ("weights_digest", "0" * 64),
        ("results_version", 2),
    ],
)
def test_a_sources_identity_changes_with_every_field(name: str, value: object) -> None:
    assert name in {field.name for field in fields(SourceSpec)}
    assert replace(SOURCE, **{name: value}).identity() != SOURCE.identity()
    assert replace(SOURCE).identity() == SOURCE.identity()


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        SPEC.seed = 1  # type: ignore[misc]


def test_methods_are_in_the_papers_order() -> None:
    assert list(METHODS) == ["original", "finetune", "delta", "difa", "dfg"]


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_a_precision_is_part_of_what_a_run_is_but_float32_goes_without_saying(
    precision: str,
) -> None:
    other = replace(SPEC, settings={**SPEC.settings, "numerics": {"precision": precision}})
    assert (SPEC.precision, other.precision) == ("fp32", precision)
    assert other.identity() != SPEC.identity()
    assert other.group() != SPEC.group()
