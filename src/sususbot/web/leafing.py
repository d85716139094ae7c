"""The memory leafed through: by channel, author and day, pinned ones and notes, a page at a time."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from nicegui import html, ui

from sususbot.archive.archive import Archive
from sususbot.archive.browsing import Wanted
from sususbot.chat_format import one_line
from sususbot.web import remembered
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, note, told
from sususbot.web.remembered import Seen

PAGE: Final = 20
# Members to choose from: those who said most.
_MEMBERS: Final = 500

# Id, name and number of messages.
Choices = list[tuple[int, str, int]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page, the newest first; whether there are older and newer ones, and how many messages on all of them."""

    seen: tuple[Seen, ...]
    count: int
    older: bool
    newer: bool


def leaf(archive: Archive, wanted: Wanted, *, before: int | None = None, after: int | None = None) -> Leaf:
    """A page of what is wanted: the newest, or what is older than `before` or newer than `after`."""
    browsing = archive.browsing
    ids = browsing.page(wanted, limit=PAGE, before=before, after=after)
    older = bool(ids and browsing.page(wanted, limit=1, before=ids[-1]))
    newer = bool(ids and browsing.page(wanted, limit=1, after=ids[0]))
    return Leaf(tuple(remembered.look_up(archive, ids)), browsing.count(wanted), older, newer)


def day_begin(text: str | None, zone: str | None, *, days: int = 0) -> int | None:
    """The first moment (ms) of a day such as `2024-03-17`, or of one some days later; None where there is none."""
    try:
        at = date.fromisoformat(text or "") + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    where: tzinfo | None = ZoneInfo(zone) if zone else None
    begin = datetime(at.year, at.month, at.day, tzinfo=where)
    return round((begin if where else begin.astimezone()).astimezone(UTC).timestamp() * 1000)


async def draw(desk: Desk) -> None:
    """The view."""
    channels, members = await aside(_choices, desk.archive)
    view = _View(desk)
    view.draw_choices(channels, members)
    view.draw_turning()
    await view.show()


class _View:
    """What is wanted, the page that is shown of it, and the elements that say so."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wanted = Wanted()
        self._shown: Leaf | None = None
        self._latest = 0

    def draw_choices(self, channels: Choices, members: Choices) -> None:
        with html.div().classes("fields"):
            self._channel = _choice("Channel", {id_: f"#{name} ({count:,})" for id_, name, count in channels})
            self._author = _choice("Member", {id_: f"{name} ({count:,})" for id_, name, count in members})
            self._first = ui.input("From").props("type=date outlined dense stack-label").classes("field")
            self._last = ui.input("Until").props("type=date outlined dense stack-label").classes("field")
            self._lore = ui.switch("Pinned as lore")
            self._notes = ui.switch("Notes of members")
        for chosen in (self._channel, self._author, self._first, self._last, self._lore, self._notes):
            chosen.on_value_change(self._choose)

    def draw_turning(self) -> None:
        with html.div().classes("row"):
            self._newer = ui.button("Newer", on_click=self._turn_newer).props("flat dense")
            self._older = ui.button("Older", on_click=self._turn_older).props("flat dense")
            self._count = ui.label().classes("muted").props('role="status"')
        self._results = html.div().classes("stack").props('aria-label="Messages"')

    async def show(self, *, before: int | None = None, after: int | None = None) -> None:
        self._latest = number = self._latest + 1
        with told():
            shown = await aside(leaf, self._desk.archive, self._wanted, before=before, after=after)
            # Something else was chosen meanwhile.
            if number != self._latest:
                return
            self._shown = shown
            self._results.clear()
            with self._results:
                for seen in shown.seen:
                    remembered.draw(self._desk, seen)
                if not shown.seen:
                    note("Nothing here that may be remembered.")
            self._count.text = f"{shown.count:,} messages"
            self._older.set_enabled(shown.older)
            self._newer.set_enabled(shown.newer)

    async def _turn_newer(self) -> None:
        await self.show(after=self._edge(0))

    async def _turn_older(self) -> None:
        await self.show(before=self._edge(-1))

    def _edge(self, place: int) -> int | None:
        seen = self._shown.seen if self._shown is not None else ()
        return seen[place].message.id if seen else None

    async def _choose(self) -> None:
        zone = self._desk.settings.timezone
        self._wanted = Wanted(
            channel_id=self._channel.value,
            author_id=self._author.value,
            first=day_begin(self._first.value, zone),
            end=day_begin(self._last.value, zone, days=1),
            lore=bool(self._lore.value),
            notes=bool(self._notes.value),
        )
        await self.show()


def _choices(archive: Archive) -> tuple[Choices, Choices]:
    places, speakers = archive.browsing.places(), archive.browsing.speakers()
    named = [[(id_, one_line(name), count) for id_, name, count in rows] for rows in (places, speakers[:_MEMBERS])]
    return named[0], named[1]


def _choice(label: str, options: dict[int, str]) -> ui.select:
    return ui.select(options, label=label, with_input=True, clearable=True).props("outlined dense").classes("field")
