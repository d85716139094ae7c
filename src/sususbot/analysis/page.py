"""The analysis as one HTML file: nothing loaded, nothing run, every word of a member escaped.

Every figure stands in a `<data>` element whose `data-figure` is its path in the analysis as `--json` prints it, so that
page and archive can be compared.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from sususbot.analysis import report
from sususbot.analysis.analysis import Analysis
from sususbot.errors import MissingExtra, installing

# Rows shown; `--json` has them all.
LIMITS: Final[Mapping[str, int]] = {"authors": 30, "channels": 30, "pairs": 12, "words": 12, "languages": 10}
SECTIONS: Final = (
    ("summary", "Summary"),
    ("time", "Over time"),
    ("week", "Hours"),
    ("members", "Members"),
    ("lengths", "Lengths"),
    ("reactions", "Reactions"),
    ("answers", "Who answers whom"),
    ("emoji", "Emoji"),
    ("words", "Words"),
    ("languages", "Languages"),
    ("repetition", "Duplicates and spam"),
    ("cleaning", "Cleaning"),
    ("conversations", "Conversations"),
    ("training", "Training"),
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def page(analysis: Analysis) -> str:
    """The whole file. Raises MissingExtra where its libraries are not installed."""
    try:
        from markupsafe import Markup, escape

        from sususbot.analysis.charts import pictures
        from sususbot.analysis.html import rendered

        drawn = pictures(analysis)
    except ImportError as error:
        raise MissingExtra("the HTML report", "analyze") from error
    values = as_json(analysis)

    def figure(path: str, form: str = "number") -> Markup:
        text = report.FORMATS[form](report.at(values, path))
        return Markup(f'<data data-figure="{escape(path)}" value="{escape(_value(report.at(values, path)))}">') + (
            escape(text) + Markup("</data>")
        )

    def told(sentence: str) -> Markup:
        parts = report.parts(sentence)
        return Markup("").join(figure(*part) if isinstance(part, tuple) else escape(part) for part in parts)

    return rendered(
        "sususbot.analysis",
        "page.html",
        [("sususbot.analysis", "page.css")],
        a=values,
        f=figure,
        told=told,
        installing=installing,
        pictures=drawn,
        findings=report.findings(analysis),
        sections=SECTIONS,
        limits=LIMITS,
        days=_DAYS,
        languages=report.LANGUAGES,
    )


def as_json(analysis: Analysis) -> dict[str, Any]:
    """The analysis as `--json` prints it."""
    values: dict[str, Any] = orjson.loads(orjson.dumps(analysis))
    return values


def _value(value: object) -> str:
    """For machines: a number as it is, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
