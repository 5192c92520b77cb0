"""Titles: the catalog's and the paper's, and names for what neither knows."""

from dataclasses import replace
from typing import Any

from dfgctl.contenders import METHODS
from dfgctl.report.cards import classes_of, method_titles, title_of


def test_a_data_set_of_the_catalog_has_its_title_and_classes(make_run: Any) -> None:
    run = make_run(dataset="fmnist")
    assert title_of(run) == "F-MNIST"
    assert classes_of(run)[9] == "Ankle boot"


def test_a_data_set_that_the_catalog_does_not_know_has_its_name(make_run: Any) -> None:
    run = make_run()
    own = replace(run, spec=replace(run.spec, dataset="shells"), class_counts=(9, 3, 3))
    assert title_of(own) == "shells"
    assert classes_of(own) == ("0", "1", "2")


def test_methods_of_ones_own_come_after_the_papers(make_run: Any) -> None:
    run = make_run()
    settings = {"code": {"title": "Mine, too"}}
    titled = replace(run, spec=replace(run.spec, method="b", settings=settings))
    plain = replace(run, spec=replace(run.spec, method="a"))
    titles = method_titles([titled, run, plain])
    assert list(titles.items()) == [*METHODS.items(), ("b", "Mine, too"), ("a", "a")]
