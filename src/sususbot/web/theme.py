"""How the page looks: colours, type and the manners of its parts, light and dark.

What all pages share is in the style sheet `theme.css`, what one has alone in a sheet of its name. The colours are
variables (`--ink`, `--card`, `--accent`, …), so that a page that styles something of its own takes them from there.
Charts cannot read variables: `CHART` has colours that can be told apart on both grounds.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Final

# Eight hues that read on white and on near-black alike, and that the colour-blind tell apart (Okabe and Ito's order).
CHART: Final = ("#3f7fd4", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#2b8cbe", "#8c6bb1", "#8a8a8a")
_MUTED: Final = "#8b8f98"


@cache
def style_sheet(name: str = "theme") -> str:
    """One of the package's style sheets."""
    return files("sususbot.web").joinpath(f"{name}.css").read_text(encoding="utf-8")


def chart(**options: Any) -> dict[str, Any]:
    """Options of an ECharts chart with the look of the page: no ground of its own, ink that reads on both."""
    axis = {
        "axisLine": {"lineStyle": {"color": _MUTED}},
        "axisLabel": {"color": _MUTED},
        "splitLine": {"lineStyle": {"color": _MUTED, "opacity": 0.25}},
        "nameTextStyle": {"color": _MUTED},
    }
    for name in ("xAxis", "yAxis"):
        if name in options:
            given = options[name] if isinstance(options[name], list) else [options[name]]
            options[name] = [{**axis, **one} for one in given]
    return {
        "color": list(CHART),
        "textStyle": {"color": _MUTED, "fontFamily": "inherit"},
        "legend": {"textStyle": {"color": _MUTED}, **options.pop("legend", {})},
        "backgroundColor": "transparent",
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 36, "bottom": 8, "containLabel": True},
        **options,
    }
