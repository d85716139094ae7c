"""The message asked and the recent turns before it: as lines, and which of them where not all fit.

All of them while they fit. Else those that matter to the message, where something says which do (`Relevance`): the
turns it goes on from, then the newest, in the order they were said. Else the newest; then the first one shown is chosen
so that it stays the first for several messages, and an engine finds the same beginning again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sususbot import chat_format
from sususbot.memory.sections import MESSAGE, RECENT, CountAhead, CountTokens, LeftOut, Section, full
from sususbot.memory.transcript import Cast, Line, Transcript, begun, joined, who
from sususbot.messages import Turn

# For turns and the message after them, what each matters to it, from 0 to 1.
Relevance = Callable[[Sequence[Turn], Turn], Sequence[float]]

# Below this only a turn's age counts. Low: where relevance is a likelihood, many turns may share it.
_MATTERS: Final = 0.01
# So much of what would fit is shown at least, where the first turn is to stay the first.
_KEPT: Final = 0.75
_CUT: Final = " …"
# Spreads keys evenly: 2^64 over the golden ratio.
_SPREAD: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Talk:
    """What is shown. `turns` are all before the message, also those that its own line begins with.

    `relevance` is that of each turn, where it decided.
    """

    turns: tuple[Turn, ...]
    recent: Section
    message: Section
    left_out: tuple[LeftOut, ...]
    relevance: tuple[float, ...] = ()


class Parted(NamedTuple):
    """Lines before the message, and the message's: perhaps one that its writer had begun before."""

    before: Sequence[Line]
    ending: Sequence[Line]


class _Chosen(NamedTuple):
    parted: Parted
    used: int
    why: str
    reason: str = ""
    relevance: dict[Turn, float] | None = None


class RecentTurns:
    """Lays out and chooses for one bot."""

    def __init__(
        self,
        transcript: Transcript,
        count_tokens: CountTokens,
        count_ahead: CountAhead,
        relevance: Relevance | None,
        message_budget: int,
    ) -> None:
        self._transcript = transcript
        self._count = count_tokens
        self._count_ahead = count_ahead
        self._relevance = relevance
        self._message_budget = message_budget

    def parted(self, asked: Turn, recent: Sequence[Turn], cast: Cast) -> Parted:
        lines = self._transcript.lines([*recent, asked], cast)
        border = next(place for place, line in enumerate(lines) if any(one.turn is asked for one in line.pieces))
        return Parted(lines[:border], lines[border:])

    def choose(self, asked: Turn, recent: Sequence[Turn], parted: Parted, cast: Cast, budget: int) -> Talk:
        """`parted` is what `parted` made of the same turns."""
        left_out: list[LeftOut] = []
        chosen = self._chosen(asked, recent, self._fitting(recent, parted, cast), cast, budget)
        before, ending = chosen.parted
        turns = (*begun(before), *begun(ending)[:-1])
        if dropped := len(recent) - len(turns):
            older = "turns" if chosen.relevance else "older turns"
            left_out.append(LeftOut(RECENT, f"{dropped} {older}", chosen.reason))
        message = joined(ending)
        used = self._count(message)
        if not ending:
            message, used = self._shortened(asked, cast, left_out)
        relevance = tuple(chosen.relevance[one] for one in turns) if chosen.relevance else ()
        why = f"{len(turns)} of {len(recent)}: {chosen.why}" if recent else ""
        return Talk(
            turns,
            Section(RECENT, tuple(line.text for line in before), chosen.used, budget, why),
            Section(MESSAGE, tuple(message.split("\n")), used, self._message_budget),
            tuple(left_out),
            relevance,
        )

    def _fitting(self, recent: Sequence[Turn], parted: Parted, cast: Cast) -> Parted:
        """The same, or the message by itself where its line is too long for its section."""
        if self._count(joined(parted.ending)) <= self._message_budget:
            return parted
        return Parted(self._transcript.lines(recent, cast), [])

    def _chosen(self, asked: Turn, recent: Sequence[Turn], parted: Parted, cast: Cast, budget: int) -> _Chosen:
        used = self._tokens(parted.before)
        if used <= budget:
            return _Chosen(parted, used, "all fit")
        if self._relevance is not None:
            return self._mattering(asked, recent, parted, cast, budget)
        kept, used, in_steps = _newest(parted.before, [self._count(line.text + "\n") for line in parted.before], budget)
        reason = full(budget) + ("; some are dropped at once, so that the engine's cache holds" if in_steps else "")
        return _Chosen(Parted(kept, parted.ending), used, "the newest", reason)

    def _mattering(self, asked: Turn, recent: Sequence[Turn], parted: Parted, cast: Cast, budget: int) -> _Chosen:
        """The turns that matter most, as many as fit, told again without the others between them."""
        assert self._relevance is not None
        relevance = dict(zip(recent, self._relevance(recent, asked), strict=True))
        groups = _groups(parted.before)
        best = [max(relevance[one] for one in begun(group)) for group in groups]
        order = sorted(range(len(groups)), key=lambda place: (best[place] if best[place] >= _MATTERS else 0.0, place))
        fitting: list[int] = []
        left = budget
        for place in reversed(order):
            if (tokens := self._tokens(groups[place])) <= left:
                left -= tokens
                fitting.append(place)
        while True:
            kept = [one for place in sorted(fitting) for one in begun(groups[place])]
            told = self._told(asked, [*kept, *begun(parted.ending)[:-1]], cast)
            used = self._tokens(told.before)
            if used <= budget or not fitting:
                break
            fitting.pop()
        mattering = sum(best[place] >= _MATTERS for place in fitting)
        why = f"{mattering} that the message may go on from, then the newest"
        return _Chosen(told, used, why, f"{full(budget)}; other conversations, or the least relevant", relevance)

    def _told(self, asked: Turn, turns: Sequence[Turn], cast: Cast) -> Parted:
        parted = self.parted(asked, turns, cast)
        self._count_ahead([joined(parted.ending), *(line.text + "\n" for line in parted.before)])
        return self._fitting(turns, parted, cast)

    def _tokens(self, lines: Sequence[Line]) -> int:
        return sum(self._count(line.text + "\n") for line in lines)

    def _shortened(self, asked: Turn, cast: Cast, left_out: list[LeftOut]) -> tuple[str, int]:
        """The message by itself, and its tokens; one that is too long loses its end."""
        budget = self._message_budget
        turn = cast.turn(who(asked), self._transcript.read(asked.text).text, asked.at)
        whole, shown = turn.text, self._transcript.alone(turn)
        if self._count(shown) > budget and self._count(chat_format.speaker(turn.speaker)) > budget // 2:
            left_out.append(LeftOut(MESSAGE, "the name", "it is so long that no words would fit"))
            turn = replace(turn, speaker="")
            shown = self._transcript.alone(turn)
        while (used := self._count(shown)) > budget and turn.text:
            # Aim by the ratio, then step down: tokens a character vary.
            turn = replace(turn, text=turn.text[: min(len(turn.text) - 1, len(turn.text) * budget // used)])
            shown = self._transcript.alone(turn) + _CUT
        if dropped := len(whole) - len(turn.text):
            left_out.append(LeftOut(MESSAGE, f"the last {dropped} characters", "the message is too long"))
        return shown, used


def _groups(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines that stand or go together: of a long turn all or none."""
    groups: list[list[Line]] = []
    for line in lines:
        if line.pieces[0].begins:
            groups.append([])
        groups[-1].append(line)
    return groups


def _newest(lines: Sequence[Line], sizes: Sequence[int], budget: int) -> tuple[Sequence[Line], int, bool]:
    """The last lines, their tokens, and whether more would fit.

    Of all places near the oldest that fits, the one with the lowest mark: it stays the choice while turns are added,
    until it fits no more. No memory of the last reply is needed for that.
    """
    starts: list[tuple[int, int]] = []
    tokens = 0
    for place in reversed(range(len(lines))):
        tokens += sizes[place]
        if tokens > budget:
            break
        if lines[place].pieces[0].begins:
            starts.append((place, tokens))
    if not starts:
        return [], 0, False
    near = [one for one in starts if one[1] >= _KEPT * starts[-1][1]]
    first, used = min(near, key=lambda one: _mark(lines[one[0]].pieces[0].turn))
    return lines[first:], used, first > starts[-1][0]


def _mark(turn: Turn) -> int:
    """A number that belongs to a turn, as good as drawn by lot."""
    return ((turn.message_id or turn.at) * _SPREAD) & 0xFFFF_FFFF_FFFF_FFFF
