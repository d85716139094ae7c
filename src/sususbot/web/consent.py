"""The consent table: what holds for each member, who said so and when; changing it, and forgetting a member.

What is changed here goes the way of `sususbot consent set` and `sususbot forget`: written down first, then whatever has
no purpose any more is taken away.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from nicegui import html, ui

from sususbot.analysis.consent import Member, members, unheard, yes
from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.consents import PURPOSES, Mode, Purpose, Speaker, Statement
from sususbot.chat_format import one_line
from sususbot.forgetting import told as told_gone
from sususbot.messages import Author, day
from sususbot.training import runs
from sususbot.web.counting import counting_of
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, note, told

PAGE: Final = 20
WAY: Final = "web page"
_WHAT: Final = {"learn": "learned from", "remember": "remembered", "quote": "quoted"}
_STATES: Final = {
    "all": "Everybody",
    "silent": "Who never answered",
    "no": "Who said no to something",
    "refused": "Who said no to everything",
    "forgotten": "Forgotten",
}
_AS_IT_IS: Final = "as it is"

Changed = Callable[[], Awaitable[None]]
Asking = Callable[[Desk, Member, Changed], Awaitable[None]]
# Whoever writes somewhere else by now goes on there.
_FOCUS: Final = """setTimeout(() => {{
    if (document.activeElement === document.body) document.querySelector('[data-change="{}"]')?.focus();
}})"""


async def draw(desk: Desk) -> None:
    """The view."""
    note(_rule(await aside(lambda: desk.archive.consents.mode)))
    view = _View(desk)
    view.draw()
    await view.read()


class _View:
    """The members that are wanted, a page of them at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows: Sequence[Member] = ()
        self._wanted: Sequence[Member] = ()
        self._page = 0

    def draw(self) -> None:
        with html.div().classes("fields"):
            self._text = ui.input("Find by name or id").props("outlined dense clearable").classes("grow")
            self._state = ui.select(dict(_STATES), label="Show", value="all").props("outlined dense").classes("field")
        self._count = ui.label().classes("muted").props('role="status"')
        self._table = html.ul().classes("plain").props('aria-label="Members"')
        with html.div().classes("row"):
            self._earlier = ui.button("Previous", on_click=lambda: self._turn(-1)).props("flat dense")
            self._later = ui.button("Next", on_click=lambda: self._turn(1)).props("flat dense")
        self._asking = html.div()
        self._text.on_value_change(lambda: self._choose(0))
        self._state.on_value_change(lambda: self._choose(0))

    async def read(self) -> None:
        """Everybody as they are in the archive now, on the same page."""
        with told():
            self._rows = await aside(members, self._desk.archive)
            self._choose(self._page)

    async def _ask(self, asking: Asking, member: Member) -> None:
        """Beside the table, which may be drawn anew meanwhile: a dialog goes with what it was opened in."""
        with self._asking:
            await asking(self._desk, member, partial(self._changed, member.id))

    async def _changed(self, member_id: int) -> None:
        """The rows are others now; the keyboard goes back to that of the member it was about."""
        await self.read()
        self._table.client.run_javascript(_FOCUS.format(member_id))

    def _choose(self, page: int) -> None:
        self._wanted = matching(self._rows, str(self._text.value or ""), str(self._state.value))
        self._page = min(page, max(0, len(self._wanted) - 1) // PAGE)
        self._show()

    def _turn(self, step: int) -> None:
        self._page += step
        self._show()

    def _show(self) -> None:
        first = self._page * PAGE
        self._table.clear()
        with self._table:
            for member in self._wanted[first : first + PAGE]:
                _draw_member(member, self._ask)
        self._count.text = f"{len(self._wanted):,} of {len(self._rows):,} members"
        self._earlier.set_enabled(first > 0)
        self._later.set_enabled(first + PAGE < len(self._wanted))


def matching(rows: Sequence[Member], text: str, state: str) -> list[Member]:
    """Those whose name holds a text, or whose id begins with it, and of whom something is true."""
    text = text.strip().casefold().removeprefix("@")
    true: Callable[[Member], bool] = {
        "silent": lambda row: row.last is None and row.state == "member",
        "no": lambda row: any(said is not None and not getattr(said, what) for what, said in row.said.items()),
        "refused": lambda row: row.state == "refused",
        "forgotten": lambda row: row.state == "forgotten",
    }.get(state, lambda _: True)
    return [row for row in rows if true(row) and (text in row.name.casefold() or str(row.id).startswith(text))]


def write_down(desk: Desk, statement: Statement) -> list[str]:
    """An answer into the archive, and what follows from it; gives in sentences what that was."""
    archive = desk.archive
    away = archive.erasure.erased()
    words = archive.consents.depending_on(statement.author_id)
    try:
        _, gone = desk.forgetting.answer([statement], at=now_ms())
    finally:
        desk.changed(words)
        counting_of(desk).drop()
    lines = [*unheard(archive, [statement], lambda _: "Not in effect"), *told_gone(gone), *_stale(desk)]
    if statement.author_id in away and statement.author_id not in archive.erasure.erased():
        lines.append("back again: import the history once more to have their words")
    return [f"{line[0].upper()}{line[1:]}." for line in lines]


def losing(archive: Archive, statement: Statement) -> int:
    """How many messages would lose their words by this answer."""
    refusing = statement.author_id in archive.consents.would_refuse([statement])
    return archive.erasure.count(statement.author_id) if refusing else 0


def _stale(desk: Desk) -> list[str]:
    return [
        f"the adapter of run {run.name} may not be used any more until it is trained anew"
        for run, _ in runs.stale(desk.data, desk.archive.consents)
    ]


def _rule(mode: Mode) -> str:
    silence = "a no" if mode == "opt-in" else "a yes"
    return (
        f"CONSENT={mode}: silence is {silence}. A member's own last word counts before what the owner wrote down. A no "
        "to being learned from and remembered takes the words away; a yes and a new import bring them back."
    )


def _draw_member(member: Member, ask: Callable[[Asking, Member], Awaitable[None]]) -> None:
    with html.li().classes("member"):
        with html.div().classes("who"):
            html.strong(one_line(member.name) or "nameless")
            html.div(str(member.id)).classes("muted mono")
        for purpose, holds in zip(PURPOSES, member.holds, strict=True):
            with html.div().classes("answer"):
                html.span(_WHAT[purpose]).classes("what")
                silent = "" if member.said[purpose] else " (silent)"
                html.span(f"{yes(holds)}{silent}").classes("good" if holds else "bad")
        html.div(_source(member)).classes("source note")
        with html.div().classes("acts row"):
            who = one_line(member.name) or str(member.id)
            change = ui.button("Change…", on_click=lambda: ask(_change, member)).props("flat dense")
            change.props["aria-label"], change.props["data-change"] = f"Change what {who} said", str(member.id)
            if member.state != "forgotten":
                forget = ui.button("Forget…", on_click=lambda: ask(_forget, member)).props("flat dense")
                forget.props["aria-label"] = f"Forget {who}"


def _source(member: Member) -> str:
    if member.state == "forgotten":
        return f"forgotten on {day(member.since or 0)}"
    last = member.last
    said = f"by the {last.by} on {day(last.at)}: {one_line(last.way)}" if last is not None else "said nothing"
    return f"{said}; words taken away" if member.state == "refused" else said


async def _change(desk: Desk, member: Member, changed: Changed) -> None:
    """Ask for an answer, write it down, tell what followed."""
    title = f"What did {one_line(member.name) or member.id} say?"
    with _dialog(title) as dialog, ui.card().classes("card"):
        html.h2(title)
        form = _Form(member)
        warning = ui.label().classes("warn").props('role="alert"')
        with html.div().classes("row"):
            ui.button("Leave it", on_click=lambda: dialog.submit(None)).props("flat")
            write = ui.button("Write it down")

        async def check() -> None:
            statement = form.statement()
            complaint = await aside(_complaint, desk.archive, statement)
            # Said once; who goes on after that means it.
            if complaint and complaint != warning.text:
                warning.text = complaint
            elif statement is not None:
                dialog.submit(statement)

        write.on_click(check)
    statement = await dialog
    if not isinstance(statement, Statement):
        return
    with told():
        lines = await aside(write_down, desk, statement)
        ui.notify(" ".join(["Written down.", *lines]), multi_line=True, timeout=10_000, close_button="OK")
    await changed()


def _dialog(name: str, *, role: str = "dialog") -> ui.dialog:
    """Once it is closed, the library gives the keyboard back to what opened it; only then it may go."""
    dialog = ui.dialog()
    dialog.on("hide", dialog.delete)
    dialog.props["role"], dialog.props["aria-label"] = role, name
    return dialog


class _Form:
    """What can be said of a member."""

    def __init__(self, member: Member) -> None:
        self._id = member.id
        self._answers: dict[Purpose, ui.toggle] = {}
        for purpose in PURPOSES:
            with html.div().classes("row"):
                html.span(f"To be {_WHAT[purpose]}:")
                self._answers[purpose] = _toggle(["yes", "no", _AS_IT_IS], _AS_IT_IS, f"To be {_WHAT[purpose]}")
        self._by = _toggle({"owner": "The owner decides", "member": "The member said so"}, "owner", "Whose word it is")
        self._way = ui.input("How it was said", value=WAY).props("outlined dense maxlength=200").classes("wide")

    def statement(self) -> Statement | None:
        """None where nothing is said."""
        said = {purpose: toggle.value for purpose, toggle in self._answers.items()}
        given = {purpose: None if word == _AS_IT_IS else word == "yes" for purpose, word in said.items()}
        if all(answer is None for answer in given.values()):
            return None
        by: Speaker = "member" if self._by.value == "member" else "owner"
        # Half of a pair that a browser cut in two cannot be stored.
        way = str(self._way.value or "").encode(errors="replace").decode().strip()
        return Statement(self._id, by, way or WAY, now_ms(), **given)


def _toggle(options: list[str] | dict[str, str], value: str, label: str) -> ui.toggle:
    toggle = ui.toggle(options, value=value).props("no-caps dense")
    toggle.props["aria-label"] = label
    return toggle


def _complaint(archive: Archive, statement: Statement | None) -> str:
    """What an owner should know before it is written down; empty where nothing."""
    if statement is None:
        return "Say yes or no to at least one of them."
    lost = losing(archive, statement)
    if not lost:
        return ""
    return (
        f"With no purpose left, {lost:,} messages lose their words; a later yes and a new import would bring them "
        "back. Write it down all the same?"
    )


async def _forget(desk: Desk, member: Member, changed: Changed) -> None:
    """Ask for the member's name to be typed, and forget them."""
    name = one_line(member.name) or str(member.id)
    with told():
        count, files = await aside(_about, desk, member.id)
        title = f"Forget {name} for good?"
        with _dialog(title, role="alertdialog") as dialog, ui.card().classes("card"):
            html.h2(title)
            for line in before_forgetting(count, files):
                html.p(line).classes("note")
            typed = ui.input(f"Type {name} to go on").props("outlined dense autocomplete=off").classes("wide")
            with html.div().classes("row"):
                ui.button("Keep them", on_click=lambda: dialog.submit(False)).props("flat")
                sure = ui.button("Forget them", on_click=lambda: dialog.submit(True)).props('color="negative"')
            sure.disable()
            typed.on_value_change(lambda: sure.set_enabled(str(typed.value or "").strip() == name))
        if not await dialog:
            return
        author = await aside(lambda: desk.archive.author(member.id))
        lines = await aside(desk.forget, author or Author(member.id, "", ""))
        counting_of(desk).drop()
        stale = await aside(_stale, desk)
        said = [f"{line[0].upper()}{line[1:]}." for line in (*lines, *stale)]
        ui.notify(" ".join([f"{name} is forgotten.", *said]), multi_line=True, timeout=15_000, close_button="OK")
    await changed()


def before_forgetting(count: int, files: Sequence[str]) -> list[str]:
    """What an owner should know before a member is forgotten."""
    lines = [
        f"{count:,} messages lose their words, and their names go, also where others mentioned them. This cannot be "
        "undone, and no import brings them back; only their own yes lets new messages in.",
        "A bot that runs finds nothing of theirs from that moment on. What a model learned cannot be taken out of it: "
        "adapters that learned from them are refused until they are trained anew.",
    ]
    if files:
        lines.append(f"Deleted with it: {', '.join(files)}.")
    return lines


def _about(desk: Desk, author_id: int) -> tuple[int, list[str]]:
    return desk.archive.erasure.count(author_id), desk.forgetting.about(author_id)
