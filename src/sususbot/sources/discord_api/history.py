"""One channel's history: what is missing of it, or all of it once more.

The past is read from the newest message backwards, later runs go on from the last message seen; what was seen is one
unbroken stretch (`archive.checkpoints`). The end is believed only on an empty page, and an empty page that has no
reason to be one is proven. `verify` compares: what the archive has and Discord does not show was deleted.
"""

from sususbot.archive.checkpoints import Stretch
from sususbot.sources.discord_api.channels import Place
from sususbot.sources.discord_api.pages import NEWEST, OLDEST, Page, Pages
from sususbot.sources.discord_api.preflight import Unreadable, no_history
from sususbot.sources.discord_api.progress import Tracks
from sususbot.sources.discord_api.writer import Writer


class History:
    """Reads one channel. `floor` is the id below which nothing is wanted, `bound` the first id after the run began.

    Both ways of reading raise Unreadable for what concerns this channel alone, and SususError for the rest.
    """

    def __init__(self, place: Place, pages: Pages, writer: Writer, tracks: Tracks, *, floor: int, bound: int) -> None:
        self._place = place
        self._pages = pages
        self._writer = writer
        self._track = tracks.track(place.id)
        self._rank = tracks.rank
        self._floor = floor
        self._bound = bound

    async def collect(self, stretch: Stretch | None) -> None:
        """What is missing of it, where `stretch` was seen already: first what is new, then the past."""
        short = False
        if stretch is None:
            page = await self._first()
            if not page:
                return
            self._track.aim(page.newest, self._end)
            stretch = await self._keep_down(page, None, touch=page.newest)
            if stretch is None:
                return
            short = page.short
        else:
            stretch = await self._forward(stretch)
        await self._backward(stretch, short=short)

    async def verify(self, stretch: Stretch | None) -> None:
        """All of it, newest to oldest, beside what the archive has."""
        # Asked before the page: what a running bot adds later is not missing from it.
        known = max(await self._writer.ids(self._place.id, OLDEST, NEWEST), default=None)
        page = await self._first()
        if not page and known is None:
            return
        touch = page.newest if page else 0
        cursor = max(touch, known or touch) + 1
        self._track.aim(cursor, self._end)
        short = False
        while True:
            low = max(page.oldest, self._floor) if page else self._floor
            missing = await self._writer.missing(self._place, page, low, cursor - 1)
            if not page:
                await self._prove_end(cursor, missing, short=short)
            await self._writer.delete(missing)
            if page:
                stretch = await self._keep_down(page, stretch, touch=touch)
            elif stretch is not None:
                await self._keep_end(page, stretch)
            if not page or page.oldest <= self._floor or self._writer.enough:
                return
            cursor, short = low, page.short
            page = await self._page(before=low)

    @property
    def _end(self) -> int:
        """Where the past ends at the latest: no message is older than its channel."""
        return max(self._floor, self._place.id)

    async def _first(self) -> Page:
        """The newest page, which fixes where this run begins. Empty only where the channel was proven to be."""
        page = await self._page()
        last = self._place.last_message_id
        if page or last is None or not await self._pages.there(self._place, last):
            return page
        # Perhaps it was said in between.
        page = await self._page()
        if not page:
            raise Unreadable(no_history(self._place.name))
        return page

    async def _page(self, *, before: int = NEWEST, after: int = OLDEST) -> Page:
        return await self._pages.page(self._place, rank=self._rank(self._track), before=before, after=after)

    async def _forward(self, stretch: Stretch) -> Stretch:
        self._track.aim(stretch.high, self._bound)
        while not self._writer.enough and stretch.high < self._bound:
            page = await self._page(after=stretch.high)
            if not page:
                break
            kept = await self._writer.keep(self._place, page, stretch, touch=stretch.high, end=page.newest)
            self._track.reach(page.newest, len(page.items))
            stretch = kept or stretch
        return stretch

    async def _backward(self, stretch: Stretch, *, short: bool) -> None:
        """`short`: the page before was shorter than asked for, which promises the end."""
        if not stretch.complete:
            self._track.aim(stretch.low, self._end)
        while not self._writer.enough and not stretch.complete and stretch.low > self._floor:
            page = await self._page(before=stretch.low)
            if not page:
                await self._prove_end(stretch.low, [], short=short)
                await self._keep_end(page, stretch)
                return
            stretch = await self._keep_down(page, stretch, touch=stretch.low) or stretch
            short = page.short

    async def _keep_down(self, page: Page, stretch: Stretch | None, *, touch: int) -> Stretch | None:
        """Write a page that was read backwards, without what is older than wanted."""
        end = max(page.oldest, self._floor)
        wanted = page.since(self._floor)
        kept = await self._writer.keep(self._place, wanted, stretch, touch=max(touch, end), end=end)
        self._track.reach(end, len(wanted.items))
        return kept

    async def _keep_end(self, page: Page, stretch: Stretch) -> None:
        """Write that nothing is older."""
        await self._writer.keep(self._place, page, stretch, touch=stretch.low, end=stretch.low, complete=True)

    async def _prove_end(self, cursor: int, missing: list[int], *, short: bool) -> None:
        """An empty page is the end of the history, unless the right to read it was taken away meanwhile."""
        if missing:
            if await self._pages.there(self._place, missing[-1]):
                raise Unreadable(no_history(self._place.name))
        elif not short:
            await self._pages.there(self._place, cursor)
