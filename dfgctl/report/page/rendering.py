"""Writes the page: one HTML file that needs nothing beside it."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dfgctl.report.page.holdings import Lines
from dfgctl.report.page.parts import Part

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """A section of the page, with its parts."""

    anchor: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """What the page says.

    Attributes:
        title: its title.
        holdings: what the registry holds.
        finding: the main finding, a sentence each.
        singles: what holds for single rows, a sentence each.
        warnings: what must be known before anything is believed, a sentence each.
        sections: the sections.
        command: the command that makes the page again.
        made: when and by what it was made.
    """

    title: str
    holdings: Lines
    finding: Sequence[str]
    singles: Sequence[str]
    warnings: Sequence[str]
    sections: Sequence[Section]
    command: str
    made: str

    @property
    def failures(self) -> list[str]:
        """What went wrong in any part, a sentence each."""
        return [text for s in self.sections for part in s.parts for text in part.failed]


def write(page: Page) -> str:
    """Write the page as HTML.

    Its policy lets no address be asked for anything, and no script run but the page's own.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _text("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        page=page,
        style=Markup(_text("page.css")),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'",
    )


@cache
def _text(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")
