"""Who is compared, and what stands for several methods."""

from dfgctl.contenders import BUILT_IN, METHODS, RIVALS, each


def test_a_group_stands_for_its_methods_and_each_is_named_once() -> None:
    assert each(()) == list(METHODS)
    assert each(["rivals"]) == list(RIVALS)
    assert each(["dfg", "all", "own:Method"]) == [
        "dfg",
        *(method for method in BUILT_IN if method != "dfg"),
        "own:Method",
    ]
