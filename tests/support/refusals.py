"""What a command does with bad input."""

from typing import Any


def refused(result: Any, *says: str, code: int = 2, told: bool = False) -> None:
    """Expect an exit code, nothing on standard output, and one sentence that says all of this.

    Args:
        result: what the command did.
        says: parts of the sentence.
        code: the exit code.
        told: whether it may say something else before.
    """
    assert (result.code, result.out) == (code, "")
    assert "Traceback" not in result.err
    *before, line = result.err.strip().splitlines()
    assert told or not before
    assert line.startswith("Error: ")
    for part in says:
        assert part in line
