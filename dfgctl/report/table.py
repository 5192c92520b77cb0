"""A table: what is read in its cells, what scripts read instead, and what must be said below it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["label", "detail", "value"]
"""What a column holds: names of rows, what tells rows of one name apart, or numbers."""


@dataclass(frozen=True)
class Cell:
    """What is read in one place.

    Attributes:
        lines: the text; the first line is what counts, the others explain it.
        best: whether it is the best of its row, and so in bold.
        order: the number that it is sorted by; None for its text.
    """

    lines: Sequence[str]
    best: bool = False
    order: float | None = None

    def text(self) -> str:
        """Write the cell in one line."""
        if not self.lines:
            return ""
        first, *rest = self.lines
        return f"{first} ({', '.join(rest)})" if rest else first


@dataclass(frozen=True)
class Column:
    """A column: its title, and what it holds."""

    title: str
    kind: Kind = "value"


@dataclass(frozen=True)
class Table:
    """A table, whatever it shows.

    Attributes:
        name: what ``dfgctl table`` calls it.
        title: its title.
        columns: the columns; a ``label`` comes first, its ``detail`` next.
        rows: a cell for each column.
        caption: what the numbers are.
        notes: what holds for some of them.
        records: for scripts, one flat record for each cell or row; what they hold may be a list
            of texts, or the counts of a few names.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str
    notes: Sequence[str]
    records: Sequence[Mapping[str, Any]]
