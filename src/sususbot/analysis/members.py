"""Who writes, who answers whom and what is liked: counted by author as messages come, named only where that is allowed.

A member whose every answer is no (learn, remember, quote) is in sums alone: no name, no words, and what others say is
shown without that name. Words are shown only of members who may be quoted, without secrets and personal data.
"""

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from heapq import nsmallest
from statistics import median
from typing import Final

from sususbot.analysis.activity import Clock, Stretch
from sususbot.analysis.analysis import Answers, AuthorRow, Authors, Counted, Pair, Quoted, Reactions, Refused
from sususbot.archive.consents import Consents, Permissions, Statement
from sususbot.chat_format import one_line
from sususbot.corpus.clean import People
from sususbot.messages import Author, Channel, Message
from sususbot.wording.privacy import redact
from sususbot.wording.rewriting import without_quotes

PAIRS: Final = 200
MATRIX: Final = 12
FAVOURITES: Final = 8
EMOJI: Final = 30
TOP_AUTHORS: Final = 10
SHOWN: Final = 240


class Permits:
    """What may be shown of whom."""

    def __init__(
        self, consents: Consents, authors: Mapping[int, Author], known_as: Mapping[int, Collection[str]]
    ) -> None:
        """`known_as`: author -> every name they were seen with."""
        self.mode = consents.mode
        self.answers: dict[int, Permissions] = consents.all_answers()
        self.said: dict[int, Statement] = {
            id_: max(statements.values(), key=lambda statement: statement.at)
            for id_, statements in consents.decided().items()
        }
        self.quotable = frozenset(id_ for id_, may in self.answers.items() if may.quote)
        self.refused = frozenset(id_ for id_, may in self.answers.items() if not any(may))
        self.learnable = frozenset(id_ for id_, may in self.answers.items() if may.learn)
        # Those who refused are `someone` wherever others are shown, also when no word of their own is here any more.
        self.people = People(
            {id_: author.display_name for id_, author in authors.items()},
            {id_: known_as[id_] for id_, author in authors.items() if id_ in self.refused and not author.is_bot},
        )


class Veil:
    """Takes the names of those who refused, lines quoted of anybody, and secrets out of a text that is shown."""

    def __init__(self, refused: Iterable[str]) -> None:
        names = {name for name in refused if name.strip()}
        self.words: frozenset[str] = frozenset(word for name in names for word in _WORD.findall(name.casefold()))
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        self._names = (
            re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE) if names else None
        )

    def shown(self, text: str) -> str:
        text = one_line(redact(without_quotes(text)).text)
        if self._names is not None:
            text = self._names.sub("someone", text)
        return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(slots=True)
class _Member:
    author: Author
    stretch: Stretch = field(default_factory=Stretch)
    days: set[date] = field(default_factory=set)
    tokens: int = 0
    answers_given: int = 0
    answers_got: int = 0
    reactions_got: int = 0


class Members:
    """Counts by author. Messages come channel by channel, oldest first."""

    def __init__(self, permits: Permits) -> None:
        self.permits = permits
        self._members: dict[int, _Member] = {}
        self._replies: Counter[tuple[int, int]] = Counter()
        self._mentions: Counter[tuple[int, int]] = Counter()
        self._unknown_replies = 0
        self._answer_s = array("d")
        self._answered: Counter[int] = Counter()
        self._reacted = 0
        self._emoji: Counter[str] = Counter()
        self._favourites: list[tuple[int, int]] = []
        self._channel = 0
        # The channel's messages so far, to find whom a reply answers: 24 bytes each.
        self._ids, self._times, self._authors = array("q"), array("q"), array("q")

    def pass_by(self, message: Message) -> None:
        """Know a message of anybody, bots too, as one that may be answered."""
        if message.channel_id != self._channel:
            self._channel = message.channel_id
            self._ids, self._times, self._authors = array("q"), array("q"), array("q")
        self._ids.append(message.id)
        self._times.append(message.created_at)
        self._authors.append(message.author.id)

    def add(self, message: Message, day: date) -> None:
        """Count a message that a member wrote."""
        member = self._members.setdefault(message.author.id, _Member(message.author))
        member.stretch.add(message.created_at)
        member.days.add(day)
        target = self._answer(message) if message.reply_to is not None else None
        for id_ in set(message.mentions):
            if id_ != target:
                self._mentions[message.author.id, id_] += 1
        if message.reactions:
            self._react(member, message)

    def add_tokens(self, author_id: int, tokens: int) -> None:
        self._members[author_id].tokens += tokens

    def _answer(self, message: Message) -> int | None:
        """Whom a reply answers, if that message is here."""
        place = bisect_left(self._ids, message.reply_to or 0)
        if place == len(self._ids) or self._ids[place] != message.reply_to:
            self._unknown_replies += 1
            return None
        target = self._authors[place]
        self._replies[message.author.id, target] += 1
        self._answered[self._ids[place]] += 1
        if target != message.author.id:
            self._answer_s.append((message.created_at - self._times[place]) / 1000)
        return target

    def _react(self, member: _Member, message: Message) -> None:
        total = sum(reaction.count for reaction in message.reactions)
        self._reacted += 1
        member.reactions_got += total
        for reaction in message.reactions:
            self._emoji[reaction.emoji] += reaction.count
        if message.author.id in self.permits.quotable and message.rendered.strip():
            self._favourites = nsmallest(FAVOURITES, [*self._favourites, (-total, message.id)])

    # -- results

    @property
    def named(self) -> dict[int, str]:
        """Those who may be named, the busiest first."""
        ranked = sorted(self._members.items(), key=lambda item: (-item[1].stretch.messages, item[0]))
        return {id_: shown_name(member.author) for id_, member in ranked if id_ not in self.permits.refused}

    def veil(self) -> Veil:
        return Veil(name for names in self.permits.people.unnamed.values() for name in names)

    def authors(self, clock: Clock) -> Authors:
        given, got = self._by_author()
        total = sum(member.stretch.messages for member in self._members.values())
        rows = tuple(self._row(id_, clock, total, given[id_], got[id_]) for id_ in self.named)
        unnamed = [member for id_, member in self._members.items() if id_ in self.permits.refused]
        # Those whose words were taken away wrote nothing that is here; their answer is.
        gone = {id_ for id_ in self.permits.said if id_ in self.permits.refused and id_ not in self._members}
        refused = Refused(
            len(unnamed) + len(gone),
            sum(member.stretch.messages for member in unnamed),
            sum(member.tokens for member in unnamed),
        )
        may = [self.permits.answers[id_] for id_ in self._members]
        learnable = sum(
            member.stretch.messages for id_, member in self._members.items() if id_ in self.permits.learnable
        )
        sizes = sorted((member.stretch.messages for member in self._members.values()), reverse=True)
        return Authors(
            consent=self.permits.mode,
            rows=rows,
            refused=refused,
            may_learn=sum(answer.learn for answer in may),
            may_remember=sum(answer.remember for answer in may),
            may_quote=sum(answer.quote for answer in may),
            answered=len(self.permits.said),
            learnable=learnable,
            learnable_share=share(learnable, total),
            top_share=share(sum(sizes[:TOP_AUTHORS]), total),
            half_by=_half_by(sizes, total),
        )

    def _row(self, id_: int, clock: Clock, total: int, given: int, got: int) -> AuthorRow:
        member, may, said = self._members[id_], self.permits.answers[id_], self.permits.said.get(id_)
        return AuthorRow(
            id=str(id_),
            name=shown_name(member.author),
            messages=member.stretch.messages,
            share=share(member.stretch.messages, total),
            tokens=member.tokens,
            active_days=len(member.days),
            first=clock.iso(member.stretch.first),
            last=clock.iso(member.stretch.last),
            answers_given=given,
            answers_got=got,
            reactions_got=member.reactions_got,
            learn=may.learn,
            remember=may.remember,
            quote=may.quote,
            said=said.by if said is not None else "",
            said_at=clock.iso(said.at) if said is not None else "",
        )

    def _by_author(self) -> tuple[Counter[int], Counter[int]]:
        """Answers given and got, those to oneself left out."""
        given: Counter[int] = Counter()
        got: Counter[int] = Counter()
        for (source, target), count in (*self._replies.items(), *self._mentions.items()):
            if source != target:
                given[source] += count
                got[target] += count
        return given, got

    def answers(self) -> Answers:
        names = self.named
        known = {*names, *self.permits.refused}
        both = [pair for pair in {**self._replies, **self._mentions} if pair[0] != pair[1] and known.issuperset(pair)]
        open_ = [pair for pair in both if pair[0] in names and pair[1] in names]
        open_.sort(key=lambda pair: (-self._replies[pair] - self._mentions[pair], pair))
        weight: Counter[int] = Counter()
        for source, target in open_:
            weight[source] += self._count(source, target)
            weight[target] += self._count(source, target)
        people = sorted(weight, key=lambda id_: (-weight[id_], id_))[:MATRIX]
        return Answers(
            replies=sum(self._replies.values()),
            mentions=sum(self._mentions.values()),
            to_oneself=sum(count for pair, count in (self._replies + self._mentions).items() if pair[0] == pair[1]),
            with_refused=sum(self._count(*pair) for pair in both if not set(pair) <= names.keys()),
            pairs=tuple(
                Pair(names[pair[0]], names[pair[1]], self._replies[pair], self._mentions[pair])
                for pair in open_[:PAIRS]
            ),
            people=tuple(names[id_] for id_ in people),
            matrix=tuple(
                tuple(self._count(source, target) if source != target else 0 for target in people) for source in people
            ),
        )

    def _count(self, source: int, target: int) -> int:
        return self._replies[source, target] + self._mentions[source, target]

    def reactions(self, favourites: tuple[Quoted, ...]) -> Reactions:
        total = sum(member.stretch.messages for member in self._members.values())
        replies = sum(self._replies.values()) + self._unknown_replies
        return Reactions(
            reactions=sum(self._emoji.values()),
            reacted=self._reacted,
            reacted_share=share(self._reacted, total),
            emoji=ranked(self._emoji, EMOJI),
            favourites=favourites,
            replies=replies,
            replies_share=share(replies, total),
            replies_to_unknown=self._unknown_replies,
            answered=len(self._answered),
            median_answer_s=round(median(self._answer_s), 1) if self._answer_s else None,
        )

    @property
    def favourites(self) -> list[tuple[int, int]]:
        """(message id, reactions) of what was liked most, of those who may be quoted."""
        return [(id_, -total) for total, id_ in self._favourites]


def shown_name(author: Author) -> str:
    """The name members read, without what would hide it or turn the page around it."""
    return one_line(author.display_name) or one_line(author.name) or f"member {author.id}"


def share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def ranked(counts: Mapping[str, int], limit: int | None = None) -> tuple[Counted, ...]:
    """The most frequent first; equal ones by name, so that the order never depends on chance."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Counted(name, count) for name, count in ordered[:limit])


def quoted(message: Message, count: int, *, channels: Mapping[int, Channel], clock: Clock, veil: Veil) -> Quoted:
    """A message as it may be shown."""
    return Quoted(
        id=str(message.id),
        channel=one_line(channels[message.channel_id].name),
        author=shown_name(message.author),
        at=clock.iso(message.created_at),
        text=veil.shown(message.rendered),
        count=count,
    )


def _half_by(sizes: list[int], total: int) -> int:
    """How many authors, the busiest first, wrote half of it."""
    written = 0
    for number, size in enumerate(sizes, start=1):
        written += size
        if 2 * written >= total:
            return number
    return 0
