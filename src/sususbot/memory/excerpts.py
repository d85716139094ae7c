"""Which memories a prompt quotes: the best down while they fit, each with as much of what was said around it as fits.

Hits of one neighbourhood become one passage in its own order; the best passage stands last, next to the question.
Nothing is told twice, and no member floods a prompt: of ten hits three of one author at most, unless the message asks
about them by name or nobody else was found.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sususbot.chat_format import memories_heading, one_line, speaker
from sususbot.memory.long_term import Hit
from sususbot.memory.sections import MEMORIES, CountTokens, LeftOut, Section, full
from sususbot.memory.summary import Summary
from sususbot.messages import Message, Turn

# Of one author, of each ten that were found.
_PER_AUTHOR: Final = 3
_OF: Final = 10
# Shorter names stand in too many texts by chance, and shorter texts in too many summaries.
_NAME_LETTERS: Final = 3
_TEXT_LETTERS: Final = 16
_NO_LETTER: Final = re.compile(r"[\W_]+")


class Excerpts(NamedTuple):
    """Quoted lines below their heading, the hits they are of, and what was left out."""

    section: Section
    heading: tuple[str, ...]
    hits: tuple[Hit, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        return (*self.heading, *self.section.lines)


@dataclass(slots=True)
class Known:
    """What the reader of a prompt knows already: ids and texts, and what a summary says."""

    ids: set[int]
    texts: set[str]
    gist: str

    @classmethod
    def of(cls, turns: Sequence[Turn], summary: Summary | None) -> "Known":
        ids = {one.message_id for one in turns if one.message_id is not None}
        return cls(ids, {_letters(one.text) for one in turns}, _letters(summary.text) if summary else "")

    def why_not(self, message: Message) -> str | None:
        """Why a message would tell nothing new."""
        text = _letters(message.rendered)
        if message.id in self.ids:
            return "shown already"
        if text and text in self.texts:
            return "the same words are shown already"
        return "the summary says it" if len(text) >= _TEXT_LETTERS and text in self.gist else None


@dataclass(slots=True)
class _Passages:
    """What is quoted so far: passages best first, each a piece of one channel."""

    passages: list[list[Message]] = field(default_factory=list)

    def add(self, hit: Hit, fresh: Sequence[Message]) -> None:
        around = {one.id for one in hit.around}
        for passage in self.passages:
            if any(one.id in around for one in passage):
                passage += fresh
                passage.sort(key=lambda one: (one.created_at, one.id))
                return
        self.passages.append(list(fresh))

    def best_last(self) -> list[Message]:
        return [one for passage in reversed(self.passages) for one in passage]


def choose(
    hits: Sequence[Hit], quoted: Mapping[int, str], count: CountTokens, budget: int, known: Known, asked: Turn
) -> Excerpts:
    """`hits` best first; `quoted` has the line of each message around them. `known` learns what is chosen."""
    passages, shown, left_out = _Passages(), list[Hit](), list[LeftOut]()
    most = _most_of_each(hits, asked.text)
    heading = memories_heading(asked.at)
    used = count(heading + "\n")

    def tokens(messages: Sequence[Message]) -> int:
        return sum(count(quoted[one.id] + "\n") for one in messages)

    for hit in hits:
        author = hit.message.author
        if reason := known.why_not(hit.message) or _flooding(author.id, shown, most):
            left_out.append(LeftOut(MEMORIES, label(hit), reason))
            continue
        fresh = [one for one in hit.around if one.id not in known.ids]
        fitting = _fitting(hit.message, fresh, tokens, budget - used)
        if not fitting:
            left_out.append(LeftOut(MEMORIES, label(hit), full(budget)))
            continue
        if dropped := len(fresh) - len(fitting):
            left_out.append(LeftOut(MEMORIES, f"{dropped} messages around {label(hit)}", full(budget)))
        fresh = fitting
        used += tokens(fresh)
        known.ids.update(one.id for one in fresh)
        known.texts.add(_letters(hit.message.rendered))
        shown.append(replace(hit, around=tuple(fresh)))
        passages.add(hit, fresh)
    lines = tuple(quoted[one.id] for one in passages.best_last())
    section = Section(MEMORIES, lines, used if lines else 0, budget)
    return Excerpts(section, (heading,) if lines else (), tuple(shown), tuple(left_out))


def _fitting(
    message: Message, around: Sequence[Message], tokens: Callable[[Sequence[Message]], int], budget: int
) -> list[Message]:
    """A memory with what fits of what was said around it: the farthest goes first, and rather what came before."""
    kept = list(around)
    while tokens(kept) > budget:
        if len(kept) == 1:
            return []
        place = next(place for place, one in enumerate(kept) if one.id == message.id)
        kept.pop(0 if place >= len(kept) - 1 - place else -1)
    return kept


def label(hit: Hit) -> str:
    """A memory as a trace names it where it is not shown."""
    text = f"{speaker(hit.message.author.display_name)}: {one_line(hit.message.rendered)}"
    return text if len(text) <= 60 else text[:59] + "…"


def _most_of_each(hits: Sequence[Hit], asked: str) -> Mapping[int, int]:
    """How many memories of each author may be shown, where that is limited."""
    authors = {hit.message.author.id: hit.message.author for hit in hits}
    if len(authors) < 2:
        return {}
    most = max(_PER_AUTHOR, len(hits) * _PER_AUTHOR // _OF)
    return {id_: most for id_, one in authors.items() if not _named((one.display_name, one.name), asked)}


def _named(names: Collection[str], text: str) -> bool:
    text = text.casefold()
    return any(
        len(name) >= _NAME_LETTERS and re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", text) for name in names
    )


def _flooding(author_id: int, shown: Sequence[Hit], most: Mapping[int, int]) -> str | None:
    there = Counter(hit.message.author.id for hit in shown)[author_id]
    return f"{there} memories of one member are enough" if there >= most.get(author_id, there + 1) else None


def _letters(text: str) -> str:
    """What two texts have in common that say the same."""
    return _NO_LETTER.sub(" ", text.casefold()).strip()
