"""A message as the memory pages show it, and what its owner can do with it: pin it as lore, forget it.

Words reach the browser as text. Whatever is drawn is read from the archive at that moment: a card that is drawn again
has not kept what was taken away since; who said no since is left out.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nicegui import html, ui

from sususbot.archive.archive import Archive, now_ms
from sususbot.chat_format import one_line
from sususbot.forgetting import told as told_gone
from sususbot.messages import NOTE_TYPE, Message
from sususbot.web.counting import counting_of
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, moment, told

_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Seen:
    """A message, where it was said, what it drew, and whether the owner pinned it."""

    message: Message
    channel: str
    replies: int
    lore: bool

    @property
    def drew(self) -> str:
        """Reactions, replies and pins in words; empty where there are none."""
        reactions = sum(reaction.count for reaction in self.message.reactions)
        told = [
            _counted(reactions, "reaction"),
            _counted(self.replies, "reply", "replies"),
            "pinned on Discord" if self.message.pinned and self.message.type != NOTE_TYPE else "",
            "a note of /remember" if self.message.type == NOTE_TYPE else "",
        ]
        return ", ".join(filter(None, told))


def look_up(archive: Archive, ids: Sequence[int]) -> list[Seen]:
    """These messages, in this order, as far as they may be remembered."""
    names = channel_names(archive)
    allowed = archive.remembered(ids)
    messages = archive.messages(id_ for id_ in ids if id_ in allowed)
    standings = archive.standings.of(messages)
    pinned = archive.lore.pinned(messages)
    return [
        _seen(messages[id_], names, standings[id_].engagement if id_ in standings else 0, id_ in pinned)
        for id_ in ids
        if id_ in messages
    ]


def channel_names(archive: Archive) -> dict[int, str]:
    return {channel.id: one_line(channel.name) for channel in archive.channels()}


def draw(desk: Desk, seen: Seen, *, why: Mapping[str, float] | None = None, around: Sequence[Message] = ()) -> None:
    """The message with its acts; `why`: the parts of its score; `around`: what belongs to it, itself included."""
    with html.article().classes("said") as card:
        _draw(desk, card, seen, why, around)


def _draw(desk: Desk, card: ui.element, seen: Seen, why: Mapping[str, float] | None, around: Sequence[Message]) -> None:
    message = seen.message
    card.classes(**({"add": "is-lore"} if seen.lore else {"remove": "is-lore"}))
    with html.div().classes("head"):
        html.strong(one_line(message.author.display_name))
        html.span(f"#{seen.channel}").classes("muted")
        html.span(moment(message.created_at, desk.settings.timezone)).classes("muted")
        if seen.drew:
            html.span(seen.drew).classes("muted")
        if seen.lore:
            html.span("pinned as lore").classes("good")
    html.p(message.rendered).classes("words")
    if why is not None:
        _draw_parts(why)
    if len(around) > 1:
        _draw_around(around, message.id)
    beside = [one.id for one in around]

    async def again() -> None:
        fresh, there = await aside(_read, desk.archive, message.id, beside)
        _again(desk, card, fresh, why, there)

    _draw_acts(desk, seen, again)


def _read(archive: Archive, id_: int, beside: Sequence[int]) -> tuple[Seen | None, list[Message]]:
    """A message, and what of these around it may be shown."""
    there = archive.messages(archive.remembered(beside))
    return _now(archive, id_), [there[one] for one in beside if one in there]


def _again(
    desk: Desk, card: ui.element, seen: Seen | None, why: Mapping[str, float] | None, around: Sequence[Message]
) -> None:
    """The card as it is now; None: its message is forgotten."""
    card.clear()
    with card:
        if seen is None:
            gone = html.p("Forgotten: nothing finds this message any more.", tabindex=-1).classes("muted")
            gone.props('role="status"')
            # Where the button was that had the focus.
            ui.run_javascript(f"getHtmlElement({gone.id}).focus()")
        else:
            _draw(desk, card, seen, why, around)


def _draw_parts(why: Mapping[str, float]) -> None:
    """The parts of a score as bars. They add up to it."""
    widest = max((abs(value) for value in why.values()), default=1.0) or 1.0
    with html.dl().classes("parts"):
        html.dt("score")
        html.dd()
        html.dd(f"{sum(why.values()):.2f}").classes("value")
        for name, value in why.items():
            html.dt(name)
            with html.dd().classes("bar").props('aria-hidden="true"'):
                html.span().classes("below" if value < 0 else "").style(f"width: {abs(value) / widest * 100:.1f}%")
            html.dd(f"{value:.2f}").classes("value")


def _draw_around(around: Sequence[Message], id_: int) -> None:
    with ui.expansion(f"Shown with {len(around) - 1} around it").props("dense").classes("folded"):
        for message in around:
            with html.div().classes("beside itself" if message.id == id_ else "beside"):
                html.strong(f"{one_line(message.author.display_name)}: ")
                html.span(message.rendered).classes("words")


def _draw_acts(desk: Desk, seen: Seen, again: Callable[[], Awaitable[None]]) -> None:
    """`again` draws the card anew, and this with it: what is to be told is told before."""
    message = seen.message

    async def pin() -> None:
        with told():
            fresh = await aside(_pinned, desk.archive, message.id, not seen.lore)
            ui.notify(_of_pin(fresh))
            await again()

    async def forget() -> None:
        with told():
            fresh = await aside(_now, desk.archive, message.id)
            if fresh is not None and await _sure(desk, fresh):
                lines = await aside(_forgotten, desk, message.id)
                ui.notify(" ".join(lines), multi_line=True, timeout=15_000, close_button="OK")
                fresh = None
            if fresh is None:
                await again()

    with html.div().classes("acts"):
        ui.button("Unpin" if seen.lore else "Pin as lore", on_click=pin).props("flat dense")
        ui.button("Forget…", on_click=forget).props("flat dense")


def _pinned(archive: Archive, id_: int, wanted: bool) -> Seen | None:
    if wanted:
        archive.lore.pin(id_, at=now_ms())
    else:
        archive.lore.unpin(id_)
    return _now(archive, id_)


def _now(archive: Archive, id_: int) -> Seen | None:
    return next(iter(look_up(archive, [id_])), None)


def _of_pin(seen: Seen | None) -> str:
    if seen is None:
        return "This message may not be remembered any more."
    if seen.lore:
        return "Pinned: from the next question on, the bot prefers it where it fits, whatever is imported."
    return "Unpinned."


def _forgotten(desk: Desk, id_: int) -> list[str]:
    try:
        gone = desk.forgetting.unsay(id_, at=now_ms())
    finally:
        desk.changed([id_])
        counting_of(desk).drop()
    return ["The message is forgotten.", *(f"{line[0].upper()}{line[1:]}." for line in told_gone(gone))]


async def _sure(desk: Desk, seen: Seen) -> bool:
    """Whether the owner wants it gone, after being told what goes with it."""
    others = await aside(desk.forgetting.repeating, seen.message.id)
    with ui.dialog().props('role="alertdialog" aria-label="Forget a message"') as dialog, ui.card().classes("card"):
        html.h2("Forget this message for good?")
        html.p(_clipped(seen.message.rendered)).classes("words")
        for line in before_forgetting(others, chroma=_chroma(desk)):
            html.p(line).classes("note")
        with html.div().classes("row"):
            ui.button("Keep it", on_click=lambda: dialog.submit(False)).props("flat autofocus")
            ui.button("Forget it for good", on_click=lambda: dialog.submit(True)).props('color="negative"')
    # Not before it is hidden: till then it knows where the focus was, and gives it back.
    dialog.on("hide", dialog.delete)
    return bool(await dialog)


def before_forgetting(others: Iterable[str], *, chroma: str) -> list[str]:
    """What an owner should know before a message is forgotten. `chroma`: what is to be said of Chroma."""
    files = list(others)
    return [
        "This cannot be undone: its words leave the archive, vectors, links, summaries, and quotes of it in "
        "answers. No import brings it back.",
        "A bot that runs finds it no more from that moment on; the numbers it keeps in memory go with its next start. "
        "What a model learned cannot be taken out of it: an adapter that was trained on this message may still know "
        "it until it is trained anew.",
        *([f"Deleted with it, since its words may stand there: {', '.join(files)}."] if files else []),
        *([chroma] if chroma else []),
    ]


def _chroma(desk: Desk) -> str:
    if desk.settings.vector_db != "chroma" or desk.settings.chroma_url is None:
        return ""
    return (
        "The Chroma server finds its vector no more, but keeps such numbers in its own files until these are deleted."
    )


def _seen(message: Message, names: Mapping[int, str], engagement: int, lore: bool) -> Seen:
    reactions = sum(reaction.count for reaction in message.reactions)
    pins = 2 if message.pinned or lore else 0
    return Seen(message, names.get(message.channel_id, "?"), max(0, engagement - reactions - pins), lore)


def _counted(count: int, one: str, many: str = "") -> str:
    return "" if not count else f"1 {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
