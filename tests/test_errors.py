"""The error tree: exit codes, and the nearest of the names that are known."""

import inspect
import re

import pytest

from dfgctl import errors


def classes() -> dict[str, type[errors.DfgctlError]]:
    return {
        name: value
        for name, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, errors.DfgctlError)
    }


def test_what_the_user_can_mend_exits_with_2_and_the_rest_with_1() -> None:
    for name, value in classes().items():
        if name == "StoppedError":  # as by Ctrl-C
            assert value.exit_code == 130
            continue
        assert value.exit_code == (2 if issubclass(value, errors.InputError) else 1), name
    assert {n for n, c in classes().items() if c.exit_code == 1} == {
        "DfgctlError",
        "LeaseLostError",
        "SourceBusyError",
        "TrialFailedError",
        "RegistryUnavailableError",
        "WorkersFailedError",
        "PartsFailedError",
        "RunsFailedError",
    }


def test_the_tree_that_is_drawn_is_the_tree_that_is() -> None:
    drawn = {}
    parents = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r" {4}([│├└─ ]*)(\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            parents = [*parents[: depth + 1], match[2]]
            drawn[match[2]] = parents[depth]
    assert drawn == {name: value.__bases__[0].__name__ for name, value in classes().items()}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("digit", "digits"),
        ("fmnits", "fmnist"),
        ("emnist-letter", "emnist-letters"),
        ("orginal", None),
        ("", None),
        ("zzzz", None),
    ],
)
def test_the_nearest_name_is_found_if_one_is_near(name: str, near: str | None) -> None:
    known = ["digits", "fmnist", "emnist-letters", "emnist-digits"]
    assert errors.nearest(name, known) == near


def test_an_unknown_name_is_answered_with_the_nearest_and_all_that_are_known() -> None:
    error = errors.UnknownNameError("method", "dgf", {"original": 1, "dfg": 2})
    assert error.nearest == "dfg"
    assert str(error) == "Unknown method 'dgf': did you mean 'dfg'? There is: dfg, original."
    assert error.exit_code == 2


def test_where_nothing_is_near_no_guess_is_made() -> None:
    error = errors.UnknownNameError("method", "zzzz", ["original", "dfg"])
    assert error.nearest is None
    assert str(error) == "Unknown method 'zzzz': There is: dfg, original."


def test_known_names_may_come_from_any_iterable() -> None:
    error = errors.UnknownNameError("method", "dgf", iter(["original", "dfg"]))
    assert error.nearest == "dfg"
    assert "There is: dfg, original." in str(error)
