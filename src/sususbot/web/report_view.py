"""The report as a view of the page: counted while a bar tells how far, and drawn anew when the archive is another.

At once where somebody's words went, or may be shown no more; else where counting costs little, or nothing has come for
a while.
"""

import asyncio
from collections.abc import Hashable
from time import monotonic
from typing import Final

from nicegui import html, ui

from sususbot.analysis.analysis import Analysis
from sususbot.errors import SususError
from sususbot.web import report
from sususbot.web.counting import counting_of, stamp_of
from sususbot.web.desk import Desk
from sususbot.web.frame import failed
from sususbot.web.parts import aside, left, serving

_POLL_SECONDS: Final = 0.3
_LOOK_SECONDS: Final = 1.0
# Looking at all takes a third of a second for each million messages: of the time, at most this share.
_LOOKING_SHARE: Final = 1 / 30
# What is counted in less is counted at once; else an archive must be still for as many times as long as it takes.
_AT_ONCE_SECONDS: Final = 1.0
_STILL_TIMES: Final = 5


async def counted(desk: Desk) -> Analysis:
    """The analysis, with a bar on the page while it is made."""
    counting = counting_of(desk)
    counting.wanted = serving
    stamp = await aside(stamp_of, desk.archive, desk.env)
    if (kept := counting.kept(stamp)) is not None:
        return kept
    with html.div().classes("card").props('role="status"') as waiting:
        ui.label("Counting what the archive holds…")
        bar = ui.linear_progress(0.0, show_value=False).props('aria-label="Counted so far"')
        timer = ui.timer(_POLL_SECONDS, lambda: bar.set_value(round(counting.done, 3)))
    try:
        analysis = await counting.of(stamp, desk.analyze)
    finally:
        # Who left took it with them.
        if not waiting.is_deleted:
            timer.cancel()
            waiting.delete()
    if left():
        raise asyncio.CancelledError
    return analysis


async def draw(desk: Desk) -> None:
    """The view."""
    view = _View(desk)
    await view.show()
    ui.timer(_LOOK_SECONDS, view.look)


class _View:
    """One tab's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._counting = counting_of(desk)
        self._drawing = asyncio.Lock()
        self._drops = 0
        self._shown: Hashable = None
        # How the archive was at the last look, since when it is like that, and when it is looked at again.
        self._seen: Hashable = None
        self._since = self._next = 0.0
        with html.div().classes("row") as self._changed:
            ui.label("The archive or the rules have changed since this was counted.").props('role="status"')
            ui.button("Count again", on_click=self.show).props("outline dense")
        self._place = html.div().classes("stack")

    async def show(self) -> None:
        """Count, and put it in the place of what stands there."""
        async with self._drawing:
            self._changed.set_visibility(False)
            try:
                with self._place:
                    analysis = await self._counted()
            except SususError as error:
                self._place.clear()
                with self._place:
                    failed(error)
                return
            self._place.clear()
            with self._place:
                report.draw(analysis)

    async def look(self) -> None:
        """Draw it anew where that is due."""
        if self._drawing.locked():
            return
        if await self._dropped() != self._drops:
            # Words of whom it is about stand there no longer than this.
            self._place.clear()
            await self.show()
        elif monotonic() >= self._next and await self._stamp() != self._shown:
            if self._settled():
                await self.show()
            else:
                self._changed.set_visibility(True)

    async def _counted(self) -> Analysis:
        while True:
            self._drops, self._shown = await self._dropped(), await self._stamp()
            analysis = await counted(self._desk)
            # Nobody went while it was counted.
            if await self._dropped() == self._drops:
                return analysis

    async def _dropped(self) -> int:
        return self._counting.heard(await aside(self._desk.archive.browsing.answers_stamp))

    async def _stamp(self) -> Hashable:
        began = monotonic()
        stamp = await aside(stamp_of, self._desk.archive, self._desk.env)
        self._next = monotonic() + (monotonic() - began) / _LOOKING_SHARE
        if stamp != self._seen:
            self._seen, self._since = stamp, monotonic()
        return stamp

    def _settled(self) -> bool:
        seconds = self._counting.seconds
        return seconds < _AT_ONCE_SECONDS or monotonic() - self._since >= seconds * _STILL_TIMES
