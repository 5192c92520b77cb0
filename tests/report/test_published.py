"""The paper's numbers, held against each other."""

import pytest

from dfgctl import recipe as recipes
from dfgctl.contenders import METHODS
from dfgctl.report import published

TABLE = published.everything()["accuracy"]
DATASETS = [name for name in TABLE if name not in ("place", "footnotes")]


def test_table_2_has_every_method_on_every_data_set_of_the_paper() -> None:
    assert DATASETS == ["svhn", "fmnist", "stl10", "cinic10", "caltech256", "food101"]
    for dataset in DATASETS:
        ratio = recipes.load(dataset).imbalance.ratio
        for method in METHODS:
            found = published.accuracy(dataset, method, TABLE[dataset]["ratio"])
            assert found is not None
            assert 0.3 < found.mean < 0.88
            assert 0 < found.std < 0.04
            assert found.place == "Table 2"
        assert TABLE[dataset]["ratio"] == ratio


def test_numbers_are_shares_and_carry_their_footnotes() -> None:
    found = published.accuracy("stl10", "dfg", "1:1")
    assert found is not None
    assert (found.mean, found.std) == (pytest.approx(0.8109), pytest.approx(0.0017))
    assert any("14.36" in note for note in found.footnotes)
    assert any("standard deviation" in note for note in found.footnotes)


@pytest.mark.parametrize(
    ("dataset", "method", "ratio"),
    [
        ("digits", "dfg", "10:1"),
        ("svhn", "mine", "10:1"),
        ("svhn", "dfg", "1:1"),
        ("place", "dfg", "1:1"),
    ],
)
def test_what_the_paper_does_not_have_is_none(dataset: str, method: str, ratio: str) -> None:
    assert published.accuracy(dataset, method, ratio) is None


def test_gains_are_table_2s_differences_but_where_a_footnote_says_otherwise() -> None:
    gains = published.everything()["gains"]
    off = set()
    for dataset in DATASETS:
        dfg, original = TABLE[dataset]["dfg"][0], TABLE[dataset]["original"][0]
        if abs(dfg - original - gains[dataset]) > 0.005:
            off.add(dataset)
    assert off == {"stl10", "caltech256"}
    notes = published.everything()["footnotes"]
    assert "14.73" in notes["stl10"]
    assert "42.99" in notes["caltech"]


def test_the_same_run_has_the_same_number_in_tables_2_3_and_4() -> None:
    every = published.everything()
    block1 = published.block("caltech256", "block1")
    table2 = published.accuracy("caltech256", "dfg", "1:1")
    assert block1 is not None
    assert table2 is not None
    assert block1.mean == table2.mean == every["cost"]["dfg"]["accuracy"][0] / 100
    for method in ("delta", "difa"):
        assert every["cost"][method]["accuracy"] == TABLE["caltech256"][method]
    assert published.block("caltech256", "block5") is None
    assert published.block("food101", "block1") is None


def test_runs_behind_a_number() -> None:
    assert published.repeats(2) == 45
    assert published.repeats(0) == 10
