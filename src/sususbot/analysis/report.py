"""What an analysis says in words: what stands out, and how figures are written. For terminal and page alike.

A sentence holds its figures as `{path:format}`, the path leading into the analysis as `--json` prints it. So whoever
shows it decides how a figure looks, and none is written down twice.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from sususbot.analysis.analysis import Analysis, Bin, Span

Json = Mapping[str, Any]

_PLACE: Final = re.compile(r"\{([\w.]+):(\w+)\}")
# Of more than this share that one rule drops, an owner should know why.
_MUCH: Final = 0.05
_MOSTLY: Final = 0.1

# Codes that py3langid gives and a server is likely to hold; others are shown as they are.
LANGUAGES: Final[Mapping[str, str]] = dict(
    pair.split("=")
    for pair in (
        "ar=Arabic bg=Bulgarian bn=Bengali ca=Catalan cs=Czech da=Danish de=German el=Greek en=English eo=Esperanto "
        "es=Spanish et=Estonian fa=Persian fi=Finnish fr=French ga=Irish he=Hebrew hi=Hindi hr=Croatian hu=Hungarian "
        "id=Indonesian it=Italian ja=Japanese ko=Korean la=Latin lt=Lithuanian lv=Latvian ms=Malay nl=Dutch "
        "nn=Nynorsk no=Norwegian pl=Polish pt=Portuguese ro=Romanian ru=Russian sk=Slovak sl=Slovenian sq=Albanian "
        "sr=Serbian sv=Swedish sw=Swahili ta=Tamil te=Telugu th=Thai tl=Tagalog tr=Turkish uk=Ukrainian ur=Urdu "
        "vi=Vietnamese zh=Chinese"
    ).split()
)


def number(value: float | None) -> str:
    """`1,234`, `20.7`, and `–` for none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def percent(value: float) -> str:
    """A share as people read it; what is there is never 0 %, what is not all never 100 %."""
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{value * 100:.1f} %" if 0 < value < 0.1 or 0.99 < value < 1 else f"{value * 100:.0f} %"


def duration(seconds: float | None) -> str:
    """`12 s`, `4 min`, `3.1 h`, `2 days`."""
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def span(value: Span | Json | None) -> str:
    """`25 – 50`, from best to worst."""
    if value is None:
        return "–"
    low, high = (value.low, value.high) if isinstance(value, Span) else (value["low"], value["high"])
    return number(low) if low == high else f"{number(low)} – {number(high)}"


def size_of(one: Bin) -> str:
    """`5–8` of a class of sizes."""
    if one.high is None:
        return f"{one.low}+"
    return str(one.low) if one.low == one.high else f"{one.low}–{one.high}"


def hour(value: int) -> str:
    return f"{value:02}:00"


def day(value: str) -> str:
    """`3 Mar 2024` of a time or a date."""
    moment = date.fromisoformat(value[:10])
    return f"{moment.day} {moment:%b %Y}"


def plain(value: object) -> str:
    return str(value)


FORMATS: Final[Mapping[str, Callable[[Any], str]]] = {
    "number": number,
    "percent": percent,
    "duration": duration,
    "span": span,
    "hour": hour,
    "day": day,
    "plain": plain,
}


def at(analysis: Json, path: str) -> Any:
    """The value a path such as `authors.rows.0.messages` leads to."""
    value: Any = analysis
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list | tuple) else value[step]
    return value


def parts(sentence: str) -> list[str | tuple[str, str]]:
    """A sentence as its words and, in their places, its figures as (path, format)."""
    pieces: list[str | tuple[str, str]] = []
    at_ = 0
    for found in _PLACE.finditer(sentence):
        pieces += [sentence[at_ : found.start()], (found[1], found[2])]
        at_ = found.end()
    return [*pieces, sentence[at_:]]


def written(analysis: Json, sentence: str) -> str:
    """A sentence as plain text."""
    return "".join(
        part if isinstance(part, str) else FORMATS[part[1]](at(analysis, part[0])) for part in parts(sentence)
    )


def findings(analysis: Analysis) -> list[str]:
    """What an owner should know first, each with what follows from it."""
    said = [
        "{overview.written:number} messages of {overview.authors:number} members in {overview.channels:number} "
        "channels, {overview.first:day} to {overview.last:day}; {overview.by_bots:number} more by bots and "
        "{overview.by_discord:number} by Discord itself are not counted below.",
        _who(analysis),
        _consent(analysis),
        "Cleaning keeps {cleaning.kept:number} of {cleaning.messages:number} messages ({cleaning.kept_share:percent}) "
        "and changes {cleaning.changed:number} of them.",
        _dropped_most(analysis),
        "What may be learned from hangs together in {conversations.conversations:number} conversations; in "
        "{conversations.alone:number} of them nobody answers.",
        _training(analysis),
        _languages(analysis),
        _repeaters(analysis),
    ]
    return [sentence for sentence in said if sentence]


def _who(analysis: Analysis) -> str:
    if analysis.overview.authors <= 10:
        return "Half of it was written by {authors.half_by:number} of them."
    return (
        "The ten busiest wrote {authors.top_share:percent} of it, and {authors.half_by:number} wrote half: "
        "a bot that speaks for the whole server learns mostly from them."
    )


def _consent(analysis: Analysis) -> str:
    authors = analysis.authors
    learn = (
        "{authors.learnable:number} messages ({authors.learnable_share:percent}) may be learned from. "
        "CONSENT is {authors.consent:plain}; members whose answer is written down: {authors.answered:number}; "
    )
    if authors.refused.members and authors.consent == "opt-in":
        return learn + "who have not said yes to anything: {authors.refused.members:number}."
    return learn + "who said no to everything: {authors.refused.members:number}."


def _dropped_most(analysis: Analysis) -> str:
    rules = analysis.cleaning.rules
    most = max(range(len(rules)), key=lambda index: rules[index].dropped)
    if rules[most].dropped <= _MUCH * analysis.cleaning.messages:
        return ""
    return (
        f"The rule “{{cleaning.rules.{most}.name:plain}}” drops most, {{cleaning.rules.{most}.dropped:number}}: "
        f"{{cleaning.rules.{most}.what:plain}}."
    )


def _training(analysis: Analysis) -> str:
    if not analysis.training.tokens_per_epoch:
        return "Nothing may be learned from, so there is nothing to train: ask members, or set CONSENT."
    best = next((i for i, card in enumerate(analysis.training.cards) if card.training_hours is not None), None)
    if best is None:
        return "One pass over the others is {training.tokens_per_epoch:number} tokens."
    hours = analysis.training.cards[best].training_hours
    if hours is not None and hours.low < 1:
        return (
            "One pass over the others is {training.tokens_per_epoch:number} tokens and should take "
            f"{{training.cards.{best}.epoch_minutes:span}} minutes on a {{training.cards.{best}.name:plain}} "
            "and {training.memory_gb:span} GB of its memory."
        )
    return (
        "One pass over the others is {training.tokens_per_epoch:number} tokens; {training.epochs:number} passes should "
        f"take {{training.cards.{best}.training_hours:span}} hours on a {{training.cards.{best}.name:plain}} "
        "and {training.memory_gb:span} GB of its memory."
    )


def _languages(analysis: Analysis) -> str:
    languages = analysis.languages.languages
    told = sum(language.count for language in languages)
    others = [language for language in languages[1:] if language.count >= _MOSTLY * told]
    if not others:
        return ""
    return (
        "More than one language is spoken: the model learns each from what there is of it "
        "({languages.languages.0.count:number} and {languages.languages.1.count:number} messages in the first two)."
    )


def _repeaters(analysis: Analysis) -> str:
    """A member who mostly repeats is perhaps a bot that the export does not call one."""
    by_name = {row.name: row for row in analysis.authors.rows}
    for index, repeater in enumerate(analysis.duplicates.repeaters):
        row = by_name.get(repeater.name)
        if row is not None and repeater.count >= 20 and repeater.count >= _MOSTLY * row.messages:
            return (
                f"{{duplicates.repeaters.{index}.name:plain}} said {{duplicates.repeaters.{index}.count:number}} times "
                "what had been said before: if that is a bot that the export does not call one, take it out of what is "
                "learned by  sususbot consent set."
            )
    return ""
