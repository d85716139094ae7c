"""What the memory holds, what waits, and what is held back and why: counts, never words of who said no."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from nicegui import html

from sususbot.archive.archive import Archive, now_ms
from sususbot.messages import day
from sususbot.settings import Settings
from sususbot.web import remembered
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, folded, note
from sususbot.web.remembered import Seen

_DAY_MS: Final = 86_400_000
_SOON_DAYS: Final = 7
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Held:
    """How many messages something is true of, and what follows from it. `waits`: something is still to be done."""

    what: str
    count: int
    why: str
    waits: bool = False


def held(archive: Archive, settings: Settings, *, now: int) -> list[Held]:
    """Every reason, also where it holds for no message."""
    there = archive.browsing.holdings()
    waiting = "Found by words, not yet by meaning: a bot that runs makes up for it at once, else  sususbot index  does."
    if there.edited:
        waiting += f" {there.edited:,} of them were edited: with their old words, their vectors went."
    said_no = "Nobody said no to being remembered."
    if there.members:
        said_no = f"{_members(there.members)} said no to being remembered: in no search, no summary and no prompt."
    return [
        Held(
            "May be remembered", there.remembered, "Everything that search can find, in the channels readers may see."
        ),
        Held("Not embedded yet", there.without_vector, waiting, waits=there.without_vector > 0),
        Held(
            "Words not read yet",
            there.without_terms,
            "Not found at all for the moment; the next start of the bot, or a search on this page, reads them.",
            waits=there.without_terms > 0,
        ),
        Held(
            "Not linked yet",
            there.without_link,
            "Shown with what stands beside it instead of what it answers;  sususbot index  links it.",
            waits=there.without_link > 0,
        ),
        Held("Said no", there.refused, said_no),
        Held(
            "Erased",
            there.withheld,
            "Of members who are forgotten, or said no to everything: the words are gone, their places are left.",
        ),
        Held(
            "Deleted",
            there.deleted,
            "Deleted on Discord, forgotten here, or past their time. No import brings them back.",
        ),
        Held(
            "Of bots",
            there.bots,
            "Other bots, and the bot itself: its own lines are no memory, or it would repeat itself.",
        ),
        Held("Without words", there.wordless, "Pictures, stickers and the like: there is nothing to find."),
        Held("Of Discord itself", there.system, "Joins, pins, calls: nobody said them."),
        _retention(archive, settings, now),
        _of_channel(archive, settings),
    ]


async def draw(desk: Desk) -> None:
    """The view."""
    rows = await aside(held, desk.archive, desk.settings, now=now_ms())
    waiting = await aside(_waiting, desk.archive)
    with html.ul().classes("plain"):
        for row in rows:
            with html.li().classes("held"):
                html.span(row.what)
                html.span(f"{row.count:,}").classes("count warn" if row.waits else "count")
                html.span(row.why).classes("why note")
    note(
        "Length and cleaning hold nothing back: what a rule shortens or drops is not learned from, but remembered as "
        "it was said. The rules stand on the page Data."
    )
    if waiting:
        folded("Some that wait to be embedded", partial(_draw_all, desk, waiting))


def _draw_all(desk: Desk, waiting: list[Seen]) -> None:
    for one in waiting:
        remembered.draw(desk, one)


def _waiting(archive: Archive) -> list[Seen]:
    return remembered.look_up(archive, archive.browsing.waiting(_EXAMPLES))


def _retention(archive: Archive, settings: Settings, now: int) -> Held:
    days = settings.retention_days
    if days is None:
        return Held("Past their time soon", 0, "RETENTION_DAYS is not set: words are kept for good.")
    before = now - (days - _SOON_DAYS) * _DAY_MS
    why = (
        f"RETENTION_DAYS={days}: in the next {_SOON_DAYS} days, what was said before {day(before)} is erased, and what "
        "was made of it."
    )
    count = archive.browsing.older(before)
    return Held("Past their time soon", count, why, waits=count > 0)


def _of_channel(archive: Archive, settings: Settings) -> Held:
    rule = "An answer is made of what all its readers may see: its own channel, and those that the whole server sees."
    places = archive.browsing.places()
    own = next((one for one in places if one[0] == settings.channel_id), None)
    if own is None:
        return Held("Not for every reader", 0, f"{rule} Which these are, Discord is asked at every reply.")
    others = sum(count for *_, count in places) - own[2]
    return Held(
        "Not for every reader",
        others,
        f"{rule} Of #{own[1]} all {own[2]:,} messages may be used; these stand in other channels, and only where "
        "everybody on the server sees those: Discord is asked at every reply.",
    )


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count:,} members"
