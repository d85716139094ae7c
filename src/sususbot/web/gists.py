"""The rolling summaries: each channel's pieces of earlier talk, what was made of them and by what, and what waits."""

from dataclasses import dataclass
from typing import Final

from nicegui import html, ui

from sususbot.archive.archive import Archive
from sususbot.archive.summaries import Span
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, moment, note, told
from sususbot.web.remembered import channel_names

_MADE_BY: Final = {"bart": "BART", "extractive": "its most telling lines", "chat": "the model that talks"}


@dataclass(frozen=True, slots=True)
class Gist:
    """A piece of talk: its first and last moment (ms), how many of its messages are still there, what was made of it.

    `text` is None while nothing was: then `by` says why. `stale`: it was made of other messages than are there now.
    """

    first_at: int
    last_at: int
    messages: int
    text: str | None
    by: str
    stale: bool = False


def gists(archive: Archive, channel_id: int, *, summarizer: str) -> list[Gist]:
    """The pieces of a channel, the newest first. `summarizer` is what the settings say."""
    made = archive.summaries.made(channel_id)
    found = []
    for span in reversed(archive.summaries.spans(channel_id)):
        messages, members = _messages(archive, span)
        if not messages:
            continue
        ready = made.get(span.id)
        times = sorted(messages.values())
        found.append(
            Gist(
                times[0],
                times[-1],
                len(messages),
                None if ready is None else ready.text,
                _waits(summarizer) if ready is None else _MADE_BY.get(ready.by, ready.by),
                ready is not None and not members <= ready.of <= messages.keys(),
            )
        )
    return found


def _messages(archive: Archive, span: Span) -> tuple[dict[int, int], set[int]]:
    """Id -> time of what may be remembered of a piece, or is a bot's line; and which of them are no bot's."""
    there = archive.messages(archive.ids(span.channel_id, span.after_id + 1, span.last_id))
    allowed = archive.remembered(there)
    return {id_: one.created_at for id_, one in there.items() if id_ in allowed or one.author.is_bot}, allowed


def _waits(summarizer: str) -> str:
    if summarizer == "extractive":
        return "SUMMARIZER=extractive: at each reply, its most telling lines are taken"
    if summarizer == "off":
        return "SUMMARIZER=off: no more summaries are made"
    return (
        "nothing was made of it yet: a bot that runs does so in the background; till then, its most telling lines serve"
    )


async def draw(desk: Desk) -> None:
    """The view."""
    channels, names = await aside(lambda: (desk.archive.browsing.channels_with_pieces(), channel_names(desk.archive)))
    settings = desk.settings
    note(
        f"The last {settings.short_term_window} messages of a channel stand in the prompt word for word. What leaves "
        f"that window is cut into pieces of {settings.summarize_interval} messages, and each piece is summed up once; "
        "it is made anew when one of its messages is edited, deleted or may not be remembered any more."
    )
    if not channels:
        note("No channel has pieces yet: a bot that runs makes them, once more was said than its window holds.")
        return
    choice = ui.select(
        {id_: f"#{names.get(id_, id_)}" for id_ in channels},
        label="Channel",
        value=channels[0],
        on_change=lambda: show(),
    )
    choice.props("outlined dense").classes("field").style("max-width: 320px")
    place = html.div().classes("card")

    async def show() -> None:
        with told():
            pieces = await aside(gists, desk.archive, int(choice.value), summarizer=settings.summarizer)
            place.clear()
            with place:
                _draw_pieces(pieces, settings.timezone)

    await show()


def _draw_pieces(pieces: list[Gist], zone: str | None) -> None:
    waiting = sum(piece.text is None for piece in pieces)
    html.h2(f"{len(pieces)} pieces, {waiting} of them without a summary" if waiting else f"{len(pieces)} pieces")
    for piece in pieces:
        with html.div().classes("piece"):
            span = f"{moment(piece.first_at, zone)} to {moment(piece.last_at, zone)}, {piece.messages} messages"
            html.span(f"{span}; by {piece.by}" if piece.text is not None else f"{span}; {piece.by}").classes("muted")
            if piece.stale:
                html.span("Its messages are others by now: it is used no more, and made anew.").classes("warn")
            if piece.text is not None:
                html.p(piece.text).classes("words")
