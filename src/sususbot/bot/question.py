"""What a member asks in one go: a line that mentions the bot, and what the same member adds before it is answered."""

import asyncio
from dataclasses import replace
from typing import Final

import discord

from sususbot.bot import incoming, policy
from sususbot.memory.short_term import turn
from sususbot.messages import Turn

# Where the bot can talk.
Talk = discord.TextChannel | discord.Thread
# Where it is said what the archive may hold: the classes of `messages.SPOKEN`.
Heard = Talk | discord.VoiceChannel | discord.StageChannel

# Beyond it a member's lines are no question any more but a flood; they wait for the next one.
_LINES: Final = 10


class Question:
    """Lines of one member, oldest first. `open` while more may be added."""

    def __init__(self, message: discord.Message, channel: Talk, own_id: int) -> None:
        self.channel = channel
        self.open = True
        self.changed = asyncio.Event()
        """Set when lines come or go."""
        self.typed_at: float | None = None
        """When (monotonic) the member was seen typing since the last line; None while they were not."""
        self._own_id = own_id
        self._lines: dict[int, discord.Message] = {}
        self._mentions: list[int] = []
        self.add(message)

    def add(self, message: discord.Message) -> bool:
        """Take a line of the same member in; False when it is none of this question's."""
        if not self.open or len(self._lines) >= _LINES:
            return False
        if policy.addressed(message, self._own_id):
            self._mentions.append(message.id)
        elif policy.to_somebody(message):
            # Said to somebody else meanwhile.
            return False
        self._lines[message.id] = message
        self.typed_at = None
        self.changed.set()
        return True

    def remove(self, message_id: int) -> None:
        """A line was deleted."""
        if self._lines.pop(message_id, None) is not None:
            self._mentions = [id_ for id_ in self._mentions if id_ != message_id]
            self.changed.set()

    @property
    def gone(self) -> bool:
        """Whether nothing is asked any more."""
        return not self._mentions

    @property
    def bare(self) -> bool:
        """Whether it is the bot's name alone: what is asked may be yet to come, or stands before it."""
        return not any(incoming.question(line, self._own_id) for line in self._lines.values())

    @property
    def message(self) -> discord.Message:
        """The line that the answer points at: the last that mentions the bot."""
        return self._lines[self._mentions[-1]]

    @property
    def asking(self) -> list[discord.Message]:
        """The lines that mention the bot, the last first."""
        return [self._lines[id_] for id_ in reversed(self._mentions)]

    @property
    def mentions(self) -> tuple[int, ...]:
        """Ids of the lines that mention the bot; the last is the one that is answered, the others with it."""
        return tuple(self._mentions)

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(self._lines)

    def turn(self) -> Turn:
        """All of it as one turn, at the time and place of its last line."""
        lines = list(self._lines.values())
        asked = (incoming.question(line, self._own_id) for line in lines)
        return replace(turn(incoming.message_from(lines[-1])), text="\n".join(filter(None, asked)))
