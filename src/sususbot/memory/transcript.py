"""What was said as a model reads it: rewritten by the rules that a corpus is built by, joined and named as in one.

Not here: which of it fits into a prompt (`recent`, `excerpts`, `context`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from sususbot import chat_format
from sususbot.chat_format import Names
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.wording.rules import Rewriting, Rewritten

# Rewritten texts that are kept: a window moves by a message or two, and the same old messages are found often.
_TEXTS: Final = 1024
# Read once at the start: what is loaded to tell numbers apart would cost the first replies 40 ms.
_NUMBERS: Final = "call 555-123-4567 or 0151 23456789 or 1 234 567 890 or 12 345 678 90 12, card 4111 1111 1111 1111"

# Whose words: an account, a name where there is none (terminal), None for the bot.
Who = int | str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A turn as a model reads it, or a piece of a long one; `begins`: the first."""

    turn: Turn
    author_id: Who
    at: int
    text: str
    marked: bool
    reply_to: int | None
    begins: bool


class Line(NamedTuple):
    """A line of a prompt and what it is made of."""

    text: str
    pieces: Sequence[Piece]


class Cast:
    """Everybody in a context, and what they are called in it."""

    def __init__(self, own: Author | None, turns: Sequence[Turn], hits: Sequence[Hit], own_name: str) -> None:
        people: dict[Who, tuple[str, str]] = {} if own is None else {None: (own.display_name, own.name)}
        for one in turns:
            people.setdefault(who(one), (one.speaker, one.account))
        for author in (message.author for hit in hits for message in hit.around):
            people.setdefault(author.id, (author.display_name, author.name))
        self._names = Names(people, own_name)
        self._called = self._names.of(people, None)

    def name(self, of: Who) -> str:
        return self._called[of]

    def text(self, text: str) -> str:
        """A text with the bot mentioned by the name it has here."""
        return self._names.with_own(text, None)

    def turn(self, of: Who, text: str, at: int) -> Turn:
        """What somebody said, as a model is shown it."""
        return Turn(self._called[of], self.text(text), at)


class Transcript:
    """Turns, old messages and a gist as lines."""

    def __init__(self, rewriting: Rewriting | None = None, run_ms: int = chat_format.RUN_MS) -> None:
        """`rewriting` and `run_ms` are those that the corpus was built by."""
        self._rewriting = rewriting or Rewriting()
        self._rewritten = lru_cache(_TEXTS)(self._rewriting.of)
        self._run_ms = run_ms
        self.read(_NUMBERS)

    def read(self, text: str) -> Rewritten:
        """A text as it is read. Names that stand in it by id are looked up each time: they change, or must go."""
        return (self._rewriting.of if "<@" in text else self._rewritten)(text)

    def lines(self, turns: Sequence[Turn], cast: Cast) -> list[Line]:
        """Turns that follow one another, what a member says in one go on one line."""
        pieces = (piece for one in turns for piece in self._pieces(one))
        joined = (("\n".join(one.text for one in run), run) for run in chat_format.runs(pieces, self._run_ms))
        return [Line(chat_format.line(cast.turn(run[0].author_id, text, run[0].at)), run) for text, run in joined]

    def alone(self, turn: Turn) -> str:
        """A turn by itself, that was read and named before."""
        return "\n".join(chat_format.line(replace(turn, text=part)) for part in self._rewriting.parts(turn.text))

    def quoted(self, message: Message, channel_names: Mapping[int, str], cast: Cast) -> str:
        """A message of long ago."""
        said = cast.turn(message.author.id, self.read(message.rendered).text, message.created_at)
        return chat_format.quoted_line(said, channel_names.get(message.channel_id, "?"))

    def gist(self, text: str, cast: Cast) -> list[str]:
        """Lines of what is known of the talk before, oldest first; empty ones are none."""
        read = (self.read(line).text for line in text.splitlines())
        return [chat_format.gist_line(cast.text(line)) for line in read if line]

    def _pieces(self, turn: Turn) -> list[Piece]:
        """A turn as it is read: one piece, or several of a long one."""
        left = self.read(turn.text)
        return [
            Piece(turn, who(turn), turn.at, part, left.marked, turn.reply_to, begins=number == 0)
            for number, part in enumerate(self._rewriting.parts(left.text))
        ]


def who(turn: Turn) -> Who:
    """Whose turn it is."""
    if turn.own:
        return None
    return turn.author_id if turn.author_id is not None else turn.speaker


def joined(lines: Sequence[Line]) -> str:
    return "\n".join(line.text for line in lines)


def begun(lines: Sequence[Line]) -> list[Turn]:
    """The turns that begin in these lines."""
    return [piece.turn for line in lines for piece in line.pieces if piece.begins]
