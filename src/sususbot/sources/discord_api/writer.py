"""Pages into the archive: a page and the stretch that it leads to in one transaction, one page after another.

All that touches the archive runs in one thread of its own, never on the event loop. MAX_MESSAGES is kept to the
message: a page of which only a part is wanted leads to a shorter stretch, from which the next run goes on.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.checkpoints import Stretch
from sususbot.archive.upsert import Added
from sususbot.messages import Channel, Message
from sususbot.sources.discord_api.api_message import MALFORMED, MessageReader
from sususbot.sources.discord_api.channels import Place
from sususbot.sources.discord_api.pages import Page

T = TypeVar("T")

_Read = list[tuple[int, Message | None]]


class Writer:
    """What a run writes, and what it has written."""

    def __init__(self, archive: Archive, reader: MessageReader, max_messages: int | None) -> None:
        self.added = Added()
        self.deleted = 0
        self.malformed = 0
        self._archive = archive
        self._reader = reader
        self._max = max_messages
        self._source: int | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    @property
    def enough(self) -> bool:
        """As many new messages as were wanted are there."""
        return self._max is not None and self.added.new >= self._max

    async def begin(self, place: Place) -> Stretch | None:
        """Know a channel; gives what was seen of it, None where that is nothing."""

        def work() -> Stretch | None:
            self._archive.add_channel(place.guild, place.channel, origin="api", seen_at=now_ms())
            return self._archive.checkpoints.of(place.id)

        return await self._run(work)

    async def keep(
        self, place: Place, page: Page, before: Stretch | None, *, touch: int, end: int, complete: bool = False
    ) -> Stretch | None:
        """Write a page that was read from `touch` to `end`, up or down, and what is then seen of the channel.

        `before` is what was seen so far, and what is given back when no more is wanted. `complete`: nothing is older.
        """

        def work() -> Stretch | None:
            stretch = before
            for part, reached in self._parts(page, touch, end):
                longer = _joined(stretch, touch, reached, complete=complete)
                self._add(place, part, page.fetched_at, stretch, longer)
                stretch = longer
            return stretch

        return await self._run(work)

    async def known(self, place: Place) -> int:
        """How many messages of what was seen of a channel the archive has."""

        def work() -> int:
            stretch = self._archive.checkpoints.of(place.id)
            return 0 if stretch is None else len(self._archive.ids(place.id, stretch.low, stretch.high))

        return await self._run(work)

    async def ids(self, channel_id: int, first: int, last: int) -> list[int]:
        """The ids that the archive has of a channel, in order."""
        return await self._run(lambda: self._archive.ids(channel_id, first, last))

    async def missing(self, place: Place, page: Page, first: int, last: int) -> list[int]:
        """What the archive has from `first` to `last` and the page has not."""
        shown = {id_ for id_, _ in page.items}
        return [id_ for id_ in await self.ids(place.id, first, last) if id_ not in shown]

    async def delete(self, ids: Sequence[int]) -> None:
        """Take messages for deleted."""

        def work() -> None:
            if ids:
                self.deleted += self._archive.delete(ids, at=now_ms())

        await self._run(work)

    async def delete_channel(self, channel_id: int) -> None:
        """Take all that was said in a channel and its threads for deleted."""
        self.deleted += len(await self._run(lambda: self._archive.delete_channel(channel_id, at=now_ms())))

    async def channels(self) -> list[Channel]:
        return await self._run(self._archive.channels)

    async def seen_channels(self) -> list[Channel]:
        """Those with words of which something was read or heard here, not only imported."""
        return await self._run(self._archive.withdrawn.seen_channels)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _parts(self, page: Page, touch: int, end: int) -> Iterator[tuple[list[Message], int]]:
        """A page's messages in the order in which they were read, with the id that is reached after each part.

        One part, unless so many messages are wanted and no more; asked for the next only when the last was written.
        """
        items = self._read(page)
        if end > touch:
            items.reverse()
        while self._max is not None and 0 <= self._max - self.added.new < len(items):
            left = self._max - self.added.new
            if left == 0:
                return
            part, items = items[:left], items[left:]
            yield _messages(part), part[-1][0]
        yield _messages(items), end

    def _read(self, page: Page) -> _Read:
        read: _Read = []
        for id_, item in page.items:
            try:
                read.append((id_, self._reader.message(item)))
            except MALFORMED:
                self.malformed += 1
                read.append((id_, None))
        return read

    def _add(
        self, place: Place, messages: list[Message], fetched_at: int, before: Stretch | None, after: Stretch
    ) -> None:
        if self._source is None:
            self._source = self._archive.add_source("api", place.guild.name)
        self.added += self._archive.add(
            messages,
            source=self._source,
            fetched_at=fetched_at,
            also=lambda: self._archive.checkpoints.move(place.id, before, after),
        )


def _messages(items: _Read) -> list[Message]:
    return [message for _, message in items if message is not None]


def _joined(seen: Stretch | None, touch: int, reached: int, *, complete: bool) -> Stretch:
    """What was seen, and what was read since; only where the two meet, since a stretch has no gap."""
    read = Stretch(min(touch, reached), max(touch, reached), complete)
    if seen is None:
        return read
    if read.low > seen.high or read.high < seen.low:
        return seen
    return replace(
        read, low=min(read.low, seen.low), high=max(read.high, seen.high), complete=seen.complete or complete
    )
