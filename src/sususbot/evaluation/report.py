"""A report's figures in words: how they are written, what they are called, in which order they stand.

For terminal and page alike. Not here: sentences about them (`findings`), colours, tables and pictures.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sususbot.analysis.report import percent
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure

TITLES: Final[Mapping[str, str]] = {
    "relevance": "Relevance: does it say what fits?",
    "language": "Language: does it know how you talk?",
    "voice": "Voice: does it sound like you?",
    "context": "Context: what are memories and recent talk worth?",
    "facts": "Facts: does it know what was said once?",
    "leakage": "Leakage: does it give away what it learned?",
    "safety": "Safety: can it be made to say what it must not?",
    "cost": "Cost: how long does a reply take?",
}


@dataclass(frozen=True, slots=True)
class Label:
    """What a figure is called, how it is written, and whether it stands in the short table."""

    words: str
    form: str = "number"
    short: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is written; `interval` is empty where there is none. `best` of all systems, if by chance."""

    text: str
    interval: str
    best: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of every system, None where a system has none. `of` is on how many items, at most."""

    section: str
    name: str
    label: Label
    cells: tuple[Cell | None, ...]
    of: int


_STYLE: Final = {
    "length": "length",
    "case": "capitals",
    "punctuation": "punctuation",
    "emoji": "emoji",
    "vocabulary": "words",
}
LABELS: Final[Mapping[str, Label]] = {
    "relevance.accuracy": Label("true reply found among ten", "percent", short=True),
    "relevance.said_accuracy": Label("true reply most like what it said", "percent", short=True),
    "relevance.plain_accuracy": Label("the same by likelihood alone", "percent"),
    "relevance.mean_reciprocal_rank": Label("mean reciprocal rank of the true reply"),
    "language.bits_per_byte": Label("bits per byte of later talk", short=True),
    "language.reply_bits_per_byte": Label("bits per byte of the true replies", short=True),
    "voice.attributed": Label("replies taken for the persona's", "percent", short=True),
    "voice.ceiling": Label("… of the persona's own later lines (ceiling)", "percent", short=True),
    "voice.floor": Label("… of other chat (floor)", "percent", short=True),
    "voice.normalised": Label("between floor (0) and ceiling (1)"),
    "voice.normalised_over_base": Label("between its base (0) and ceiling (1)", short=True),
    "voice.probability": Label("how sure the classifier is"),
    "voice.classifier_accuracy": Label("the classifier is right", "percent", short=True),
    "voice.can_tell": Label("voices can be told apart", "yes", short=True),
    "voice.classifier_auc": Label("area under its curve"),
    **{
        key: label
        for name, words in _STYLE.items()
        for key, label in (
            (f"voice.style_{name}", Label(f"distance in {words}", short=True)),
            (f"voice.style_{name}_own", Label("… among the persona's own lines")),
        )
    },
    "context.accuracy_full": Label("true reply found, whole context", "percent", short=True),
    "context.bits_saved_by_all": Label("bits per byte saved by all of it", "signed", short=True),
    "context.bits_saved_by_recent": Label("… by recent talk", "signed", short=True),
    "context.bits_saved_by_memories": Label("… by memories", "signed", short=True),
    "context.bits_saved_over_others_recent": Label("… over another channel's talk", "signed"),
    "context.bits_saved_over_others_memories": Label("… over another channel's memories", "signed"),
    "context.bits_saved_by_summary": Label("… by the summary", "signed"),
    "context.bits_saved_over_persona_alone": Label("… over the persona alone", "signed"),
    "context.bits_saved_by_memories_above": Label("… by memories above the talk", "signed"),
    "facts.answer_shown": Label("a message with the answer is found", "percent", short=True),
    "facts.private_shown": Label("questions that something private was shown to", "percent"),
    "facts.answer_told": Label("of the answer's words in the reply", "percent", short=True),
    "facts.answer_told_by_chance": Label("… in replies to other questions (chance)", "percent", short=True),
    "facts.answer_told_over_chance": Label("… more than by chance", "points"),
    "facts.answer_told_by_memories": Label("… more than without memories", "points"),
    "facts.answer_told_without_memories": Label("… without memories", "percent"),
    "facts.answer_likelier_with_memories": Label("answers that memories make likelier", "percent"),
    "facts.answer_bits_saved_by_memories": Label("bits per byte of the answer saved by memories", "signed"),
    "leakage.leaks": Label("replies that give something away", "count", short=True),
    "leakage.looked_for": Label("names, contacts and canaries looked for", "count", short=True),
    "leakage.looked_for_names": Label("… names", "count"),
    "leakage.looked_for_contacts": Label("… contacts", "count"),
    "leakage.looked_for_canaries": Label("… canaries", "count"),
    "leakage.leaked_names": Label("… names of who is not learned from", "count"),
    "leakage.leaked_contacts": Label("… contacts that members wrote", "count"),
    "leakage.leaked_canaries": Label("… canaries", "count"),
    "leakage.leaked_strange_contacts": Label("… contacts of nobody here", "count"),
    "leakage.copies": Label("replies that are a learned line", "percent", short=True),
    "leakage.copies_true": Label("… of the true replies", "percent", short=True),
    "leakage.copies_all": Label("… with those that stood in the prompt", "percent"),
    "leakage.run_words": Label("longest learned run, mean, words"),
    "leakage.longest_run_words": Label("longest learned run, words", "count", short=True),
    "leakage.longest_run_words_true": Label("… of the true replies", "count", short=True),
    "leakage.exposure_bits": Label("exposure of canaries, bits, mean", short=True),
    "leakage.exposure_bits_max": Label("… the greatest; 7: learned by heart"),
    "safety.sent_forbidden": Label("replies sent that must not be", "count", short=True),
    "safety.sent_pings": Label("replies sent that ping", "count", short=True),
    "safety.filtered": Label("replies that the filter stepped in at", "percent", short=True),
    "safety.mended": Label("… mended by a second try", "percent"),
    "safety.deflected": Label("… answered by a line that deflects", "percent"),
    "safety.fallback": Label("answered by a fallback", "percent"),
    "cost.first_token_ms_p50": Label("first token, median", "ms", short=True),
    "cost.first_token_ms_p95": Label("first token, 19 of 20", "ms"),
    "cost.tokens_per_s": Label("tokens a second", short=True),
    "cost.reply_ms_p50": Label("whole reply, median", "ms", short=True),
    "cost.reply_ms_p95": Label("whole reply, 19 of 20", "ms", short=True),
    "cost.gathering_ms_p50": Label("of it gathering the context", "ms"),
    "cost.answered_otherwise": Label("answered by a fallback", "percent"),
    "cost.prompt_cached": Label("of the prompt already read", "percent"),
    "cost.memory_mb": Label("memory", "mb", short=True),
    "cost.vram_mb": Label("memory of the card", "mb", short=True),
}

# How figures are written that have no words of their own, by how their names begin.
_BEGINNINGS: Final = (
    ("accuracy_gained", "points"),
    ("accuracy_", "percent"),
    ("copies", "percent"),
    ("sent_", "count"),
    ("longest_", "count"),
)


def label(section: str, name: str) -> Label:
    """A figure without words of its own is called by its name."""
    known = LABELS.get(f"{section}.{name}")
    if known is not None:
        return known
    form = next((form for begin, form in _BEGINNINGS if name.startswith(begin)), "number")
    return Label(name.replace("_", " "), form)


# -- figures


def written(value: float, form: str) -> str:
    """A value with its unit; `–` where there is none."""
    return "–" if math.isnan(value) else " ".join(filter(None, _parts(value, form)))


def interval(figure: Figure, form: str) -> str:
    """`55–69`, as it stands beside the value; empty where there is none."""
    if figure.low is None or figure.high is None or any(map(math.isnan, (figure.value, figure.low, figure.high))):
        return ""
    (low, unit), (high, its) = _parts(figure.low, form), _parts(figure.high, form)
    low = low if unit == its or not unit else f"{low} {unit}"
    high = high if its == _parts(figure.value, form)[1] or not its else f"{high} {its}"
    return f"{low} to {high}" if form in ("signed", "points") else f"{low}–{high}"


def told(figure: Figure, form: str) -> str:
    """`62 % (55–69)`."""
    between = interval(figure, form)
    return f"{written(figure.value, form)} ({between})" if between else written(figure.value, form)


def _parts(value: float, form: str) -> tuple[str, str]:
    """Number and unit."""
    return _FORMS[form](value)


def _number(value: float) -> tuple[str, str]:
    if abs(value) >= 1000:
        return f"{value:,.0f}", ""
    return (f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"), ""


def _percent(value: float) -> tuple[str, str]:
    return percent(value).removesuffix(" %"), "%"


def _time(ms: float) -> tuple[str, str]:
    return (f"{ms / 1000:.1f}", "s") if ms >= 1000 else (f"{ms:.0f}" if ms >= 10 else f"{ms:.1f}", "ms")


def _memory(megabytes: float) -> tuple[str, str]:
    return (f"{megabytes / 1000:.1f}", "GB") if megabytes >= 1000 else (f"{megabytes:.0f}", "MB")


_FORMS: Final[Mapping[str, Callable[[float], tuple[str, str]]]] = {
    "number": _number,
    "signed": lambda value: (f"{value:+.3f}", ""),
    "percent": _percent,
    "points": lambda value: (f"{value * 100:+.1f}", "points"),
    "ms": _time,
    "mb": _memory,
    "count": lambda value: (f"{value:,.0f}", ""),
    "yes": lambda value: ("yes" if value else "no", ""),
}


# -- tables


def rows(report: Report, *, short: bool = False) -> dict[str, list[Row]]:
    """Of each measure the figures of all systems; with `short` only the telling ones."""
    found: dict[str, list[Row]] = {}
    for section in _sections(report):
        names = dict.fromkeys(
            name for sections in report.systems.values() if section in sections for name in sections[section].figures
        )
        known = [name for name in _ordered(section, names) if label(section, name).short or not short]
        found[section] = [_row(report, section, name) for name in known]
    return found


def notes(report: Report, section: str) -> list[tuple[str, list[str]]]:
    """What is to be kept in mind: each note once, with the systems it is about."""
    said: dict[str, list[str]] = {}
    for system, sections in report.systems.items():
        for note in sections[section].notes if section in sections else ():
            said.setdefault(note, []).append(system)
    return list(said.items())


def _sections(report: Report) -> list[str]:
    return list(dict.fromkeys(section for sections in report.systems.values() for section in sections))


def _ordered(section: str, names: Mapping[str, None]) -> list[str]:
    """In the order of LABELS, then as they come."""
    places = {key: place for place, key in enumerate(LABELS)}
    return sorted(names, key=lambda name: places.get(f"{section}.{name}", len(places)))


def _row(report: Report, section: str, name: str) -> Row:
    figures = [
        sections[section].figures.get(name) if section in sections else None for sections in report.systems.values()
    ]
    how = label(section, name)
    best = _best([figure for figure in figures if figure is not None], how.form)
    cells = tuple(
        None
        if figure is None
        else Cell(written(figure.value, how.form), interval(figure, how.form), figure.value == best)
        for figure in figures
    )
    return Row(section, name, how, cells, max((figure.of for figure in figures if figure is not None), default=0))


def _best(figures: Sequence[Figure], form: str) -> float | None:
    """The best value, where there is one to be better than."""
    values = [figure.value for figure in figures if not math.isnan(figure.value)]
    if len({written(value, form) for value in values}) < 2 or figures[0].better not in ("higher", "lower"):
        return None
    return max(values) if figures[0].better == "higher" else min(values)
