"""The memory leafed through: by channel, author and day, pinned ones and notes, a page at a time."""

from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Place:
    """Where the reader is."""

    wanted: Wanted = field(default_factory=Wanted)
    shown: Leaf | None = None


async def draw(desk: Desk) -> None:
    """The view."""
    place = _Place()
    channels, members = await aside(_choices, desk.archive)
    with html.div().classes("fields"):
        channel = _choice("Channel", {id_: f"#{name} ({count:,})" for id_, name, count in channels})
        author = _choice("Member", {id_: f"{name} ({count:,})" for id_, name, count in members})
        first = ui.input("From").props("type=date outlined dense stack-label").classes("field")
        last = ui.input("Until").props("type=date outlined dense stack-label").classes("field")
        lore = ui.switch("Pinned as lore")
        notes = ui.switch("Notes of members")
    with html.div().classes("row"):
        newer = ui.button("Newer", on_click=lambda: turn(newer=True)).props("flat dense")
        older = ui.button("Older", on_click=lambda: turn(newer=False)).props("flat dense")
        count = ui.label().classes("muted").props('role="status"')
    results = html.div().classes("stack").props('aria-label="Messages"')

    async def show(*, before: int | None = None, after: int | None = None) -> None:
        with told():
            place.shown = shown = await aside(leaf, desk.archive, place.wanted, before=before, after=after)
            results.clear()
            with results:
                for seen in shown.seen:
                    remembered.draw(desk, seen)
                if not shown.seen:
                    note("Nothing here that may be remembered.")
            count.text = f"{shown.count:,} messages"
            older.set_enabled(shown.older)
            newer.set_enabled(shown.newer)

    async def turn(*, newer: bool) -> None:
        if place.shown is None or not place.shown.seen:
            await show()
            return
        edge = place.shown.seen[0 if newer else -1].message.id
        await show(after=edge if newer else None, before=None if newer else edge)

    async def choose() -> None:
        zone = desk.settings.timezone
        place.wanted = Wanted(
            channel_id=channel.value,
            author_id=author.value,
            first=day_begin(first.value, zone),
            end=day_begin(last.value, zone, days=1),
            lore=bool(lore.value),
            notes=bool(notes.value),
        )
        await show()

    for chosen in (channel, author, first, last, lore, notes):
        chosen.on_value_change(choose)
    await show()


def _choices(archive: Archive) -> tuple[list[tuple[int, str, int]], list[tuple[int, str, int]]]:
    places, speakers = archive.browsing.places(), archive.browsing.speakers()
    named = [[(id_, one_line(name), count) for id_, name, count in rows] for rows in (places, speakers[:_MEMBERS])]
    return named[0], named[1]


def _choice(label: str, options: dict[int, str]) -> ui.select:
    return ui.select(options, label=label, with_input=True, clearable=True).props("outlined dense").classes("field")
