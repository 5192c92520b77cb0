"""What a command does with bad input."""

from typing import Any


def refused(result: Any, *says: str) -> None:
    """Expect exit code 2, nothing on standard output, and one sentence that says all of this."""
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err
    (line,) = result.err.strip().splitlines()
    assert line.startswith("Error: ")
    for part in says:
        assert part in line
