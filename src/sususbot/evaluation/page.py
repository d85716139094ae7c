"""A report as one HTML file: nothing loaded, nothing run, every word of a member or a model escaped."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sususbot.errors import MissingExtra
from sususbot.evaluation import report as words
from sususbot.evaluation.compare import Compared, Side, Verdict, compare
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.findings import findings
from sususbot.evaluation.thresholds import judged

# Under which measure each picture stands.
_PICTURES: Final = {
    "relevance": ("relevance", "likeness"),
    "language": ("language",),
    "voice": ("voice", "style"),
    "context": ("context",),
    "leakage": ("leakage",),
    "cost": ("cost",),
}
# How a verdict is written, and in which colour.
_VERDICTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "better": ("better", "yes"),
    "worse": ("worse", "no"),
    "no difference that counts": ("the same", "note"),
    "too few to tell": ("too few to tell", "note"),
    "not to be told": ("–", "note"),
}


def page(report: Report) -> str:
    """The whole file. Raises MissingExtra where its libraries are not installed."""
    try:
        from sususbot.analysis.html import rendered
        from sususbot.evaluation.charts import pictures

        drawn = pictures(report)
    except ImportError as error:
        raise MissingExtra("the HTML report", "eval") from error
    return rendered(
        "sususbot.evaluation",
        "page.html",
        [("sususbot.analysis", "page.css"), ("sususbot.evaluation", "page.css")],
        report=report,
        systems=list(report.systems),
        judged=judged(report),
        begins=_day(report.split_at),
        findings=findings(report),
        sections=[(name, words.TITLES.get(name, name), rows) for name, rows in words.rows(report).items()],
        notes={name: words.notes(report, name) for name in words.rows(report)},
        pictures=drawn,
        pictures_of=_PICTURES,
        comparisons=_comparisons(report),
        verdicts=_VERDICTS,
        label=words.label,
        told=words.told,
        made_of=report.settings.get("systems", {}),
        settings={name: value for name, value in report.settings.items() if name != "systems"},
    )


def _comparisons(report: Report) -> list[tuple[str, list[Compared]]]:
    """The system that is judged beside each other one."""
    first = judged(report)
    return [
        (other, list(filter(_is_telling, compare(Side.of(report, first), Side.of(report, other)))))
        for other in report.systems
        if other != first
    ]


def _is_telling(one: Compared) -> bool:
    return words.label(one.section, one.name).short or one.verdict in ("better", "worse")


def _day(ms: int | None) -> str:
    if ms is None:
        return ""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%B %Y}"
