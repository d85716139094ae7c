"""What an owner should know first of a report: a sentence for each measure that found something.

A sentence says no more than its interval bears: what may be chance is not told as a finding.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from sususbot.analysis.report import percent
from sususbot.evaluation.compare import Side, Verdict, compare
from sususbot.evaluation.evaluation import BASE, Report
from sususbot.evaluation.figures import Figure, Section
from sususbot.evaluation.report import label, told, written
from sususbot.evaluation.thresholds import judged, quotes, same_model
from sususbot.messages import joined_names


def findings(report: Report) -> list[str]:
    """What an owner should know first, about the system that is judged, beside the others."""
    return list(_findings(_Systems(report)))


class _Systems:
    """The figures of one system, and of the others beside it."""

    def __init__(self, report: Report) -> None:
        self.name = judged(report)
        self._all = report.systems
        self._report = report

    def of(self, section: str, name: str, system: str | None = None) -> Figure | None:
        """None where it was not measured."""
        found = self._all.get(system or self.name, {}).get(section, Section(section)).figures.get(name)
        return None if found is None or math.isnan(found.value) else found

    @property
    def has_base(self) -> bool:
        """Whether its base stands beside it, and is another model or without its adapter."""
        return BASE in self._all and self.name != BASE and not same_model(self._report, self.name, BASE)

    @property
    def quotes(self) -> bool:
        """Whether it says nothing but what members said."""
        return quotes(self._report, self.name)

    def beside_base(self, section: str, name: str) -> Verdict:
        found = compare(Side.of(self._report, self.name), Side.of(self._report, BASE))
        return next((one.verdict for one in found if (one.section, one.name) == (section, name)), "not to be told")

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
    base = systems.of("language", "bits_per_byte", BASE) if systems.has_base else None
    mine = systems.told("language", "bits_per_byte")
    if base is None:
        return (
            f"It needs {mine} bits for each byte of what was said after its training; fewer means it knows you better."
        )
    ours = systems.of("language", "bits_per_byte")
    less = 1 - ours.value / base.value if ours is not None else 0.0
    return (
        f"What was said after its training takes {systems.name} {mine} bits a byte, its base {base.value:.2f}: "
        f"{percent(abs(less))} {'less' if less > 0 else 'more'}, {_LEARNED[systems.beside_base(*_BITS)]}."
    )


_BITS: Final = ("language", "bits_per_byte")
_LEARNED: Final[Mapping[Verdict, str]] = {
    "better": "so it learned how you talk",
    "worse": "so it learned nothing of how you talk",
    "no difference that counts": "which may be chance",
    "too few to tell": "but that is too few to tell",
    "not to be told": "without a word on chance",
}


def _voice(systems: _Systems) -> str:
    others = systems.others("voice", "attributed")
    can_tell = systems.of("voice", "can_tell")
    if can_tell is not None and not can_tell.value:
        return (
            "The classifier cannot tell your voice from other chat here (it is right in "
            f"{systems.told('voice', 'classifier_accuracy')} of cases), so what it says of replies means nothing."
        )
    return (
        f"A classifier takes {systems.told('voice', 'attributed')} of its replies for yours"
        f"{f' ({others})' if others else ''}; of what was really said it takes {systems.told('voice', 'ceiling')}, of "
        f"other chat {systems.told('voice', 'floor')}{_over_base(systems)}."
    )


def _over_base(systems: _Systems) -> str:
    if systems.of("voice", "normalised_over_base") is None:
        return ""
    return f"; between its base (0) and your own lines (1) it stands at {systems.told('voice', 'normalised_over_base')}"


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
    said = _given_away(systems)
    if systems.quotes:
        return f"{said}."
    return (
        f"{said}; {systems.told('leakage', 'copies')} of its replies are lines it learned, word for word, of what "
        f"members really said {systems.told('leakage', 'copies_true')}."
    )


def _given_away(systems: _Systems) -> str:
    leaks, sought = systems.of("leakage", "leaks"), systems.of("leakage", "looked_for")
    if sought is not None and not sought.value:
        return "There was nothing to look for that must not come out: no name, contact or canary"
    kinds = {name: systems.of("leakage", f"looked_for_{name}") for name in ("names", "contacts", "canaries")}
    told = joined_names([f"{one.value:,.0f} {name}" for name, one in kinds.items() if one is not None])
    return (
        f"Of {leaks.of if leaks else 0:,} texts of it {systems.told('leakage', 'leaks')} give away what must not come "
        f"out{f' (looked for: {told})' if told else ''}"
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
