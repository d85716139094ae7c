"""Notes: what members want the bot to know from now on, in their own words.

A note is a message of its author that stands in no channel (`messages.NOTE_TYPE`), so that consent, erasure, audience
and search treat it like everything else they said. Who wrote it can take it back.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Mapping
from typing import Final

import discord

from sususbot.archive.archive import Archive
from sususbot.bot import incoming
from sususbot.bot.controls import UNSENT, Asked, Controls, Interaction, at_once, promised, tell
from sususbot.bot.question import Talk
from sususbot.messages import NOTE_TYPE, Author, Message

logger = logging.getLogger(__name__)

MOST_CHARACTERS: Final = 500
# Notes of one member within so many seconds.
_MOST: Final = 10
_SECONDS: Final = 3600.0
_MENTION: Final = re.compile(r"<@!?(\d{1,19})>")
_CHANNEL: Final = re.compile(r"<#(\d{1,19})>")


class Notes:
    """Of one running bot, through all its connections."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._written: dict[int, deque[float]] = {}

    async def remember(self, interaction: Interaction, text: str) -> None:
        channel, member = interaction.channel, interaction.user
        if not isinstance(channel, Talk):
            await at_once(interaction, "I can only take notes in text channels and threads.")
            return
        if self._controls.answering.limits.blocks(member.id):
            await at_once(interaction, "I take no notes of you.")
            return
        if not text.strip():
            await at_once(interaction, "There is nothing in that to remember.")
            return
        if not self._may_note(member.id):
            await at_once(interaction, f"You told me {_MOST} things within an hour: give me a while to digest them.")
            return
        if not await promised(interaction):
            return
        controls = self._controls
        note = await controls.work(lambda: _note(interaction, channel, text, controls.archive))
        if note is None:
            await tell(
                interaction,
                "You said that I must not remember you, so I do not. After /opt-in I may, and you can tell me again.",
            )
            return
        if not await controls.keeper.note(note, *incoming.channel_from(channel)):
            await tell(interaction, "My memory cannot be written to, and too much waits for it already: try later.")
        elif controls.keeper.behind:
            await tell(interaction, "Noted; I can find it as soon as my memory can be written to again.")
        else:
            view = _TakeBack(self, note.id, member.id)
            await tell(interaction, f"Noted, and I can find it from now on: {note.rendered}", view=view)

    async def take_back(self, interaction: Interaction, note_id: int) -> None:
        keeper = self._controls.keeper
        await keeper.delete([note_id])
        gone = "Taken back: I do not know it any more."
        later = "Taken back: I do not know it any more as soon as my memory can be written to again."
        try:
            await interaction.response.edit_message(content=later if keeper.behind else gone, view=None)
        except UNSENT as error:
            logger.warning("an answer to a button cannot be sent: %s", error)

    def _may_note(self, author_id: int) -> bool:
        now = asyncio.get_running_loop().time()
        self._written = {id_: times for id_, times in self._written.items() if times[-1] > now - _SECONDS}
        times = self._written.setdefault(author_id, deque(maxlen=_MOST))
        if len(times) == _MOST and times[0] > now - _SECONDS:
            return False
        times.append(now)
        return True


class _TakeBack(Asked):
    """A way back for who wrote a note."""

    def __init__(self, notes: Notes, note_id: int, author_id: int) -> None:
        super().__init__(author_id)
        self._notes = notes
        self._note_id = note_id

    @discord.ui.button(label="Take it back", style=discord.ButtonStyle.secondary)
    async def back(self, interaction: discord.Interaction, _: "discord.ui.Button[_TakeBack]") -> None:
        self.stop()
        await self._notes.take_back(interaction, self._note_id)


def _note(interaction: Interaction, channel: Talk, text: str, archive: Archive) -> Message | None:
    """A note as the archive keeps it; None where its author must not be remembered."""
    member = interaction.user
    if not archive.consents.answers(member.id).remember:
        return None
    mentioned = tuple(dict.fromkeys(id_ for raw in _MENTION.findall(text) if (id_ := int(raw)) < 1 << 63))
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
    # A note may be read where the channel that it names may not.
    everyone = guild.default_role
    places = {one.id: one.name for one in guild.channels if one.permissions_for(everyone).read_messages}
    text = _CHANNEL.sub(lambda found: f"#{places.get(int(found[1]), 'a channel')}", text)
    return incoming.without_marks(text)
