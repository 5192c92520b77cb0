"""Writes a table as Markdown, LaTeX, CSV, JSON or HTML."""

import html
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfgctl.report.table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
{body}
</html>
"""


def render(table: Table, kind: str) -> str:
    """Write a table.

    Args:
        table: the table.
        kind: ``md``, ``latex``, ``csv``, ``json`` or ``html``.
    """
    match kind:
        case "json":
            return json.dumps(list(table.records), indent=2, ensure_ascii=False, default=str)
        case "csv":
            return _csv(table)
        case "latex":
            return _latex_table(table)
        case "html":
            return PAGE.format(title=html.escape(table.title), body=html_of(table))
        case _:
            return _markdown(table)


def html_of(table: Table) -> str:
    """Return a table as a part of a page: a figure with its caption and notes.

    A cell's ``data-order`` is the number that it sorts by.
    """
    numeric = [
        any(row[i].order is not None for row in table.rows) for i, _ in enumerate(table.columns)
    ]
    sides = [
        f"{c.kind} number" if n else c.kind for c, n in zip(table.columns, numeric, strict=True)
    ]
    head = "".join(
        f'<th scope="col" class="{side}">{html.escape(column.title)}</th>'
        for column, side in zip(table.columns, sides, strict=True)
    )
    body = "\n".join(
        f"<tr>{''.join(_html_cell(c, s) for c, s in zip(row, sides, strict=True))}</tr>"
        for row in table.rows
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in (table.caption, *table.notes))
    title = html.escape(table.title)
    return (
        f'<figure class="table" id="table-{table.name}">\n'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{title}">\n'
        f"<table>\n<caption>{title}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>\n</div>\n<figcaption>{notes}</figcaption>\n</figure>"
    )


def _html_cell(cell: Cell, side: str) -> str:
    first, *rest = [html.escape(line) for line in cell.lines] or [""]
    first = f"<strong>{first}</strong>" if cell.best else first
    more = "".join(f"<br><small>{line}</small>" for line in rest)
    order = "" if cell.order is None else f' data-order="{float(cell.order)!r}"'
    tag, scope = ("th", ' scope="row"') if side.startswith("label") else ("td", "")
    return f'<{tag}{scope} class="{side}"{order}>{first}{more}</{tag}>'


def _frame(table: Table, bold: str) -> "pd.DataFrame":
    """Return the table as it is read, with the best in bold."""
    import pandas as pd  # late: it takes long, and a terminal's table does without

    texts = [
        [bold.format(cell.text()) if cell.best else cell.text() for cell in row]
        for row in table.rows
    ]
    return pd.DataFrame(texts, columns=[column.title for column in table.columns])


def _markdown(table: Table) -> str:
    frame = _frame(table, "**{}**").map(lambda text: text.replace("|", r"\|"))
    sides = ["right" if c.kind == "value" else "left" for c in table.columns]
    text = frame.to_markdown(index=False, colalign=sides, disable_numparse=True)
    return text + "\n\n" + "\n\n".join((table.caption, *table.notes)) + "\n"


def _csv(table: Table) -> str:
    import pandas as pd

    # As objects, so that a column of counts with a gap does not become one of floats.
    frame = pd.DataFrame([_flat(record) for record in table.records], dtype=object)
    return str(frame.to_csv(index=False))


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Write lists as one text, and counts as columns of their own."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= value
        elif isinstance(value, list | tuple):
            flat[key] = "; ".join(map(str, value))
        else:
            flat[key] = value
    return flat


BOLD = "\x00{}\x01"
"""Marks what is bold until all else is escaped; no text holds these characters."""


def _latex_table(table: Table) -> str:
    import pandas as pd

    frame = _frame(table, BOLD).map(latex)
    frame.columns = pd.Index([latex(column.title) for column in table.columns])
    sides = "".join("r" if c.kind == "value" else "l" for c in table.columns)
    notes = latex(" ".join((table.caption, *table.notes)))
    text = frame.to_latex(
        index=False, caption=notes, label=f"tab:{table.name}", position="htb", column_format=sides
    )
    return str(text).replace("\x00", r"\textbf{").replace("\x01", "}")


_LATEX = {
    **{character: f"\\{character}" for character in "%_&#${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "ρ": r"$\rho$",
    "δ": r"$\delta$",
    "×": r"$\times$",
    "–": "--",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "µ": r"$\mu$",
    "<": r"$<$",
    ">": r"$>$",
}


def latex(text: str) -> str:
    """Escape what LaTeX would read as commands, and write the signs that it has not."""
    return "".join(_LATEX.get(character, character) for character in text)
