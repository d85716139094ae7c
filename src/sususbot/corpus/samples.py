"""Conversations to training samples: who is played by the bot, what is learned of each line, and how much fits.

A sample is a stretch of one conversation. One participant is played by the bot: its lines stand under the bot's name
and weigh 1, the lines of others weigh little, names nothing. Said without a prompt (the first words of a conversation),
a played line weighs no more than another's: the bot is not to answer nothing. Lines with a mark weigh nothing. What is
too long is divided at its longest silences; the lines repeated before a later part weigh nothing, so that no line is
trained twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from sususbot import chat_format
from sususbot.corpus import privacy, rewriting
from sususbot.messages import Turn

PLAYED: Final = 1.0
# A run of one member's messages becomes one turn up to here: a reply is no longer (MAX_NEW_TOKENS).
_RUN_TOKENS: Final = 96
# What a later part of a conversation may repeat before its first line, and each part's least share when it is divided.
_REPEATED: Final = 0.25
_LEAST_PART: Final = 0.15
# `name:` and the newline mark, in tokens; names are short.
_NAME_TOKENS: Final = 5
_MARK_TOKENS: Final = 5


@dataclass(frozen=True, slots=True)
class SampleTurn:
    """A line of a sample. `own`: the bot plays it; `unprompted`: it does, but nothing was said before."""

    speaker: str
    text: str
    at: int
    author_id: int
    message_ids: tuple[int, ...]
    weight: float
    own: bool = False
    unprompted: bool = False
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of training.

    `cut`: what its first line answers is not known. `ends`: the conversation is over after it. `trained` is the sum of
    weight times tokens, `tokens` what all of it takes.
    """

    id: str
    channel_id: int
    played: int
    turns: tuple[SampleTurn, ...]
    tokens: int
    trained: float
    cut: bool = False
    ends: bool = True

    def pieces(self, persona: str) -> list[tuple[str, float]]:
        """Its text in pieces, each with its weight, as the chat format has it."""
        return chat_format.weighted(
            persona, [(Turn(turn.speaker, turn.text, turn.at, turn.own), turn.weight) for turn in self.turns]
        )

    def as_json(self) -> bytes:
        """A line of a corpus file."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, row: bytes) -> "Sample":
        value: dict[str, Any] = orjson.loads(row)
        turns = tuple(SampleTurn(**{**turn, "message_ids": tuple(turn["message_ids"])}) for turn in value.pop("turns"))
        return cls(turns=turns, **value)


@dataclass(frozen=True, slots=True)
class Said:
    """One text of a message, cleaned, with its tokens."""

    message_id: int
    author_id: int
    at: int
    text: str
    tokens: int
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Play:
    """How a conversation is played: by whom, and what each author's lines weigh beyond the usual (see `plan`)."""

    author_id: int
    scale: Mapping[int, float] = field(default_factory=dict)


class Names:
    """What speakers are called: as members read it, without personal data, and never two alike in one sample."""

    def __init__(self, names: Mapping[int, tuple[str, str]], own_name: str) -> None:
        """`names`: author -> (display name, account name)."""
        self._names = names
        self._own_name = own_name
        self._clean: dict[int, str] = {}

    def of(self, author_ids: Sequence[int], played: int) -> dict[int, str]:
        """A name for each, in the order they speak; the played one has the bot's."""
        given = {played: self._own_name}
        taken = {chat_format.speaker(self._own_name).casefold()}
        for id_ in author_ids:
            if id_ not in given:
                name = self._free(id_, taken)
                taken.add(chat_format.speaker(name).casefold())
                given[id_] = name
        return given

    def mentioned(self, author_id: int) -> tuple[str, ...]:
        """How others write to somebody after an @."""
        return tuple(dict.fromkeys(name for name in self._names.get(author_id, ()) if name))

    def _free(self, author_id: int, taken: set[str]) -> str:
        display, account = self._names.get(author_id, ("", ""))
        if author_id not in self._clean:
            self._clean[author_id] = privacy.redact(display).text
        name = self._clean[author_id]
        if chat_format.speaker(name).casefold() not in taken:
            return name
        number = 2
        name = privacy.redact(account).text
        while chat_format.speaker(name).casefold() in taken:
            name, number = f"{display[:24]} {number}", number + 1
        return name


@dataclass(frozen=True, slots=True)
class Shape:
    """The settings that samples are made by."""

    sample_tokens: int
    others_weight: float
    run_ms: int
    persona_tokens: int = 0


def samples(
    channel_id: int, said: Sequence[Said], play: Play, names: Names, shape: Shape, *, cut: bool = False
) -> Iterator[Sample]:
    """A conversation as one sample or several; each line has its weight in exactly one of them."""
    turns = _weighted(_turns(said, shape), play, names, shape.others_weight)
    budget = shape.sample_tokens - shape.persona_tokens
    parts = _divided(turns, budget)
    for number, (start, end) in enumerate(parts):
        part = turns[start:end]
        whole = (*_repeated(turns[:start], budget - _tokens(part), int(budget * _REPEATED)), *part)
        yield Sample(
            id=f"{channel_id}-{part[0].message_ids[0]}" + (f"-{number}" if number else ""),
            channel_id=channel_id,
            played=play.author_id,
            turns=whole,
            tokens=shape.persona_tokens + _tokens(whole),
            trained=round(sum(turn.weight * turn.tokens for turn in whole), 3),
            cut=cut and number == 0,
            ends=number == len(parts) - 1,
        )


def prompted(said: Sequence[Said]) -> dict[int, tuple[int, int]]:
    """Author -> tokens that can be learned, and those of them with something said before by another."""
    counts: dict[int, tuple[int, int]] = {}
    first = said[0].author_id if said else 0
    answered = False
    for one in said:
        answered = answered or one.author_id != first
        learned = 0 if one.marked else one.tokens
        all_, after = counts.get(one.author_id, (0, 0))
        counts[one.author_id] = (all_ + learned, after + (learned if answered else 0))
    return counts


def _turns(said: Sequence[Said], shape: Shape) -> list[SampleTurn]:
    """Runs of one author joined; `weight` 0 where a mark stands in them, 1 elsewhere."""
    turns: list[SampleTurn] = []
    for one in (part for whole in said for part in _fitting(whole, shape)):
        last = turns[-1] if turns else None
        if (
            last is not None
            and last.author_id == one.author_id
            # A line with a mark is not learned, and must not take its neighbours with it.
            and bool(last.weight) is not one.marked
            and one.at - last.at <= shape.run_ms
            and last.tokens + one.tokens + _MARK_TOKENS <= _RUN_TOKENS
        ):
            turns[-1] = replace(
                last,
                text=f"{last.text}\n{one.text}",
                at=one.at,
                message_ids=(*last.message_ids, one.message_id),
                tokens=last.tokens + one.tokens,
            )
        else:
            weight = 0.0 if one.marked else 1.0
            turns.append(SampleTurn("", one.text, one.at, one.author_id, (one.message_id,), weight, tokens=one.tokens))
    return turns


def _fitting(said: Said, shape: Shape) -> Iterator[Said]:
    """One text in parts that leave room for others beside them, whatever its script takes in tokens."""
    most = (shape.sample_tokens - shape.persona_tokens) // 3
    if said.tokens <= most:
        yield said
        return
    parts = rewriting.split(said.text, max(1, len(said.text) * most // said.tokens))
    left = said.tokens
    for number, part in enumerate(parts):
        tokens = left if number == len(parts) - 1 else said.tokens * len(part) // len(said.text)
        left -= tokens
        yield replace(said, text=part, tokens=tokens)


def _weighted(turns: Sequence[SampleTurn], play: Play, names: Names, others_weight: float) -> list[SampleTurn]:
    called = names.of([turn.author_id for turn in turns], play.author_id)
    mentions = names.mentioned(play.author_id)
    weighted, answered = [], False
    for turn in turns:
        own = turn.author_id == play.author_id
        answered = answered or not own
        usual = PLAYED if own and answered else others_weight
        text = turn.text
        for name in mentions:
            text = rewriting.renamed(text, name, called[play.author_id])
        weighted.append(
            replace(
                turn,
                speaker=called[turn.author_id],
                text=text,
                weight=round(turn.weight * usual * play.scale.get(turn.author_id, 1.0), 6),
                own=own,
                unprompted=own and not answered,
            )
        )
    return weighted


def _divided(turns: Sequence[SampleTurn], budget: int) -> list[tuple[int, int]]:
    """Where parts that fit begin and end, divided at the longest silences that leave no sliver."""
    if _tokens(turns) <= budget or len(turns) < 2:
        return [(0, len(turns))]
    # What is divided leaves room for what later parts repeat.
    budget = int(budget * (1 - _REPEATED))
    done: list[tuple[int, int]] = []
    waiting = [(0, len(turns))]
    while waiting:
        start, end = waiting.pop()
        if _tokens(turns[start:end]) <= budget or end - start < 2:
            done.append((start, end))
            continue
        at = start + _longest_silence(turns[start:end])
        waiting += [(at, end), (start, at)]
    return done


def _longest_silence(turns: Sequence[SampleTurn]) -> int:
    """The place before which it is longest; a place in the middle where the ends alone would do."""
    total, before = _tokens(turns), 0
    places = []
    for place in range(1, len(turns)):
        before += _cost(turns[place - 1])
        if min(before, total - before) >= total * _LEAST_PART:
            places.append(place)
    return max(places or range(1, len(turns)), key=lambda place: (turns[place].at - turns[place - 1].at, -place))


def _repeated(turns: Sequence[SampleTurn], room: int, most: int) -> list[SampleTurn]:
    """The last lines of what came before, to be read only; at least the end of one, for a prompt."""
    kept: list[SampleTurn] = []
    left = min(room, most)
    for turn in reversed(turns):
        left -= _cost(turn)
        if left < 0:
            break
        kept.append(replace(turn, weight=0.0))
    if turns and not kept:
        kept.append(_end_of(turns[-1], min(room, most)))
    return kept[::-1]


def _end_of(turn: SampleTurn, room: int) -> SampleTurn:
    tokens = max(1, room - _NAME_TOKENS - _MARK_TOKENS * len(turn.message_ids))
    text = turn.text[-max(1, len(turn.text) * tokens // turn.tokens) :] if turn.tokens > tokens else turn.text
    return replace(turn, text=f"…{text}", weight=0.0, tokens=min(tokens, turn.tokens))


def _cost(turn: SampleTurn) -> int:
    return turn.tokens + _NAME_TOKENS + _MARK_TOKENS * (len(turn.message_ids) - 1)


def _tokens(turns: Sequence[SampleTurn]) -> int:
    return sum(map(_cost, turns))


# Counts the tokens of each line's text as it stands after a name.
Count = Callable[[Sequence[str]], list[int]]


def line_tokens(texts: Sequence[str], count: Count) -> list[int]:
    """Tokens of texts as they stand in a sample: after a name's colon, with the newline that ends them."""
    return count([f" {chat_format.one_line(text)}\n" for text in texts])
