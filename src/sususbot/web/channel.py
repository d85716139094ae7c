"""A channel as Discord shows it: avatars, names, times, what one says in a row under one name; and what a reply offers.

Drawn into the element that is current. Texts are text: nothing a member said is read as markup. What a reply said is
drawn anew only after asking whether its words may still be shown.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Final

from nicegui import html, ui

from sususbot.archive.feedback import Rating
from sususbot.messages import Turn
from sususbot.web import why
from sususbot.web.parts import told
from sususbot.web.talks import Answer, Exchange, clock

# On each of them white text reads (4.5 to 1 and more).
AVATARS: Final = ("#4752c4", "#2d7d46", "#a1440c", "#8a3ffc", "#0b6e99", "#b3261e", "#6b5b00", "#9c2a72")
# What one says within this time of their last line stands under the same name.
_TOGETHER_MS: Final = 7 * 60_000
_BETWEEN_SECONDS: Final = 0.05
_FORGOTTEN: Final = "Words that this reply was made of were taken away: it is not shown any more."


def line(turn: Turn, after: Turn | None) -> None:
    """What somebody said; `after` is the line above it."""
    grouped = after is not None and after.speaker == turn.speaker and turn.at - after.at < _TOGETHER_MS
    with html.div().classes("line grouped" if grouped else "line"):
        if grouped:
            html.span(clock(turn.at)).classes("time aside")
        else:
            _avatar(turn.speaker)
        with html.div().classes("said"):
            if not grouped:
                _head(turn.speaker, turn.at)
            html.p(turn.text).classes("text")


class ReplyLine:
    """A reply: growing while it is made, then with its why, its other versions and its thumbs."""

    def __init__(
        self,
        name: str,
        exchange: Exchange,
        *,
        redo: Callable[["ReplyLine"], None],
        rate: Callable[["ReplyLine", Rating], Awaitable[None]],
        look: Callable[[Exchange], Awaitable[Answer | None]],
    ) -> None:
        """`look` gives the reply that is shown, as far as it still may be. Raises SususError."""
        self.exchange = exchange
        self._redo = redo
        self._rate = rate
        self._look = look
        self._finished = False
        self._streamed = self._drawn = ""
        self._due: asyncio.TimerHandle | None = None
        self._explained: Answer | None = None
        with html.div().classes("line own") as self._line:
            _avatar(name)
            with html.div().classes("said"):
                _head(name, exchange.asked.at, badge="APP")
                self._text = html.p().classes("text")
                self._beside = html.p().classes("beside note")
                self._buttons()
                self._panel = html.div().classes("why").props('role="region" aria-label="Why"')
        self._panel.set_visibility(False)
        self._beside.set_visibility(False)
        self.begin("")

    def begin(self, state: str) -> None:
        """A reply is being made; `state` is what to say until its first word."""
        self._streamed = self._drawn = ""
        self._finished = False
        self._line.props('aria-busy="true"')
        self._actions.set_visibility(False)
        self._stand_beside(None)
        self._close_why()
        self._say(state or "…", "text waiting")

    def hear(self, piece: str | None) -> None:
        """More of it; None takes back what came so far."""
        self._streamed = "" if piece is None else self._streamed + piece
        if self._due is None:
            self._grow()

    def _grow(self) -> None:
        """Draw what came, at once, and then not again for a while: a model may say more words a second than a browser
        should draw beside everything else.
        """
        said = self._streamed.strip()
        if self._drawn == self._streamed:
            self._due = None
            return
        self._say(said or "…", "text" if said else "text waiting")
        self._drawn = self._streamed
        self._due = asyncio.get_running_loop().call_later(_BETWEEN_SECONDS, self._grow)

    def fail(self, sentence: str) -> None:
        """No reply came of it."""
        self._line.props(remove="aria-busy")
        self._say(sentence, "text bad")
        self._show_actions(answered=bool(self.exchange.answers))

    def finish(self) -> None:
        """The reply that is to be shown is there."""
        self._finished = True
        self._line.props(remove="aria-busy")
        answer = self.exchange.answer
        if answer is None:
            self.forget()
            return
        self._say(answer.reply.text, "text")
        self._stand_beside(answer.beside)
        self._show_actions(answered=True)
        self._mark()
        if self._panel.visible:
            self._explain(answer)

    def compare(self) -> None:
        """What the scene says beside the reply is there, too; a reply that is made again goes on."""
        answer = self.exchange.answer
        if self._finished and answer is not None:
            self._stand_beside(answer.beside)

    def forget(self) -> None:
        """Nothing of the replies so far stands here any more; one that is being made goes on."""
        self._close_why()
        self._panel.clear()
        self._explained = None
        self._stand_beside(None)
        if self._finished:
            self._say(_FORGOTTEN, "text waiting")
            self._show_actions(answered=False)

    def _buttons(self) -> None:
        with html.div().classes("actions") as self._actions:
            self._why_button = _button("Why", "Why this reply", self._toggle_why)
            self._why_button.props('aria-expanded="false"')
            _button("Redo", "Redo with other settings", lambda: self._redo(self))
            self._up = _button("", "Thumb up", lambda: self._rate(self, 1), icon="thumb_up")
            self._down = _button("", "Thumb down", lambda: self._rate(self, -1), icon="thumb_down")
            with html.span().classes("versions") as self._versions:
                _button("‹", "Earlier reply", lambda: self._turn(-1))
                self._count = html.span().classes("figure")
                _button("›", "Later reply", lambda: self._turn(1))

    def _show_actions(self, *, answered: bool) -> None:
        self._actions.set_visibility(True)
        for element in (self._why_button, self._up, self._down):
            element.set_visibility(answered)
        self._versions.set_visibility(len(self.exchange.answers) > 1)

    def mark(self) -> None:
        """The thumb that was given, and which of the replies this is."""
        self._mark()

    def _mark(self) -> None:
        answer = self.exchange.answer
        rating = None if answer is None else answer.rating
        self._up.props(f'aria-pressed="{str(rating == 1).lower()}"')
        self._down.props(f'aria-pressed="{str(rating == -1).lower()}"')
        self._count._text = f"{self.exchange.shown + 1} / {len(self.exchange.answers)}"
        self._count.update()

    async def _turn(self, step: int) -> None:
        with told():
            if await self._look(self.exchange) is not None:
                self.exchange.shown = (self.exchange.shown + step) % len(self.exchange.answers)
            self.finish()

    async def _toggle_why(self) -> None:
        if self._panel.visible:
            self._close_why()
            return
        with told():
            answer = await self._look(self.exchange)
            if answer is None:
                self.forget()
                return
            self._panel.set_visibility(True)
            self._why_button.props('aria-expanded="true"')
            self._explain(answer)
            # The log keeps to its end; what was opened is to be read from its beginning.
            ui.run_javascript(
                f"requestAnimationFrame(() => getHtmlElement({self._line.id}).scrollIntoView({{block: 'start'}}))"
            )

    def _close_why(self) -> None:
        self._panel.set_visibility(False)
        self._why_button.props('aria-expanded="false"')

    def _explain(self, answer: Answer) -> None:
        """Drawn when it is first looked at: most replies are never asked why."""
        if answer is self._explained:
            return
        self._explained = answer
        self._panel.clear()
        with self._panel:
            why.draw(answer)

    def _stand_beside(self, text: str | None) -> None:
        self._beside.set_visibility(text is not None)
        self._beside._text = text or ""
        self._beside.update()

    def _say(self, text: str, classes: str) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._text.classes(replace=classes)
        self._text._text = text
        self._text.update()


def _button(text: str, label: str, on_click: Callable[[], object], icon: str = "") -> html.button:
    button = html.button(text, type="button", title=label).classes("action").on("click", on_click)
    button.props["aria-label"] = label
    if icon:
        with button:
            ui.icon(icon).props('aria-hidden="true"')
    return button


def _avatar(name: str) -> None:
    colour = AVATARS[zlib.crc32(name.encode()) % len(AVATARS)]
    initial = next((letter for letter in name if letter.isalnum()), "?").upper()
    html.span(initial).classes("avatar").style(f"background:{colour}").props('aria-hidden="true"')


def _head(name: str, at: int, badge: str = "") -> None:
    with html.div().classes("head"):
        html.span(name).classes("name")
        if badge:
            html.span(badge).classes("badge")
        html.span(clock(at)).classes("time")
