"""Conversations to training samples: who is played by the bot, what is learned of each line, and how much fits.

A sample is a conversation, or a part of one that is too long: parts are divided at the longest silences, and before a
later part stand a few lines of what came before, which are only read, so that no line is trained twice. In each, one
participant is played by the bot: its lines stand under the bot's name and weigh 1, the lines of others weigh little,
names nothing. Said without a prompt (the first words of a conversation), a played line weighs no more than another's:
the bot is not to answer nothing. Lines with a mark weigh nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from sususbot import chat_format
from sususbot.chat_format import Names
from sususbot.messages import Turn
from sususbot.wording import rewriting

PLAYED: Final = 1.0
# What a later part of a conversation may repeat before its first line, and each part's least share when it is divided.
_REPEATED: Final = 0.125
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
    """What one author said in one go: a message, a piece of one, or several joined.

    `marked`: not to be learned. `reply_to`: the message that the first of it answers, where Discord says so.
    """

    message_ids: tuple[int, ...]
    author_id: int
    at: int
    text: str
    tokens: int
    marked: bool = False
    reply_to: int | None = None

    @property
    def cost(self) -> int:
        """Tokens in a sample, the name and the marks between messages included."""
        return self.tokens + _NAME_TOKENS + _MARK_TOKENS * (len(self.message_ids) - 1)


@dataclass(frozen=True, slots=True)
class Part:
    """A conversation, or a part of one: `before` is repeated from the part before, `lines` are its own."""

    channel_id: int
    number: int
    before: tuple[Said, ...]
    lines: tuple[Said, ...]
    cut: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Play:
    """How a conversation is played: by whom, and what each author's lines weigh beyond the usual (see `plan`)."""

    author_id: int
    scale: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shape:
    """The settings that samples are made by."""

    sample_tokens: int
    others_weight: float
    run_ms: int
    persona_tokens: int = 0

    @property
    def room(self) -> int:
        """Tokens for what is said."""
        return self.sample_tokens - self.persona_tokens


def parts(channel_id: int, said: Sequence[Said], shape: Shape, *, cut: bool = False) -> Iterator[Part]:
    """A conversation in parts that fit into a sample each. Every line is in the `lines` of exactly one."""
    lines = _joined(said, shape)
    budget = shape.room
    spans = _divided(lines, budget)
    for number, (start, end) in enumerate(spans):
        own = lines[start:end]
        before = _end_of(lines[:start], min(budget - _cost(own), int(budget * _REPEATED))) if number else ()
        yield Part(channel_id, number, before, tuple(own), cut and number == 0, number == len(spans) - 1)


def prompted(part: Part) -> dict[int, tuple[int, int]]:
    """Author -> tokens that can be learned of its lines, and those of them with something said before by another."""
    counts: dict[int, tuple[int, int]] = {}
    heard = {one.author_id for one in part.before}
    for one in part.lines:
        heard.add(one.author_id)
        learned = 0 if one.marked else one.tokens
        all_, answers = counts.get(one.author_id, (0, 0))
        counts[one.author_id] = (all_ + learned, answers + (learned if len(heard) > 1 else 0))
    return counts


def sample(part: Part, play: Play, names: Names[int], shape: Shape) -> Sample:
    """The part, played."""
    whole = (*part.before, *part.lines)
    called = names.of([one.author_id for one in whole], play.author_id)
    turns, heard = [], set()
    for place, one in enumerate(whole):
        heard.add(one.author_id)
        own = one.author_id == play.author_id
        usual = PLAYED if own and len(heard) > 1 else shape.others_weight
        learned = place >= len(part.before) and not one.marked
        turns.append(
            SampleTurn(
                speaker=called[one.author_id],
                text=names.with_own(one.text, play.author_id),
                at=one.at,
                author_id=one.author_id,
                message_ids=one.message_ids,
                weight=round(usual * play.scale.get(one.author_id, 1.0), 6) if learned else 0.0,
                own=own,
                unprompted=own and len(heard) == 1,
                tokens=one.tokens,
            )
        )
    return Sample(
        id=f"{part.channel_id}-{part.lines[0].message_ids[0]}" + (f"-{part.number}" if part.number else ""),
        channel_id=part.channel_id,
        played=play.author_id,
        turns=tuple(turns),
        tokens=shape.persona_tokens + _cost(whole),
        trained=round(sum(turn.weight * turn.tokens for turn in turns), 3),
        cut=part.cut,
        ends=part.ends,
    )


# -- dividing


def _joined(said: Sequence[Said], shape: Shape) -> list[Said]:
    """Runs of one author as one, where a line leaves room for others beside it."""
    pieces = (piece for whole in said for piece in _fitting(whole, shape))
    return [_one(run) for run in chat_format.runs(pieces, shape.run_ms, min(chat_format.RUN_BYTES, shape.room // 2))]


def _one(run: Sequence[Said]) -> Said:
    if len(run) == 1:
        return run[0]
    return replace(
        run[0],
        message_ids=tuple(dict.fromkeys(id_ for one in run for id_ in one.message_ids)),
        at=run[-1].at,
        text="\n".join(one.text for one in run),
        tokens=sum(one.tokens for one in run),
    )


def _fitting(said: Said, shape: Shape) -> Iterator[Said]:
    """One text in pieces that leave room for others beside them, whatever its script takes in tokens."""
    most = shape.room // 3
    if said.tokens <= most:
        yield said
        return
    pieces = rewriting.split(said.text, max(1, len(said.text) * most // said.tokens))
    left = said.tokens
    for number, piece in enumerate(pieces, start=1):
        tokens = left if number == len(pieces) else said.tokens * len(piece) // len(said.text)
        left -= tokens
        yield replace(said, text=piece, tokens=tokens)


def _divided(lines: Sequence[Said], budget: int) -> list[tuple[int, int]]:
    """Where parts that fit begin and end, divided at the longest silences that leave no sliver."""
    if _cost(lines) <= budget or len(lines) < 2:
        return [(0, len(lines))]
    # What is divided leaves room for what later parts repeat.
    budget = int(budget * (1 - _REPEATED))
    done: list[tuple[int, int]] = []
    waiting = [(0, len(lines))]
    while waiting:
        start, end = waiting.pop()
        if _cost(lines[start:end]) <= budget or end - start < 2:
            done.append((start, end))
            continue
        at = start + _longest_silence(lines[start:end])
        waiting += [(at, end), (start, at)]
    return done


def _longest_silence(lines: Sequence[Said]) -> int:
    """The place before which it is longest; a place in the middle where the ends alone would do."""
    total, before = _cost(lines), 0
    places = []
    for place in range(1, len(lines)):
        before += lines[place - 1].cost
        if min(before, total - before) >= total * _LEAST_PART:
            places.append(place)
    return max(places or range(1, len(lines)), key=lambda place: (lines[place].at - lines[place - 1].at, -place))


def _end_of(lines: Sequence[Said], room: int) -> tuple[Said, ...]:
    """The last lines, as many as fit; at least the end of one, so that what follows has a prompt."""
    kept: list[Said] = []
    for one in reversed(lines):
        if one.cost > room:
            break
        room -= one.cost
        kept.append(one)
    if not kept:
        last = lines[-1]
        tokens = max(1, room - (last.cost - last.tokens))
        text = last.text[-max(1, len(last.text) * tokens // last.tokens) :]
        text = text[text.find(" ") + 1 :]
        kept.append(replace(last, text=f"…{text}", tokens=min(tokens, last.tokens)))
    return tuple(reversed(kept))


def _cost(lines: Sequence[Said]) -> int:
    return sum(one.cost for one in lines)


# Counts the tokens of each line's text as it stands after a name.
Count = Callable[[Sequence[str]], list[int]]


def line_tokens(texts: Sequence[str], count: Count) -> list[int]:
    """Tokens of texts as they stand in a sample: after a name's colon, with the newline that ends them."""
    return count([f" {chat_format.one_line(text)}\n" for text in texts])
