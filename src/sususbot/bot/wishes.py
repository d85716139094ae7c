"""What members may do with their own words: erase them, say yes or no to their use, have something written down.

A no and a wish to be forgotten hold from the moment they are on record. Where another program is in the way of taking
the words away (`forgetting`), they are taken away in the background, as soon as that is possible.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import discord

from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.consents import Permissions
from sususbot.bot import incoming
from sususbot.bot.controls import Controls, Interaction, answer, at_once, outcome, promised, tell
from sususbot.bot.question import Talk
from sususbot.errors import SususError, VectorStoreError
from sususbot.forgetting import Gone
from sususbot.messages import NOTE_TYPE, Author, Message, joined_names
from sususbot.training import runs

logger = logging.getLogger(__name__)

What = Literal["everything", "learning", "remembering", "quoting"]

# What each choice says yes or no to. To be quoted is to be remembered first.
_MEANS: Final[dict[What, tuple[str, ...]]] = {
    "everything": ("learn", "remember", "quote"),
    "learning": ("learn",),
    "remembering": ("remember",),
    "quoting": ("quote",),
}
_NO: Final[dict[What, str]] = {
    "everything": "Nothing you write is learned from, remembered or quoted, and what is kept of it is taken away.",
    "learning": "Nothing you wrote or write is trained on.",
    "remembering": "Nothing you wrote or write is looked up, shown to the model or quoted.",
    "quoting": "Nothing you wrote or write is repeated word for word; it may still be known.",
}
_YES: Final[dict[What, str]] = {
    "everything": "What you write may be learned from, remembered and quoted.",
    "learning": "What you write may be trained on, so that the bot learns how this server talks.",
    "remembering": "What you write may be found again when somebody asks about it.",
    "quoting": "What you write may be said again word for word, where it may be remembered.",
}

NOTE_CHARACTERS: Final = 500
# Notes of one member within so many seconds.
_NOTES: Final = 10
_NOTES_SECONDS: Final = 3600.0
_BUTTON_SECONDS: Final = 600.0
_MENTION: Final = re.compile(r"<@!?(\d{1,19})>")
_CHANNEL: Final = re.compile(r"<#(\d{1,19})>")


class Wishes:
    """Of one running bot, through all its connections."""

    def __init__(self, controls: Controls, *, again: float) -> None:
        """`again`: seconds between two tries to take away what another program was in the way of."""
        self._controls = controls
        self._again = again
        self._unfinished = asyncio.Event()
        self._unfinished.set()
        self._notes: dict[int, deque[float]] = {}

    # -- erasing

    async def forget_me(self, interaction: Interaction) -> None:
        archive, member = self._controls.archive, interaction.user
        if not await promised(interaction):
            return
        text, counted = await outcome(lambda: _before_forgetting(archive.erasure.count(member.id)))
        await tell(interaction, text, view=_Confirm(self, member.id) if counted else None)

    async def forget(self, interaction: Interaction) -> None:
        """The member is sure."""
        author_id = interaction.user.id
        try:
            await interaction.response.edit_message(content="Erasing… this takes a moment.", view=None)
        except (discord.HTTPException, OSError) as error:
            logger.warning("an answer to a button cannot be sent: %s", error)
        text, _ = await outcome(lambda: self._forget(author_id))
        await tell(interaction, text)

    def _forget(self, author_id: int) -> str:
        controls = self._controls
        words = controls.archive.ids_of(author_id)
        # From here on it is on record, and nothing of theirs is used or kept, whatever happens next.
        controls.archive.erasure.begin(author_id, at=now_ms())
        gone = self._take_away(words)
        logger.info("account %s asked to be forgotten", author_id)
        return "\n".join(
            [
                f"You are forgotten. {_lost(gone, len(words))}",
                "Nothing new of yours is kept, and later imports leave you out. Only your account's number stays, so "
                "that they can; with /opt-in you can change your mind.",
                *self._adapters(author_id),
            ]
        )

    # -- consent

    async def say_no(self, interaction: Interaction, what: What) -> None:
        await answer(interaction, lambda: self._say(interaction.user.id, what, yes=False))

    async def say_yes(self, interaction: Interaction, what: What) -> None:
        await answer(interaction, lambda: self._say(interaction.user.id, what, yes=True))

    def _say(self, author_id: int, what: What, *, yes: bool) -> str:
        archive = self._controls.archive
        words = archive.ids_of(author_id)
        way = "/opt-in" if yes else "/opt-out"
        was_erased = author_id in archive.erasure.erased()
        now = archive.consents.say(author_id, by="member", way=way, at=now_ms(), **dict.fromkeys(_MEANS[what], yes))
        lines = [(_YES if yes else _NO)[what]]
        if yes:
            self._loop.call_soon_threadsafe(self._controls.keeper.relearn, words)
            if was_erased and words:
                lines.append("What was erased comes back only if the owner imports the history of this server again.")
        elif author_id in archive.consents.refused():
            lines.append(_lost(self._take_away(words), len(words)))
        else:
            self._drop(words)
        if not now.learn:
            lines += self._adapters(author_id)
        return "\n".join([*lines, _holds(now)])

    # -- notes

    async def remember(self, interaction: Interaction, text: str) -> None:
        channel, member = interaction.channel, interaction.user
        if not isinstance(channel, Talk):
            await at_once(interaction, "I can only take notes in text channels and threads.")
            return
        if self._controls.answering.limits.blocks(member.id):
            await at_once(interaction, "I take no notes of you.")
            return
        if not self._may_note(member.id):
            await at_once(interaction, f"You told me {_NOTES} things within an hour: give me a while to digest them.")
            return
        if not await promised(interaction):
            return
        controls = self._controls
        note = await asyncio.to_thread(_note, interaction, channel, text, controls.archive)
        if note is None:
            await tell(
                interaction,
                "You said that I must not remember you, so I do not. With  /opt-in  I may, and you can tell me again.",
            )
            return
        if not await controls.keeper.note(note, *incoming.channel_from(channel)):
            await tell(interaction, "My memory cannot be written to, and too much waits for it already: try later.")
        elif controls.keeper.trouble is not None:
            await tell(interaction, "Noted; I can find it as soon as my memory can be written to again.")
        else:
            view = _TakeBack(self, note.id, member.id)
            await tell(interaction, f"Noted, and I can find it from now on: {note.rendered}", view=view)

    async def take_back(self, interaction: Interaction, note_id: int) -> None:
        await self._controls.keeper.delete([note_id])
        try:
            await interaction.response.edit_message(content="Taken back: I do not know it any more.", view=None)
        except (discord.HTTPException, OSError) as error:
            logger.warning("an answer to a button cannot be sent: %s", error)

    def _may_note(self, author_id: int) -> bool:
        now = asyncio.get_running_loop().time()
        self._notes = {
            id_: times for id_, times in self._notes.items() if id_ == author_id or times[-1] > now - _NOTES_SECONDS
        }
        times = self._notes.setdefault(author_id, deque(maxlen=_NOTES))
        if len(times) == _NOTES and times[0] > now - _NOTES_SECONDS:
            return False
        times.append(now)
        return True

    # -- taking away

    async def finish(self) -> None:
        """Take away, for as long as the bot runs, what is on record and could not be taken away at once."""
        while True:
            await self._unfinished.wait()
            try:
                if await asyncio.to_thread(self._finished):
                    self._unfinished.clear()
                    continue
            except SususError as error:
                logger.warning("not all is erased yet: %s", error)
            except Exception:
                logger.exception("not all is erased yet")
            await asyncio.sleep(self._again)

    def _finished(self) -> bool:
        archive = self._controls.archive
        due = {*archive.erasure.unfinished(), *archive.consents.refused()}
        words = [id_ for author_id in due for id_ in archive.ids_of(author_id)]
        if due:
            self._controls.forgetting.resume(at=now_ms())
            self._drop(words)
            logger.info("what members wished to be erased is erased")
        return True

    def _take_away(self, words: Iterable[int]) -> Gone | None:
        """What is on record to go, goes; None where another program is in the way, so that it goes a little later."""
        try:
            return self._controls.forgetting.resume(at=now_ms())
        except SususError as error:
            logger.warning("not all is erased yet: %s", error)
            self._retry()
            return None
        finally:
            self._drop(words)

    def _retry(self) -> None:
        self._loop.call_soon_threadsafe(self._unfinished.set)

    def begin(self) -> "asyncio.Task[None]":
        """On the event loop: the task that finishes what is unfinished, now and later."""
        self._loop = asyncio.get_running_loop()
        return asyncio.create_task(self.finish())

    def _drop(self, words: Iterable[int]) -> None:
        """Out of what is held in memory."""
        ids = list(words)
        self._controls.short_term.changed(ids)
        try:
            self._controls.long_term.drop_stale(ids)
        except VectorStoreError as error:
            logger.warning("%s", error)

    def _adapters(self, author_id: int) -> list[str]:
        """What of the models must be made anew on this member's account."""
        learned = [run.name for run in runs.runs(self._controls.data) if author_id in (run.authors or ())]
        if not learned:
            return []
        which = f"adapter of run {learned[0]}" if len(learned) == 1 else f"adapters of runs {joined_names(learned)}"
        lines = [
            f"What a model learned cannot be taken out of it again: the {which} must be trained anew without you, and "
            "until then nobody is to use what is there."
        ]
        if (let_go := self._controls.unlearn()) is not None:
            lines.append(let_go)
        return lines


class _Asked(discord.ui.View):
    """Buttons for one member, for a while."""

    def __init__(self, author_id: int) -> None:
        super().__init__(timeout=_BUTTON_SECONDS)
        self._author_id = author_id

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return interaction.user.id == self._author_id

    async def on_error(self, _: discord.Interaction, error: Exception, __: discord.ui.Item[discord.ui.View], /) -> None:
        logger.error("a button failed", exc_info=error)


class _Confirm(_Asked):
    """Whether a member is sure."""

    def __init__(self, wishes: Wishes, author_id: int) -> None:
        super().__init__(author_id)
        self._wishes = wishes

    @discord.ui.button(label="Forget me", style=discord.ButtonStyle.danger)
    async def sure(self, interaction: discord.Interaction, _: "discord.ui.Button[_Confirm]") -> None:
        self.stop()
        await self._wishes.forget(interaction)

    @discord.ui.button(label="Keep me", style=discord.ButtonStyle.secondary)
    async def unsure(self, interaction: discord.Interaction, _: "discord.ui.Button[_Confirm]") -> None:
        self.stop()
        await interaction.response.edit_message(content="Nothing was changed.", view=None)


class _TakeBack(_Asked):
    """A way back for who wrote a note."""

    def __init__(self, wishes: Wishes, note_id: int, author_id: int) -> None:
        super().__init__(author_id)
        self._wishes = wishes
        self._note_id = note_id

    @discord.ui.button(label="Take it back", style=discord.ButtonStyle.secondary)
    async def back(self, interaction: discord.Interaction, _: "discord.ui.Button[_TakeBack]") -> None:
        self.stop()
        await self._wishes.take_back(interaction, self._note_id)


def _before_forgetting(count: int) -> str:
    messages = "1 message of yours loses its words" if count == 1 else f"{count:,} messages of yours lose their words"
    return (
        f"This erases you for good: {messages}, your names go, and nothing new of yours is kept. It cannot be undone.\n"
        "If you only want not to be learned from, remembered or quoted, there is /opt-out. Shall I forget you?"
    )


def _lost(gone: Gone | None, words: int) -> str:
    if gone is None:
        return "It is on record and nothing of yours is used any more; the words themselves go within minutes."
    if not gone.messages:
        return "There were no words of yours left to erase." if not words else "Your words are gone."
    lost = "1 message lost its words" if gone.messages == 1 else f"{gone.messages:,} messages lost their words"
    return f"{lost}, in the archive, the search and all that was made of them."


def _holds(now: Permissions) -> str:
    answers = (("learned from", now.learn), ("remembered", now.remember), ("quoted", now.quote))
    return "What holds for you now: " + ", ".join(f"{what} {'yes' if yes else 'no'}" for what, yes in answers) + "."


def _note(interaction: Interaction, channel: Talk, text: str, archive: Archive) -> Message | None:
    """A note as the archive keeps it; None where its author must not be remembered."""
    member = interaction.user
    if not archive.consents.answers(member.id).remember:
        return None
    mentioned = tuple(dict.fromkeys(int(id_) for id_ in _MENTION.findall(text)))
    names = {id_: author.display_name for id_ in mentioned if (author := archive.author(id_)) is not None}
    text = incoming.storable(text.strip())
    return Message(
        id=interaction.id,
        channel_id=channel.id,
        author=Author(member.id, member.name, incoming.storable(member.display_name)),
        created_at=round(interaction.created_at.timestamp() * 1000),
        content=text,
        rendered=_rendered(text, names, channel.guild),
        type=NOTE_TYPE,
        pinned=True,
        mentions=mentioned,
    )


def _rendered(text: str, names: Mapping[int, str], guild: discord.Guild) -> str:
    """As members read it: names for ids."""
    text = _MENTION.sub(lambda found: f"@{names.get(int(found[1]), 'someone')}", text)
    places = {channel.id: channel.name for channel in guild.channels}
    text = _CHANNEL.sub(lambda found: f"#{places.get(int(found[1]), 'a channel')}", text)
    return incoming.without_marks(text)
