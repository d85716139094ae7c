"""Which memories a prompt quotes: the three best by themselves, then what was said around them, then the next best with
what was said around them, as long as they fit.

Hits of one neighbourhood become one passage in its own order; the best passage stands last, next to the question.
Nothing is told twice, and no member floods a prompt: of ten hits three of one author at most, unless the message asks
about them by name or nobody else was found.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sususbot.chat_format import memories_heading, one_line, speaker
from sususbot.memory.sections import MEMORIES, CountTokens, LeftOut, Section, full
from sususbot.memory.summary import Summary
from sususbot.memory.surroundings import Hit
from sususbot.messages import Message, Turn

# So many stand first by themselves, before what was said around them takes room from others.
_ALONE: Final = 3
# Of one author, of each ten that were found.
_PER_AUTHOR: Final = 3
_OF: Final = 10
# Shorter names stand in too many texts by chance, and shorter texts in too many summaries.
_NAME_LETTERS: Final = 3
_TEXT_LETTERS: Final = 16
_NO_LETTER: Final = re.compile(r"[\W_]+")


class Excerpts(NamedTuple):
    """Quoted lines below their heading, the hits they are of, what was left out, and the messages that are quoted."""

    section: Section
    heading: tuple[str, ...]
    hits: tuple[Hit, ...]
    left_out: tuple[LeftOut, ...]
    quoted: tuple[Message, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        return (*self.heading, *self.section.lines)


@dataclass(slots=True)
class Known:
    """What the reader of a prompt knows already: ids, texts of the talk and of memories, and what a summary says."""

    ids: set[int]
    said: set[str]
    gist: str
    remembered: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, turns: Sequence[Turn], summary: Summary | None) -> "Known":
        ids = {one.message_id for one in turns if one.message_id is not None}
        return cls(ids, {_letters(one.text) for one in turns}, _letters(summary.text) if summary else "")

    def tell(self, messages: Sequence[Message]) -> None:
        """That these are shown already."""
        self.ids.update(one.id for one in messages)
        self.remembered.update(_letters(one.rendered) for one in messages)

    def why_not(self, hit: Hit) -> str | None:
        """Why a memory would tell nothing new."""
        text = _letters(hit.message.rendered)
        if hit.message.id in self.ids:
            return "shown already"
        # A question that was asked before is worth what was answered then.
        if text and (text in self.remembered or (text in self.said and len(hit.around) == 1)):
            return "the same words are shown already"
        return "the summary says it" if len(text) >= _TEXT_LETTERS and text in self.gist else None


def choose(
    hits: Sequence[Hit], quoted: Mapping[int, str], count: CountTokens, budget: int, known: Known, asked: Turn
) -> Excerpts:
    """`hits` best first; `quoted` has the line of each message around them. `known` learns what is chosen."""
    heading = memories_heading(asked.at)
    room = budget - count(heading + "\n")
    filling = _Filling(lambda one: count(quoted[one.id] + "\n"), room, budget, known, _most_of_each(hits, asked.text))
    for number, hit in enumerate(hits, start=1):
        filling.take(hit)
        if len(filling.chosen) >= _ALONE or number == len(hits):
            filling.widen()
    messages = tuple(_best_last(filling.chosen))
    lines = tuple(quoted[one.id] for one in messages)
    section = Section(MEMORIES, lines, budget - filling.left if lines else 0, budget)
    shown = tuple(replace(one.hit, around=tuple(one.lines)) for one in filling.chosen)
    return Excerpts(section, (heading,) if lines else (), shown, tuple(filling.left_out), messages)


def again(
    messages: Sequence[Message], hits: Sequence[Hit], quoted: Mapping[int, str], count: CountTokens, now: int
) -> Excerpts:
    """The same memories once more, in the order they stood in."""
    heading = memories_heading(now)
    lines = tuple(quoted[one.id] for one in messages)
    used = sum(count(line + "\n") for line in (heading, *lines)) if lines else 0
    return Excerpts(Section(MEMORIES, lines, used, used), (heading,) if lines else (), tuple(hits), (), tuple(messages))


@dataclass(slots=True)
class _Chosen:
    """A hit, and what is quoted for it so far."""

    hit: Hit
    lines: list[Message]
    widened: bool = False


@dataclass(slots=True)
class _Filling:
    """Room that memories are put into: `left` tokens of `budget`."""

    size: Callable[[Message], int]
    left: int
    budget: int
    known: Known
    most: Mapping[int, int]
    chosen: list[_Chosen] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def take(self, hit: Hit) -> None:
        """A memory by itself, if it tells something new and fits."""
        size = self.size(hit.message)
        reason = self.known.why_not(hit) or self._flooding(hit.message.author.id)
        if reason is None and size > self.left:
            reason = full(self.budget)
        if reason is not None:
            self.left_out.append(LeftOut(MEMORIES, label(hit), reason))
            return
        self.left -= size
        self.known.ids.add(hit.message.id)
        self.known.remembered.add(_letters(hit.message.rendered))
        self.chosen.append(_Chosen(hit, [hit.message]))

    def widen(self) -> None:
        """What was said around the memories: the best one's first, the nearest first, and rather what came after."""
        for one in self.chosen:
            if not one.widened:
                one.widened = True
                self._widen(one)

    def _widen(self, one: _Chosen) -> None:
        message = one.hit.message
        kept = [near for near in one.hit.around if near.id == message.id or near.id not in self.known.ids]
        wanted, sizes = len(kept), {near.id: self.size(near) for near in kept if near.id != message.id}
        while sum(sizes[near.id] for near in kept if near.id != message.id) > self.left:
            place = next(place for place, near in enumerate(kept) if near.id == message.id)
            kept.pop(0 if place >= len(kept) - 1 - place else -1)
        if dropped := wanted - len(kept):
            self.left_out.append(LeftOut(MEMORIES, f"{dropped} messages around {label(one.hit)}", full(self.budget)))
        self.left -= sum(sizes[near.id] for near in kept if near.id != message.id)
        self.known.ids.update(near.id for near in kept)
        one.lines = kept

    def _flooding(self, author_id: int) -> str | None:
        there = sum(one.hit.message.author.id == author_id for one in self.chosen)
        return f"{there} memories of one member are enough" if there >= self.most.get(author_id, there + 1) else None


def _best_last(chosen: Sequence[_Chosen]) -> Iterator[Message]:
    """Lines in passages, each a piece of one channel in its own order; the passage of the best memory last."""
    passages: list[tuple[set[int], list[Message]]] = []
    for one in chosen:
        around = {near.id for near in one.hit.around}
        passage = next((known for known in passages if known[0] & around), None)
        if passage is None:
            passages.append(passage := (set(), []))
        passage[0].update(around)
        passage[1].extend(one.lines)
    for _, lines in reversed(passages):
        yield from sorted(lines, key=lambda one: (one.created_at, one.id))


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


def _letters(text: str) -> str:
    """What two texts have in common that say the same."""
    return _NO_LETTER.sub(" ", text.casefold()).strip()
