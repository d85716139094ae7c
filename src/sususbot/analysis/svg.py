"""A chart as inline SVG: drawn by matplotlib, in the colours of the page it stands on.

Each picture is drawn twice, for a wide page and for a phone, since text that is scaled down cannot be read. Marks carry
the path of the figure they show (`data-mark`) and say it when pointed at. Text stays text, nothing is styled in place,
and the same figures give the same bytes.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that stand for the page's own; which it is, the style sheet says.
INK: Final = "#010101"
MUTED: Final = "#020202"
GRID: Final = "#030303"
ACCENT: Final = "#040404"
_CLASSES: Final = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent"}
_SVG: Final = "{http://www.w3.org/2000/svg}"
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sususbot",
    "text.parse_math": False,
    "font.size": 11,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "axes.linewidth": 0,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 1,
    "path.simplify": False,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart in its two sizes, and what it shows in words."""

    name: str
    alt: str
    wide: str
    narrow: str


def picture(name: str, alt: str, draw: Callable[[bool], str]) -> Picture:
    return Picture(name, alt, draw(True), draw(False))


def svg(draw: Callable[["Axes"], None], titles: Mapping[str, str], *, size: tuple[int, int]) -> str:
    """What `draw` paints; `titles` are for its marks, by their path."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = BytesIO()
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # Names hold letters that its own font lacks; the page's font draws them.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained", facecolor="none", edgecolor="none")
        draw(figure.add_subplot(facecolor="none"))
        # `savefig` would draw all of it once more, for the layout alone.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), titles)


def _inline(svg: bytes, titles: Mapping[str, str]) -> str:
    """matplotlib's file as a part of a page: no ids, no styles, colours as classes, marks with their title."""
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}defs"):
                parent.remove(child)
    for element in root.iter():
        path = element.attrib.pop("id", "")
        if path in titles:
            element.set("data-mark", path)
            title = ElementTree.Element(f"{_SVG}title")
            title.text = titles[path]
            element.insert(0, title)
        _restyle(element)
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "aria-hidden": "true"})
    ElementTree.register_namespace("", _SVG[1:-1])
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r"\s*\n\s*", "\n", text.replace(f' xmlns="{_SVG[1:-1]}"', ""))


def _restyle(element: ElementTree.Element) -> None:
    classes = []
    style = element.attrib.pop("style", "")
    for declaration in filter(None, map(str.strip, style.split(";"))):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in ("fill", "stroke") and value in _CLASSES:
            classes.append(f"{name}-{_CLASSES[value]}")
        elif name == "font-size":
            element.set(name, value.removesuffix("px"))
        elif name in ("fill", "stroke", "opacity", "fill-opacity", "stroke-width", "stroke-dasharray", "text-anchor"):
            element.set(name, value)
    if classes:
        element.set("class", " ".join(classes))
