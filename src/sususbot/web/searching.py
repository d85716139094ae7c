"""The memory searched as the bot searches it: the same question, the same hits, and why each of them was found.

No model is needed, only the long-term memory (`Desk.recollect`). What readers of a channel would be shown is asked for
by naming the channels they may see.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nicegui import html, ui

from sususbot.archive.archive import Archive
from sususbot.errors import SususError
from sususbot.memory.long_term import Found
from sususbot.messages import Audience
from sususbot.web import remembered
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, note, told
from sususbot.web.remembered import channel_names

_HITS: Final = (5, 10, 20, 50)
# Parts that matter less than this are nothing to look at.
_SEEN: Final = 0.005


async def draw(desk: Desk) -> None:
    """The view."""
    channels = await aside(channel_names, desk.archive)
    note(
        "The question is searched as the bot searches it before a reply: by meaning and by words, with what stands "
        "around a message, and with a little for what is new, liked or pinned."
    )
    with html.form().classes("fields") as form:
        question = ui.input("What do you want to find?").props("outlined dense clearable").classes("grow")
        audience = (
            ui.select({id_: f"#{name}" for id_, name in channels.items()}, label="Readers may see", multiple=True)
            .props('outlined dense use-chips hint="nothing chosen: every channel"')
            .classes("field")
        )
        limit = ui.select(list(_HITS), label="Hits", value=10).props("outlined dense").style("width: 90px")
        ui.button("Search").props('type="submit"')
    status = ui.label().classes("note").props('role="status"')
    results = html.div().classes("stack")
    latest = 0

    async def search() -> None:
        nonlocal latest
        asked = str(question.value or "").strip()
        if not asked:
            return
        latest = number = latest + 1
        results.clear()
        status.text = "Searching…"
        chosen = frozenset(audience.value) or None
        with told(), _cleared(status):
            found, seen, by_meaning = await aside(_found, desk, asked, int(limit.value), chosen)
            # Something else was asked for meanwhile.
            if number != latest:
                return
            hits = [hit for hit in found.hits if hit.message.id in seen]
            status.text = _told(asked, len(hits), by_meaning, sum(found.seconds.values()))
            with results:
                for hit in hits:
                    parts = {name: value for name, value in hit.parts.items() if abs(value) >= _SEEN}
                    remembered.draw(desk, seen[hit.message.id], why=parts, around=hit.around)

    form.on("submit.prevent", search)


def _found(desk: Desk, asked: str, limit: int, audience: Audience) -> tuple[Found, dict[int, remembered.Seen], bool]:
    """The hits, what is shown of each, and whether meaning took part."""
    memory = desk.recollect()
    found = memory.search(asked, limit=limit, audience=audience)
    return found, _seen(desk.archive, found), memory.by_meaning


def _seen(archive: Archive, found: Found) -> dict[int, remembered.Seen]:
    return {one.message.id: one for one in remembered.look_up(archive, [hit.message.id for hit in found.hits])}


@contextmanager
def _cleared(status: ui.label) -> Iterator[None]:
    """Where it fails, the page does not go on as if it were searching."""
    try:
        yield
    except SususError:
        status.text = ""
        raise


def _told(asked: str, hits: int, by_meaning: bool, seconds: float) -> str:
    how = "meaning and words" if by_meaning else "words alone (sususbot index  adds meaning)"
    if not hits:
        return f"Nothing fits “{asked}”, by {how}."
    return f"{hits} found for “{asked}” by {how} in {seconds * 1000:.0f} ms. A score is the sum of its parts."
