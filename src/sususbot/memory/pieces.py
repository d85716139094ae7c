"""Where a channel's window begins, and the pieces of talk before it.

What left the window of the newest 20 messages is cut into pieces of five, each once, at borders that stay where they
are. What makes no whole piece yet stays in the window, so that nothing is invisible: before the message that is
answered, it grows from 20 to 24 and steps back by five. A prompt's beginning stays the same between two steps, which
the engine's cache lives on; so the window may take several pieces in a step, and grow longer before it. Where it begins
is remembered while the program runs; another start is a step too many.
Borders are kept in the archive; which messages lie between them is asked each time, so that an edit, a deletion or a no
shows at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sususbot.archive.archive import Archive
from sususbot.archive.summaries import Made, Span
from sususbot.messages import Message


@dataclass(frozen=True, slots=True)
class Piece:
    """What is left of a piece of talk, and what was made of just that, if anything was."""

    id: int
    messages: tuple[Message, ...]
    made: Made | None

    @property
    def words(self) -> tuple[tuple[int, str], ...]:
        """Its messages' ids and words, which a summary is made of."""
        return tuple((message.id, message.rendered) for message in self.messages)


class Talk(NamedTuple):
    """A channel before some message: the window, and the pieces before it, oldest first."""

    recent: Sequence[Message]
    pieces: Sequence[Piece]


class _Look(NamedTuple):
    """The newest messages of a channel, and its borders. `whole`: there are no older ones."""

    messages: Sequence[Message]
    spans: Sequence[Span]
    cleared: int | None
    whole: bool

    def covers(self, after_id: int) -> bool:
        """Whether all messages after this one are among these."""
        return self.whole or (bool(self.messages) and self.messages[0].id <= after_id)

    def inside(self, span: Span) -> tuple[Message, ...]:
        return tuple(one for one in self.messages if span.after_id < one.id <= span.last_id)

    @property
    def border(self) -> int | None:
        """The last message that is in a piece, or was put out of sight."""
        last = [self.spans[-1].last_id] if self.spans else []
        return max((*last, *(() if self.cleared is None else (self.cleared,))), default=None)

    @property
    def fresh(self) -> list[Message]:
        """What is in no piece yet."""
        border = self.border
        return [one for one in self.messages if border is None or one.id > border]


class Pieces:
    """Cuts the channels of an archive. `window`, `interval` and `kept`: how many messages, to a piece, and pieces.

    `stride` is how many pieces leave the window at once.
    """

    def __init__(self, archive: Archive, *, window: int, interval: int, kept: int, stride: int = 1) -> None:
        self._archive = archive
        self._window = window
        self._interval = interval
        self._kept = kept
        self._stride = stride
        # By channel, the border after which its window begins.
        self._begins: dict[int, int] = {}
        # The newest message is the one that is answered, mostly.
        self._whole = window + 1
        # With a piece to spare, for a moment at which the newest is not cut yet.
        self._shown_at_most = window + 2 * interval
        self._most = self._shown_at_most + interval * (stride - 1)
        self._looked_at = self._most + interval * kept

    def recent(self, channel_id: int, *, before: int | None, own_id: int | None) -> Sequence[Message]:
        """The window, oldest first."""
        return self._newest(self._look(channel_id, self._most, before, own_id), channel_id)

    def talk(self, channel_id: int, *, before: int | None, own_id: int | None) -> Talk:
        """The window and the pieces before it."""
        look = self._look(channel_id, self._looked_at, before, own_id)
        recent = self._newest(look, channel_id)
        return Talk(recent, self._before(look, channel_id, recent[0].id if recent else None)[-self._kept :])

    def all(self, channel_id: int, *, own_id: int | None) -> Sequence[Piece]:
        """Every piece, also those that are still in the window: what is made of them is there when they leave it."""
        return self._before(self._look(channel_id, self._looked_at, None, own_id), channel_id, None)

    def _before(self, look: "_Look", channel_id: int, first: int | None) -> list[Piece]:
        made = self._archive.summaries.made(channel_id)
        pieces = []
        for span in look.spans:
            messages = look.inside(span) if look.covers(span.after_id) else ()
            # After deletions the window may reach back over a border.
            if messages and (first is None or messages[0].id < first):
                ready = made.get(span.id)
                still_so = ready is not None and ready.of == {one.id for one in messages}
                pieces.append(Piece(span.id, messages, ready if still_so else None))
        return pieces

    def cut(self, channel_id: int, *, own_id: int | None) -> None:
        """Put what left the window into pieces. Cheap where nothing did."""
        if self._borders(self._look(channel_id, self._looked_at, None, own_id)) is None:
            return
        with self._archive.together():
            look = self._look(channel_id, self._looked_at, None, own_id)
            borders = self._borders(look)
            if not self._sound(look):
                self._archive.summaries.uncut(channel_id)
            if borders is not None:
                self._archive.summaries.cut(channel_id, borders, kept=self._kept + self._stride - 1)

    def _look(self, channel_id: int, limit: int, before: int | None, own_id: int | None) -> _Look:
        summaries = self._archive.summaries
        messages = self._archive.window(channel_id, limit=limit, before=before, own_id=own_id)
        spans = [span for span in summaries.spans(channel_id) if before is None or span.last_id < before]
        cleared = summaries.cleared(channel_id)
        seen = [one for one in messages if cleared is None or one.id > cleared]
        return _Look(seen, spans, cleared, whole=len(messages) < limit or len(seen) < len(messages))

    def _newest(self, look: _Look, channel_id: int) -> Sequence[Message]:
        """All that is in no piece, and never less than the window's messages; far more than these only in a gap.

        With the pieces before it that have not left the window yet.
        """
        fresh = len(look.fresh)
        least = fresh if self._window <= fresh < self._shown_at_most else self._window
        begin = self._begin(channel_id, [span.last_id for span in look.spans])
        held = [one for one in look.messages if begin is not None and one.id > begin]
        return held if least <= len(held) < self._most else look.messages[-least:]

    def _begin(self, channel_id: int, borders: Sequence[int]) -> int | None:
        """The border at which the window begins: as before, till so many pieces are to leave it."""
        if self._stride == 1 or not borders:
            return None
        begin = self._begins.get(channel_id)
        if begin is None or begin not in borders[-self._stride :]:
            begin = self._begins[channel_id] = borders[-1]
        return begin

    def _borders(self, look: _Look) -> list[int] | None:
        """The borders of new pieces, the oldest first; None where there are none, nor pieces to cut anew."""
        sound = self._sound(look)
        if not sound:
            look = look._replace(spans=())
        fresh, border = look.fresh, look.border
        if border is None or not look.covers(border):
            # Never cut, or much was said meanwhile: only what is shown of it later.
            fresh = fresh[-(self._whole + self._interval * (self._kept + self._stride - 1)) :]
            border = fresh[0].id - 1 if fresh else None
        count = (len(fresh) - self._whole) // self._interval
        if count <= 0 or border is None:
            return None if sound else []
        return [border, *(fresh[self._interval * (place + 1) - 1].id for place in range(count))]

    def _sound(self, look: _Look) -> bool:
        """Whether every piece is about as long as it was cut: a history that came later may lie between its borders."""
        return all(
            look.covers(span.after_id) and len(look.inside(span)) <= 2 * self._interval
            for span in look.spans
            if not look.messages or span.last_id >= look.messages[0].id
        )
