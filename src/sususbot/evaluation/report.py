"""A report in words: how figures are written, what they are called, what an owner should know first.

For terminal and page alike. Not here: colours, tables and pictures.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sususbot.analysis.report import percent
from sususbot.evaluation.evaluation import Report
from sususbot.evaluation.figures import Figure, Section
from sususbot.evaluation.thresholds import judged

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
    """A figure as it is written; `interval` is empty where there is none. `best` of all systems."""

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


_BASE: Final = "base"
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
    "voice.probability": Label("how sure the classifier is"),
    "voice.classifier_accuracy": Label("the classifier is right", "percent"),
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
    "facts.answer_told": Label("of the answer's words in the reply", "percent", short=True),
    "facts.answer_told_by_chance": Label("… in replies to other questions (chance)", "percent", short=True),
    "facts.answer_told_over_chance": Label("… more than by chance", "points"),
    "facts.answer_told_by_memories": Label("… more than without memories", "points"),
    "facts.answer_told_without_memories": Label("… without memories", "percent"),
    "facts.answer_likelier_with_memories": Label("answers that memories make likelier", "percent"),
    "facts.answer_bits_saved_by_memories": Label("bits per byte of the answer saved by memories", "signed"),
    "leakage.leaks": Label("replies that give something away", "count", short=True),
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
    "leakage.exposure_bits": Label("exposure of canaries, bits", short=True),
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


# -- sentences


def findings(report: Report) -> list[str]:
    """What an owner should know first, about the system that is judged, beside the others."""
    return list(_findings(_Systems(report)))


class _Systems:
    """The figures of one system, and of the others beside it."""

    def __init__(self, report: Report) -> None:
        self.name = judged(report)
        self._all = report.systems

    def of(self, section: str, name: str, system: str | None = None) -> Figure | None:
        """None where it was not measured."""
        found = self._all.get(system or self.name, {}).get(section, Section(section)).figures.get(name)
        return None if found is None or math.isnan(found.value) else found

    def told(self, section: str, name: str) -> str:
        figure = self.of(section, name)
        return told(figure, label(section, name).form) if figure is not None else "–"

    def others(self, section: str, name: str) -> str:
        """`base 41 %, recall 30 %`, or nothing."""
        beside = {other: self.of(section, name, other) for other in self._all if other != self.name}
        form = label(section, name).form
        return ", ".join(f"{other} {written(one.value, form)}" for other, one in beside.items() if one is not None)


def _findings(systems: _Systems) -> Iterator[str]:
    for section, name, sentence in _SENTENCES:
        if systems.of(section, name) is not None:
            yield sentence(systems)


def _relevance(systems: _Systems) -> str:
    others = systems.others("relevance", "accuracy")
    return (
        f"Of ten replies that were really given, one of them here, {systems.name} finds the right one in "
        f"{systems.told('relevance', 'accuracy')} of cases; chance is 10 %{f'; {others}' if others else ''}."
    )


def _likeness(systems: _Systems) -> str:
    others = systems.others("relevance", "said_accuracy")
    return (
        f"What {systems.name} said is most like the right one of the ten in "
        f"{systems.told('relevance', 'said_accuracy')} of cases; chance is 10 %{f'; {others}' if others else ''}."
    )


def _language(systems: _Systems) -> str:
    base = systems.of("language", "bits_per_byte", _BASE) if systems.name != _BASE else None
    mine = systems.told("language", "bits_per_byte")
    if base is None:
        return (
            f"It needs {mine} bits for each byte of what was said after its training; fewer means it knows you better."
        )
    ours = systems.of("language", "bits_per_byte")
    less = 1 - ours.value / base.value if ours is not None else 0.0
    return (
        f"What was said after its training takes {systems.name} {mine} bits a byte, its base {base.value:.2f}: "
        f"{percent(abs(less))} {'less, so it learned how you talk' if less > 0 else 'more, so it learned nothing'}."
    )


def _voice(systems: _Systems) -> str:
    others = systems.others("voice", "attributed")
    return (
        f"A classifier takes {systems.told('voice', 'attributed')} of its replies for yours"
        f"{f' ({others})' if others else ''}; of what was really said it takes {systems.told('voice', 'ceiling')}, of "
        f"other chat {systems.told('voice', 'floor')}."
    )


def _context(systems: _Systems) -> str:
    return (
        f"Memories and recent talk save {systems.told('context', 'bits_saved_by_all')} bits a byte of the true reply, "
        f"recent talk by itself {systems.told('context', 'bits_saved_by_recent')}, memories "
        f"{systems.told('context', 'bits_saved_by_memories')}: what is above 0 with its whole interval is no accident."
    )


def _facts(systems: _Systems) -> str:
    return (
        f"Asked about the sample community, it is shown a message with the answer in "
        f"{systems.told('facts', 'answer_shown')} of cases, and says {systems.told('facts', 'answer_told')} of the "
        f"answer's words; by chance {systems.told('facts', 'answer_told_by_chance')}."
    )


def _leakage(systems: _Systems) -> str:
    leaks = systems.of("leakage", "leaks")
    return (
        f"Of {leaks.of if leaks else 0:,} texts of it {systems.told('leakage', 'leaks')} give away what must not come "
        f"out; {systems.told('leakage', 'copies')} of its replies are lines it learned, word for word, of what members "
        f"really said {systems.told('leakage', 'copies_true')}."
    )


def _safety(systems: _Systems) -> str:
    return (
        f"Of the red team's prompts {systems.told('safety', 'sent_forbidden')} got a reply that must not be sent; the "
        f"filter stepped in at {systems.told('safety', 'filtered')}."
    )


def _cost(systems: _Systems) -> str:
    return (
        f"Half of its replies take at most {systems.told('cost', 'reply_ms_p50')}, 19 of 20 at most "
        f"{systems.told('cost', 'reply_ms_p95')}, from message to text on this machine."
    )


_SENTENCES: Final[Sequence[tuple[str, str, Callable[[_Systems], str]]]] = (
    ("relevance", "accuracy", _relevance),
    ("relevance", "said_accuracy", _likeness),
    ("language", "bits_per_byte", _language),
    ("voice", "attributed", _voice),
    ("context", "bits_saved_by_all", _context),
    ("facts", "answer_told", _facts),
    ("leakage", "leaks", _leakage),
    ("safety", "sent_forbidden", _safety),
    ("cost", "reply_ms_p50", _cost),
)
