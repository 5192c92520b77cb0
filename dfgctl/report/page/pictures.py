"""A figure as a piece of a page: an inline SVG, or a PNG where that would be large."""

import base64
import html
import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from dfgctl.report.figures import STYLE, Drawn

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from matplotlib.transforms import Bbox

LARGEST = 300_000
"""Characters of an SVG above which a PNG is taken."""

DPI = 150
"""Of a PNG."""

SHORT = 10
"""Digits of a run's id, as lists have them."""

_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def picture(drawn: Drawn, label: str) -> str:
    """Return a figure as HTML, with what it says and the runs behind it.

    Args:
        drawn: the figure, whose own caption is hidden: the page says the same in words.
        label: what it shows, in words, for those who do not see it.
    """
    anchor = f"figure-{drawn.name}"
    said = "".join(f"<li>{html.escape(line)}</li>" for line in drawn.said)
    told = f"<ul>{said}</ul>" if said else ""
    return (
        f'<figure class="picture" id="{html.escape(anchor)}">\n'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{html.escape(label)}">'
        f"{_image(drawn, label)}</div>\n"
        f"<figcaption>{told}{_runs(drawn)}</figcaption>\n</figure>"
    )


def _runs(drawn: Drawn) -> str:
    ids = " ".join(html.escape(run[:SHORT]) for run in dict.fromkeys(drawn.runs))
    if not ids:
        return ""
    count = len(set(drawn.runs))
    noun = "run" if count == 1 else "runs"
    return (
        f"<details><summary>The {count:,} {noun} behind it</summary><p><code>{ids}</code></p>"
        "</details>"
    )


def _image(drawn: Drawn, label: str) -> str:
    vector = _svg(drawn, label)
    if len(vector) <= LARGEST:
        return vector
    opened = io.BytesIO()
    box = _without_words(drawn)
    _save(drawn, opened, "png", bbox_inches=box, dpi=DPI, metadata={"Software": None})
    data = base64.b64encode(opened.getvalue()).decode()
    if len(data) > len(vector):
        return vector
    width = round(96 * drawn.figure.get_figwidth())
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(label)}" width="{width}" '
        f'style="--width: {width}px">'
    )


def _save(drawn: Drawn, opened: io.BytesIO, kind: str, **options: Any) -> None:
    import matplotlib

    style: dict[str, Any] = {**STYLE, "svg.hashsalt": drawn.name}
    with matplotlib.rc_context(style):  # type: ignore[arg-type]
        drawn.figure.savefig(opened, format=kind, **options)


def _without_words(drawn: Drawn) -> "Bbox | None":
    """Hide the strip of a figure that has only words (see ``captions``), which the page says anew.

    Returns:
        What is left of the figure, in inches; None where it has no such strip.
    """
    from matplotlib.transforms import Bbox

    width, height = drawn.figure.get_size_inches()
    for strip in drawn.figure.subfigs:
        if not strip.axes:
            strip.set_visible(False)
            return Bbox.from_extents(0, strip.bbox_relative.height * height, width, height)
    return None


def _svg(drawn: Drawn, label: str) -> str:
    """Draw a figure as an SVG that can stand in a page beside others.

    Ids are unique to the figure, and short, as each letter refers to one. Those that nothing
    refers to are left out, as are comments, metadata, and the style sheet, which would hold for the
    whole page.
    """
    opened = io.BytesIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    _save(drawn, opened, "svg", bbox_inches=_without_words(drawn), metadata=unsaid)
    root = ElementTree.fromstring(opened.getvalue())
    for element in root.iter():
        for child in list(element):
            if _plain(child.tag) in ("metadata", "style"):
                element.remove(child)
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", drawn.name)
    referred = dict.fromkeys(name for element in root.iter() for name in _referred(element))
    ids = {name: f"{prefix}-{i}" for i, name in enumerate(referred)}
    for element in root.iter():
        element.tag = _plain(element.tag)
        attributes = {_plain(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        for key, value in attributes.items():
            if key == "id" and value not in ids:
                continue
            if key == "id":
                value = ids[value]
            elif key == "href" and value.startswith("#"):
                value = f"#{ids[value[1:]]}"
            else:
                value = _REFERENCE.sub(lambda found: f"url(#{ids[found[1]]})", value)
            element.set(key, value)
    width = round(96 * drawn.figure.get_figwidth())
    # What the style sheet said, which children inherit.
    style = f"stroke-linejoin: round; stroke-linecap: butt; --width: {width}px"
    for key, value in (("xmlns", _SVG), ("role", "img"), ("aria-label", label), ("style", style)):
        root.set(key, value)
    return ElementTree.tostring(root, encoding="unicode")


_SVG = "http://www.w3.org/2000/svg"


def _plain(name: str) -> str:
    """Return a name without its namespace: HTML knows SVG's elements without."""
    return name.rpartition("}")[2]


def _referred(element: "Element") -> list[str]:
    """Return the ids that an element's attributes refer to."""
    found: list[str] = []
    for key, value in element.attrib.items():
        if _plain(key) == "href" and value.startswith("#"):
            found.append(value[1:])
        found += _REFERENCE.findall(value)
    return found
