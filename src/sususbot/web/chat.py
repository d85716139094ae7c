"""The page Chat: a channel with the bot in it, and under each of its replies why it was said.

Several may speak, under names of the owner's choosing. A reply streams as it is made, may be made again with other
knobs, and gets a thumb. Each tab has its own talk; when a tab is gone, what it waited for ends.
"""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Final

from nicegui import html, ui
from nicegui.events import GenericEventArguments

from sususbot.archive.feedback import Rating
from sususbot.errors import SususError
from sususbot.messages import Turn
from sususbot.model.backend import Facts, Sampling
from sususbot.web import channel, theme
from sususbot.web.channel import ReplyLine
from sususbot.web.desk import Desk, Scene
from sususbot.web.frame import tell
from sususbot.web.knobs import Knobs
from sususbot.web.talks import LONGEST_NAME, LONGEST_TEXT, WebTalk, nobody

logger = logging.getLogger(__name__)

_WAKING: Final = "waking up"
_BROKE: Final = "that broke: look into the log, and try again"
# The browser takes what was written and empties the field at once: emptied from here, a moment later, it would take
# what was begun meanwhile with it. An Enter that ends the choice of a character (Japanese, Chinese) sends nothing.
_TAKE: Final = """(event) => {{
    const field = getElement({field});
    const text = field.inputValue ?? "";
    if (event.isComposing || !text.trim()) return;
    field.inputValue = "";
    emit(text);
}}"""


def build(desk: Desk) -> None:
    """Draw it."""
    ui.add_css(theme.style_sheet("chat"))
    ChatPage(desk)


class ChatPage:
    """One tab."""

    def __init__(self, desk: Desk) -> None:
        self._name = desk.settings.bot_name
        self._talk = WebTalk(desk)
        self._last: Turn | None = None
        self._engine: Facts = {}
        self._replies: set[asyncio.Task[None]] = set()
        self._answered: list[ReplyLine] = []
        self._loop = asyncio.get_running_loop()
        self._talk.on_forget = self._hear_forgotten
        with html.div().classes("channel-bar"):
            self._state = ui.label(f"{self._name} wakes up with the first message").classes("note")
            self._state.props('role="status"')
        with html.div().classes("log").props('role="log" aria-live="polite" aria-label="Conversation" tabindex="0"'):
            with html.div().classes("log-lines") as self._lines:
                self._begin_talk(desk.scene)
        self._composer(desk.sampling)
        self._redoing: ReplyLine | None = None
        self._redo_dialog(desk.sampling)
        ui.context.client.on_delete(self._leave)

    def _begin_talk(self, scene: Scene | None) -> None:
        if scene is not None:
            html.p(scene.note).classes("note beginning")
            with html.div().classes("questions"):
                for question in scene.questions:
                    ui.button(question, on_click=partial(self._ask, question)).props("outline no-caps dense")
        html.p("Say something. Nothing that is said here is remembered.").classes("note beginning")

    def _composer(self, usual: Sampling) -> None:
        with html.div().classes("composer"):
            with html.div().classes("speakers"):
                self._speaker = ui.select(
                    ["you"], value="you", label="Speak as", with_input=True, new_value_mode="add-unique"
                ).props(f'outlined dense options-dense maxlength="{LONGEST_NAME}"')
                self._answers = ui.switch(f"{self._name} answers", value=True).props("dense")
                with ui.expansion("How words are drawn").props("dense").classes("drawn"):
                    self._knobs = Knobs(usual)
            with html.div().classes("writing"):
                field = ui.textarea(placeholder="Message").props(
                    f'outlined dense autogrow aria-label="Message" maxlength="{LONGEST_TEXT}" rows="1"'
                )
                take = _TAKE.format(field=field.id)
                field.on("keydown.enter.exact.prevent", self._send, js_handler=take)
                ui.button("Send").props("unelevated no-caps").on("click", self._send, js_handler=take)

    def _redo_dialog(self, usual: Sampling) -> None:
        with ui.dialog().props('aria-label="Redo with other settings"') as self._dialog, ui.card().classes("redo"):
            html.h2("Redo with other settings")
            self._other = Knobs(usual)
            with html.div().classes("row"):
                ui.button("Redo", on_click=self._redo).props("unelevated no-caps")
                ui.button("Cancel", on_click=self._dialog.close).props("flat no-caps")

    def _send(self, event: GenericEventArguments) -> None:
        text = str(event.args).strip()
        if text:
            self._ask(text)

    def _ask(self, text: str) -> None:
        exchange = self._talk.say(str(self._speaker.value or ""), text)
        with self._lines:
            channel.line(exchange.asked, self._last)
        self._last = exchange.asked
        if self._answers.value:
            with self._lines:
                reply = ReplyLine(self._name, exchange, redo=self._ask_redo, rate=self._rate, look=self._talk.look)
            self._answered.append(reply)
            self._last = None
            self._begin(reply, self._knobs.read())

    def _ask_redo(self, reply: ReplyLine) -> None:
        answer = reply.exchange.answer
        self._redoing = reply
        self._other.start_from(self._knobs.read() if answer is None else answer.sampling)
        self._dialog.open()

    def _redo(self) -> None:
        self._dialog.close()
        # A second click finds nothing to do.
        reply, self._redoing = self._redoing, None
        if reply is not None:
            self._begin(reply, self._other.read())

    def _begin(self, reply: ReplyLine, sampling: Sampling) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(reply, sampling))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _answer(self, reply: ReplyLine, sampling: Sampling) -> None:
        """Everything a reply may end with stands in its line."""
        try:
            if not self._talk.awake:
                reply.begin(_WAKING)
                self._state.text = f"{self._name} is {_WAKING}"
                self._engine = await self._talk.wake()
                await self._tell_state()
            reply.begin("")
            await self._talk.answer(reply.exchange, sampling, reply.hear)
        except SususError as error:
            reply.fail(str(error))
            if not self._talk.awake:
                self._state.text = f"{self._name} could not wake up"
        except Exception as error:
            logger.exception("a reply broke: %s", type(error).__name__)
            reply.fail(_BROKE)
        else:
            reply.finish()
            await self._compare(reply)

    async def _compare(self, reply: ReplyLine) -> None:
        """What the scene has to say to it comes when the reply stands."""
        await self._talk.compare(reply.exchange)
        reply.compare()

    async def _rate(self, reply: ReplyLine, rating: Rating) -> None:
        answer = reply.exchange.answer
        if answer is None:
            return
        try:
            await self._talk.rate(reply.exchange, answer, None if answer.rating == rating else rating)
            await self._tell_state()
        except SususError as error:
            tell(error)
        reply.mark()

    async def _tell_state(self) -> None:
        """What it runs on, and what was thought of it so far."""
        ups, downs = await self._talk.votes()
        parts = [str(one) for name in ("model", "adapter") if (one := self._engine.get(name)) not in (None, "none")]
        thumbs = [f"{ups} up and {downs} down so far"] if ups or downs else []
        self._state.text = " · ".join([f"{self._name} is awake", *parts, *thumbs])

    def _hear_forgotten(self) -> None:
        # In any thread; where the server stops, nothing is shown any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._forget)

    def _forget(self) -> None:
        for reply in self._answered:
            reply.forget()

    def _leave(self) -> None:
        self._talk.on_forget = nobody
        for task in self._replies:
            task.cancel()
