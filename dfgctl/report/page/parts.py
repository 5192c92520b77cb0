"""The parts of a page: what could be made, what is lacking, and what went wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dfgctl.errors import InputError


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes:
        anchor: its id in the page.
        title: its heading.
        html: what it shows, escaped, each with the command that makes it again.
        absent: sentences that say what is lacking and what to run, each once.
        failed: what went wrong, a sentence each.
    """

    anchor: str
    title: str
    html: Sequence[tuple[str, str]] = ()
    absent: Sequence[str] = ()
    failed: Sequence[str] = ()


def part(anchor: str, title: str, pieces: Mapping[str, Callable[[], str]]) -> Part:
    """Make a part of one piece or several; what cannot be shown becomes its sentence.

    Args:
        anchor: its id in the page.
        title: its heading.
        pieces: the command that makes each piece, to what makes its HTML.
    """
    html: list[tuple[str, str]] = []
    absent: dict[str, None] = {}
    failed: list[str] = []
    for command, make in pieces.items():
        try:
            html.append((command, make()))
        except InputError as error:  # a sentence with its remedy
            absent[str(error)] = None
        except Exception as error:  # one piece must not take the page with it: it is named there
            failed.append(f"{command}: {type(error).__name__}: {error}")
    return Part(anchor, title, html, tuple(absent), failed)
