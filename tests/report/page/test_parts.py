"""A part that cannot be shown is its sentence; one that fails is named."""

from dfgctl.errors import InputError, NothingToShowError
from dfgctl.report.page.parts import part


def fails(error: Exception) -> str:
    raise error


def test_what_can_be_made_stands_beside_what_cannot() -> None:
    made = part(
        "p",
        "Title",
        {
            "one": lambda: "<b>1</b>",
            "two": lambda: fails(NothingToShowError("No runs: train some.")),
            "three": lambda: fails(InputError("No weights: keep them.")),
            "four": lambda: fails(NothingToShowError("No runs: train some.")),
            "five": lambda: fails(ZeroDivisionError("by zero")),
        },
    )
    assert made.html == [("one", "<b>1</b>")]
    assert made.absent == ("No runs: train some.", "No weights: keep them.")
    assert made.failed == ["five: ZeroDivisionError: by zero"]
