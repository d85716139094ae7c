"""Lines that were once said and would answer now: what the `recall` backend chooses from.

Two kinds: what people answered when something like this was asked before, and statements that are about it themselves.
An answer is known by Discord's reply reference, else it is the next thing somebody else said within two minutes.
A line is said again word for word, so only lines of members who may be quoted are given, and nothing that they quote of
members who may not.
"""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from sususbot.archive.nameless import LEFT_OF_QUOTES
from sususbot.chat_format import one_line
from sususbot.memory.long_term import LongTerm
from sususbot.memory.surroundings import Hit
from sususbot.messages import Audience, Message, Turn
from sususbot.model.backend import Source
from sususbot.model.recall import Line

_SIMILAR: Final = 24
# Looked through when few of those found may be quoted.
_ALL: Final = 200
_ENOUGH: Final = 8
_ANSWER_MS: Final = 120_000
# How much a line counts by what it is. An answer to a like question comes first; what follows a mere statement is
# often a change of subject, and a question answers nothing.
_ANSWERS_A_QUESTION: Final = 1.15
_STATES_IT: Final = 1.0
_FOLLOWS_A_STATEMENT: Final = 0.6
_ASKS: Final = 0.4
_TOO_SHORT: Final = 0.6
_TOO_LONG: Final = 0.6
_LONG: Final = 300
# A memory that scores so much less than the best fits e times worse.
_SPREAD: Final = 10.0
# A line that is addressed to somebody reads as if said to the asker once the name is off.
_ADDRESSED: Final = re.compile(r"^(?:@\S+[,:]?\s+)+")
_LINK: Final = re.compile(r"https?://\S+")
# Many people leave the question mark out.
_QUESTION: Final = re.compile(
    r"(?:(?:hey|so|ok|and|but|wait)[,.]* )*"
    r"(?:what|who|where|when|why|how|which|(?:does |can |is |has )?any(?:one|body))\b[^.!]*$",
    re.IGNORECASE,
)


class RememberedLines:
    """A `LineSource` over long-term memory."""

    def __init__(self, memory: LongTerm) -> None:
        self._memory = memory

    def lines(self, turns: Sequence[Turn], audience: Audience) -> Sequence[Line]:
        # A bare mention asks about what was said just before it.
        question = next((turn.text for turn in reversed(turns) if turn.text.strip()), "")
        shown = {turn.message_id for turn in turns if turn.message_id is not None}
        at = turns[-1].at if turns else None
        lines, withheld = self._quotable(question, _SIMILAR, audience, shown, at)
        if withheld and len(lines) < _ENOUGH:
            lines, _ = self._quotable(question, _ALL, audience, shown, at)
        return sorted(lines, key=lambda line: (-line.source.score, line.text))

    def _quotable(
        self, question: str, limit: int, audience: Audience, shown: Collection[int], at: int | None
    ) -> tuple[list[Line], bool]:
        """What was found that may be said again, each text once; and whether something may not."""
        found = self._memory.search(question, limit=limit, audience=audience, exclude=shown, now=at)
        best_score = max((hit.score for hit in found.hits), default=0.0)
        fits = [(hit, math.exp((hit.score - best_score) / _SPREAD)) for hit in found.hits]
        candidates = [one for hit, fit in fits for one in _candidates_of(hit, fit)]
        words = self._memory.quotable({one.message.id for one in candidates})
        best: dict[str, Line] = {}
        for one in candidates:
            line = _line(one, words.get(one.message.id, ""))
            if not line.text:
                continue
            if line.text not in best or best[line.text].source.score < line.source.score:
                best[line.text] = line
        return list(best.values()), any(one.message.id not in words for one in candidates)


class _Candidate(NamedTuple):
    """What may be said again, as far as it fits, and what it answers."""

    message: Message
    score: float
    answers: Message | None = None


def _candidates_of(hit: Hit, fits: float) -> Iterator[_Candidate]:
    asked = _asks(hit.message.rendered)
    # What merely stands beside the words that were looked for does not state anything about them.
    if "meaning" in hit.parts or hit.parts["words"] > 0:
        yield _Candidate(hit.message, fits * (_ASKS if asked else _STATES_IT))
    answer = _answer(hit)
    if answer is not None:
        weight = _ANSWERS_A_QUESTION if asked else _FOLLOWS_A_STATEMENT
        score = fits * weight * (_ASKS if _asks(answer.rendered) else 1.0)
        yield _Candidate(answer, score, hit.message)


def _line(candidate: _Candidate, said: str) -> Line:
    message, score, answers = candidate
    # On one line, as a prompt has it, so that a stop at the first newline leaves all of it.
    text = one_line(_ADDRESSED.sub("", LEFT_OF_QUOTES.sub("", said)))
    words = _LINK.sub("", text).split()
    if len(words) < 3:
        score *= _TOO_SHORT
    elif len(text) > _LONG:
        score *= _TOO_LONG
    source = Source(
        message.id,
        message.author.display_name,
        message.created_at,
        None if answers is None else answers.rendered,
        score,
        None if answers is None else answers.id,
    )
    return Line(text, message.author.id, source)


def _answer(hit: Hit) -> Message | None:
    """What somebody else said to it."""
    asked = hit.message
    later = [message for message in hit.around if message.id > asked.id and message.author.id != asked.author.id]
    replies = [message for message in later if message.reply_to == asked.id]
    spoken = [
        message for message in later if message.reply_to is None and message.created_at - asked.created_at <= _ANSWER_MS
    ]
    return next(iter([*replies, *spoken]), None)


def _asks(text: str) -> bool:
    return text.rstrip().endswith("?") or _QUESTION.match(text.strip()) is not None
