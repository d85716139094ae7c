"""What members may ask of the bot: why it said something, how it is, what else they may ask.

Nobody is shown more than the people who read the channel may read anyway, and of that only what is still there and may
be remembered; who does not want to be quoted is not.
"""

import re
from collections.abc import Iterator
from typing import Final

import discord

from sususbot import explaining
from sususbot.archive.archive import Archive
from sususbot.bot import policy
from sususbot.bot.answering import Answered
from sususbot.bot.controls import Controls, Interaction, at_once
from sususbot.bot.question import Talk
from sususbot.explaining import Shown
from sususbot.messages import NOTE_TYPE
from sususbot.model.backend import Facts

# An id, alone or at the end of a message's link.
_ID: Final = re.compile(r"(?:^|/)(\d{15,20})/?>?\s*$")
# Of an engine, what members are told; the rest is the owner's.
_ENGINE: Final = ("state", "model", "adapter")
# So few messages get their vectors in a moment.
_FEW: Final = 100


class Asking:
    """Of one running bot."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    async def why(self, interaction: Interaction, reply: str | None) -> None:
        channel = interaction.channel
        if not isinstance(channel, Talk):
            await at_once(interaction, "I only talk in text channels and threads.")
            return
        answering = self._controls.answering
        if reply is None:
            found = answering.last(channel.id)
        elif (named := _ID.search(reply)) is not None:
            found = answering.answered(int(named[1]))
        else:
            await at_once(interaction, "Give me a message's link or id: right-click it, Copy Message Link.")
            return
        if found is None:
            which = "anything in this channel" if reply is None else "that"
            await at_once(interaction, f"I did not say {which} lately, so I do not know any more why.")
        elif found.channel_id != channel.id:
            await at_once(interaction, "That was said in another channel: ask me there.")
        else:
            audience = policy.audience(channel)
            await self._controls.answer(interaction, lambda: "\n".join(self._why(found, channel, audience)))

    async def status(self, interaction: Interaction) -> None:
        latency = interaction.client.latency
        await self._controls.answer(interaction, lambda: "\n".join(self._status(latency)))

    async def help(self, interaction: Interaction) -> None:
        name, whom = self._controls.own_name, self._controls.whom
        lines = [
            f"I am {name}, a program that talks from what was said here. Mention me, and I answer.",
            "- `/why`: what my last answer was made of, or the one whose link you give me",
            "- `/remember`: something I should know, in your words",
            "- `/opt-out`, `/opt-in`: whether I may learn from, remember and quote what you write",
            "- `/forget-me`: everything of yours is erased for good",
            "- `/status`: how I am",
            f"Is something wrong, or do you want to report something? Tell {whom}.",
        ]
        await at_once(interaction, "\n".join(lines))

    # -- in a thread

    def _why(self, found: Answered, channel: Talk, audience: frozenset[int]) -> Iterator[str]:
        where = _link(channel.guild.id, channel.id, found.sent[0]) if found.sent else ""
        yield f"**Why I said that** {where}".rstrip()
        ids = [hit.message.id for hit in found.reply.trace.context.memories]
        if (source := found.reply.trace.generation.source) is not None:
            ids.append(source.message_id)
        yield from explaining.to_a_member(found.reply, _shown(ids, channel.guild, audience, self._controls.archive))

    def _status(self, latency: float) -> Iterator[str]:
        controls = self._controls
        counts, metrics = controls.archive.counts(), controls.metrics
        # Not a number while nothing was heard, infinite while the connection is lost.
        beat = f"answers within {latency * 1000:.0f} ms" if 0 <= latency < float("inf") else "was not heard yet"
        yield f"running for {_span(metrics.uptime)}, Discord {beat}"
        yield from _engine(metrics.engine)
        waiting = controls.answering.waiting
        yield f"questions in hand: {waiting}" + ("; paused" if controls.answering.paused else "")
        since = metrics.since_reply
        yield "no reply since the start" if since is None else f"last reply {_span(since)} ago"
        yield (
            f"memory: {counts.messages - counts.deleted:,} messages of {counts.authors:,} members in "
            f"{counts.channels:,} channels, {counts.vectors:,} found by meaning too"
        )
        troubles = list(self._troubles(metrics.engine, counts.messages))
        yield "all is well" if not troubles else "not as it should be: " + "; ".join(troubles)

    def _troubles(self, engine: Facts, messages: int) -> Iterator[str]:
        controls = self._controls
        if str(engine.get("state", "running")) != "running":
            yield "the model is not there, so simpler answers are given"
        if controls.keeper.trouble is not None:
            yield f"the archive cannot be written to, {controls.keeper.backlog:,} events wait"
        if not controls.long_term.by_meaning and messages > _FEW:
            yield "old messages are found by their words alone"
        if controls.archive.erasure.unfinished():
            yield "some words that are to be erased are still on disk"


def _engine(facts: Facts) -> Iterator[str]:
    told = [f"{name} {str(facts[name]).rsplit('/', 1)[-1]}" for name in _ENGINE if facts.get(name)]
    yield "engine: " + (", ".join(told) or "none, lines from memory alone")


def _shown(ids: list[int], guild: discord.Guild, audience: frozenset[int], archive: Archive) -> dict[int, Shown]:
    """Memories as they may be seen in a channel with this audience now."""
    there = archive.remembered(ids)
    messages = [one for one in archive.messages(there).values() if one.channel_id in audience]
    quotable = archive.consents.quotable(one.id for one in messages)
    return {
        one.id: Shown(
            author=discord.utils.escape_markdown(one.author.display_name),
            said=discord.utils.escape_markdown(quotable[one.id]) if one.id in quotable else None,
            # Discord has no message to go to.
            where="(a note)" if one.type == NOTE_TYPE else _link(guild.id, one.channel_id, one.id),
        )
        for one in messages
    }


def _link(guild_id: int, channel_id: int, message_id: int) -> str:
    # In brackets, so that Discord shows no preview.
    return f"<https://discord.com/channels/{guild_id}/{channel_id}/{message_id}>"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"
