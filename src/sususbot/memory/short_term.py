"""What was just said: the last messages of a channel, verbatim, and in short what was said before them.

Both are read from the archive each time, so there is no second copy: an edit or deletion shows at once, and a crash
loses nothing. Members who opted out are left out, and so are other bots; the bot's own lines belong to the talk.
Summaries are made in the background (`folding`), piece by piece (`pieces`). A reader never waits for them: of a piece
that has none yet, the most telling lines are given, and the summary says why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.chat_format import Names, one_line, speaker
from sususbot.memory.folding import Folding
from sususbot.memory.pieces import Piece, Pieces
from sususbot.memory.summarizer.extractive import Extractive
from sususbot.memory.summarizer.summarizer import Said, Summarizer
from sususbot.memory.summary import Summary
from sususbot.messages import Author, Message, Turn, day
from sususbot.model.backend import Deadline
from sususbot.wording.rules import Rewriting

# Channels that are caught up with at the start: those that spoke last.
_CAUGHT_UP: Final = 32
# Rewritten texts that are kept, as in `context`.
_TEXTS: Final = 1024
_AT_ONCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Folds:
    """How what leaves the window is summed up.

    `interval` messages make a piece, the last `kept` pieces before the window a summary; `stride` pieces leave the
    window at once. `summarizer` None: the most telling lines alone; `note` then says why, where another was asked for.
    `seconds` is what one piece may take.
    """

    own_name: str
    interval: int = 5
    kept: int = 6
    stride: int = 1
    summarizer: Summarizer | None = None
    seconds: float = 30.0
    note: str | None = None
    rewriting: Rewriting = field(default_factory=Rewriting)


class ShortTerm:
    """The recent turns of each channel, and the gist of those before."""

    def __init__(self, archive: Archive, *, window: int, own_id: int | None = None, folds: Folds | None = None) -> None:
        """`own_id` is the bot's account; None where it has none (terminal). Without `folds` there is no summary."""
        self._archive = archive
        self._window = window
        self._folds = folds
        self._extractive = Extractive()
        self._pieces: Pieces | None = None
        self._folding: Folding | None = None
        self.own_id = own_id
        if folds is not None:
            self._rewritten = lru_cache(_TEXTS)(folds.rewriting.of)
            self._pieces = Pieces(archive, window=window, interval=folds.interval, kept=folds.kept, stride=folds.stride)
            if folds.summarizer is not None:
                self._folding = Folding(
                    archive, folds.summarizer, pieces=self._pieces_of, said=self._said, seconds=folds.seconds
                )

    @property
    def own_account(self) -> Author | None:
        """The bot's account, once it said something."""
        return None if self.own_id is None else self._archive.author(self.own_id)

    def recent(self, channel_id: int, *, before: int | None = None) -> list[Turn]:
        """The last turns, oldest first; with `before`, those before that message.

        Where the talk before them is summed up, these are a few more: all that is in no piece yet.
        """
        if self._pieces is None:
            cleared = self._archive.summaries.cleared(channel_id)
            found = self._archive.window(channel_id, limit=self._window, before=before, own_id=self.own_id)
            messages: Sequence[Message] = [one for one in found if cleared is None or one.id > cleared]
        else:
            messages = self._pieces.recent(channel_id, before=before, own_id=self.own_id)
        return [turn(message, self.own_id) for message in messages]

    def summary(self, channel_id: int, *, before: int | None = None) -> Summary | None:
        """What was said before the turns that `recent` gives; None where that is nothing."""
        if self._pieces is None or self._folds is None:
            return None
        talk = self._pieces.talk(channel_id, before=before, own_id=self.own_id)
        parts = [(piece, said) for piece in talk.pieces if (said := self._said(piece))]
        if not parts:
            return None
        lines: list[str] = []
        made_by: list[str] = []
        reasons: list[str] = []
        for piece, said in parts:
            text, by = self._gist(piece, said)
            if piece.made is None and self._folding is not None:
                reasons.append(self._folding.reason(piece))
            lines += (f"{moment(piece.messages[0].created_at)}, {line}" for line in text.split("\n"))
            made_by.append(by)
        messages = [message for piece, _ in parts for message in piece.messages]
        note = f"{len(reasons)} of {len(parts)} pieces: {reasons[-1]}" if reasons else None
        return Summary(
            text="\n".join(lines),
            by=", ".join(dict.fromkeys(made_by)),
            first_at=messages[0].created_at,
            last_at=messages[-1].created_at,
            messages=len(messages),
            note=note or (self._folds.note if self._extractive.name in made_by else None),
        )

    def changed(self, ids: Iterable[int]) -> None:
        """These messages are new, edited or gone. Takes a millisecond, in the thread that writes to the archive."""
        if self._pieces is not None:
            self._fold(self._archive.summaries.channels_of(ids))

    def start(self) -> None:
        """Catch up with what was said while nothing ran, in the channels that spoke last."""
        if self._pieces is not None:
            self._fold(self._archive.summaries.busiest(_CAUGHT_UP)[::-1])

    def forget(self, channel_id: int, *, up_to: int = 0) -> None:
        """Begin a channel anew: nothing that was said there so far is in its turns or summary any more.

        `up_to` is the id of this moment: what was said before it may still be on its way here.
        """
        self._archive.summaries.clear(channel_id, up_to=up_to)

    def settle(self, seconds: float) -> bool:
        """Wait until every summary is made that can be; gives whether that is so."""
        return self._folding is None or self._folding.settle(seconds)

    def close(self) -> None:
        """End the background thread."""
        if self._folding is not None:
            self._folding.close()

    def _fold(self, channel_ids: Sequence[int]) -> None:
        assert self._pieces is not None
        for channel_id in channel_ids:
            self._pieces.cut(channel_id, own_id=self.own_id)
        if self._folding is not None:
            self._folding.wake(*channel_ids)

    def _pieces_of(self, channel_id: int) -> Sequence[Piece]:
        assert self._pieces is not None
        return self._pieces.all(channel_id, own_id=self.own_id)

    def _gist(self, piece: Piece, said: list[Said]) -> tuple[str, str]:
        """A piece in short, and by what: what was made of it, or its most telling lines."""
        if piece.made is not None:
            return piece.made.text, piece.made.by
        return self._extractive.summarize(said, Deadline(_AT_ONCE)), self._extractive.name

    def _said(self, piece: Piece) -> list[Said]:
        """A piece as a prompt would have it: texts rewritten, no two speakers alike, the bot under its name."""
        assert self._folds is not None
        own = self.own_account
        people: dict[int | None, tuple[str, str]] = {} if own is None else {None: (own.display_name, own.name)}
        for message in piece.messages:
            people.setdefault(self._who(message), (message.author.display_name, message.author.name))
        names = Names(people, self._folds.own_name)
        called = names.of(people, None)
        read = ((self._who(message), one_line(self._read(message.rendered))) for message in piece.messages)
        return [Said(speaker(called[who]), names.with_own(text, None)) for who, text in read if text]

    def _who(self, message: Message) -> int | None:
        return None if message.author.id == self.own_id else message.author.id

    def _read(self, text: str) -> str:
        """A text as it is read. Names that stand in it by id are looked up each time: they change, or must go."""
        assert self._folds is not None
        return (self._folds.rewriting.of if "<@" in text else self._rewritten)(text).text


def turn(message: Message, own_id: int | None = None) -> Turn:
    """A message as a turn of a conversation."""
    return Turn(
        speaker=message.author.display_name,
        text=message.rendered,
        at=message.created_at,
        own=message.author.id == own_id,
        message_id=message.id,
        author_id=message.author.id,
        account=message.author.name,
        reply_to=message.reply_to,
    )


def moment(ms: int) -> str:
    """A time as a line of a summary begins: `3 Mar 2024, 14:05`, in UTC as all days are."""
    return f"{day(ms)}, {datetime.fromtimestamp(ms / 1000, UTC):%H:%M}"
