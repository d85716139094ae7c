"""Slash commands: which there are, who may use them, and that Discord knows them.

Each connection has a tree of its own; Discord is told of the commands only when they changed since it was told last, or
when it does not have them any more. Where that fails, the bot goes on without. All answers are for the asker alone
(`controls`).
"""

import asyncio
import hashlib
import logging
from typing import Any, Final

import aiohttp
import discord
import orjson
from discord import app_commands

from sususbot.bot.asking import Asking
from sususbot.bot.controls import BROKE, NOT_YOURS, Controls, Interaction, at_once, may_steer, owners_of, tell
from sususbot.bot.notes import MOST_CHARACTERS, Notes
from sususbot.bot.steering import MOST_MINUTES, Steering
from sususbot.bot.wishes import What, Wishes
from sususbot.errors import SususError

logger = logging.getLogger(__name__)

_KNOWN: Final = "commands"
# Commands of the owner. Discord hides them from others by default, and the bot looks each time.
OWNERS: Final = frozenset({"reload", "clear-memory", "stats", "pause", "resume", "train-status"})
_STEERING: Final = discord.Permissions(manage_guild=True)
_ELSEWHERE: Final = "I only listen to commands on the server that I live on."
# Whatever telling Discord may end with.
_FAILURES: Final = (discord.DiscordException, aiohttp.ClientError, OSError, SususError)
_TOO_EARLY: Final = "I am just waking up: try again in a moment."


class Tree(app_commands.CommandTree[discord.Client]):
    """The commands of one connection."""

    def __init__(
        self, client: discord.Client, controls: Controls, notes: Notes, wishes: Wishes, steering: Steering
    ) -> None:
        super().__init__(client)
        self._controls = controls
        self._guild_id: int | None = None
        self._add_asking(Asking(controls))
        self._add_notes(notes)
        self._add_wishes(wishes)
        self._add_steering(steering)

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Whether this member may use this command here and now; says so where not."""
        if interaction.guild_id is None or interaction.guild_id != self._guild_id:
            # Until the server is known, it may well be this one.
            early = interaction.guild_id is not None and self._guild_id is None
            await at_once(interaction, _TOO_EARLY if early else _ELSEWHERE)
            return False
        owners = {*self._controls.owners, *owners_of(interaction.client.application)}
        if (
            interaction.command is not None
            and interaction.command.name in OWNERS
            and not may_steer(interaction, owners)
        ):
            logger.warning("account %s may not use /%s", interaction.user.id, interaction.command.name)
            await at_once(interaction, NOT_YOURS)
            return False
        return True

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        if isinstance(error, app_commands.CheckFailure):
            return
        if isinstance(error, app_commands.CommandNotFound):
            await at_once(interaction, _TOO_EARLY)
            return
        logger.error("a command failed", exc_info=error)
        if interaction.response.is_done():
            await tell(interaction, BROKE)
        else:
            await at_once(interaction, BROKE)

    def listen_on(self, guild_id: int) -> None:
        """Take commands from this server."""
        self._guild_id = guild_id
        self.copy_global_to(guild=discord.Object(guild_id))

    async def introduce(self, channel_id: int) -> None:
        """Tell Discord, once it is known on which server the channel is. A failure is a warning."""
        await self.client.wait_until_ready()
        try:
            channel = self.client.get_channel(channel_id) or await self.client.fetch_channel(channel_id)
        except _FAILURES:
            # The connection says so, too, and what is to be done.
            return
        if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
            return
        self.listen_on(channel.guild.id)
        try:
            await self._sync(discord.Object(channel.guild.id))
        except discord.Forbidden:
            logger.warning(
                "there are no slash commands: invite the bot again with the scope applications.commands (sususbot init "
                " prints the link)"
            )
        except _FAILURES as error:
            logger.warning("Discord was not told of the slash commands (%s): the next connection tries again", error)

    async def _sync(self, guild: discord.Object) -> None:
        facts = self._controls.archive.facts
        noted = await self._controls.work(lambda: facts.get(_KNOWN))
        print_ = self._fingerprint(guild.id)
        there = sorted(command.id for command in await self.fetch_commands(guild=guild))
        if noted == _note(print_, there):
            return
        synced = await self.sync(guild=guild)
        note = _note(print_, sorted(command.id for command in synced))
        await self._controls.work(lambda: facts.put(_KNOWN, note))
        logger.info("Discord knows the slash commands: %s", ", ".join(command.name for command in synced))

    def _fingerprint(self, guild_id: int) -> str:
        described: list[Any] = [guild_id, *(command.to_dict(self) for command in self.get_commands())]
        return hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS)).hexdigest()

    # -- what there is

    def _add_asking(self, asking: Asking) -> None:
        @self.command(name="why", description="What my last answer here was made of, or another one.")
        @app_commands.describe(reply="The link or id of my answer; without it the last one in this channel.")
        async def why(interaction: Interaction, reply: str | None = None) -> None:
            await asking.why(interaction, reply)

        async def about(interaction: Interaction, message: discord.Message) -> None:
            await asking.why(interaction, str(message.id))

        self.add_command(app_commands.ContextMenu(name="Why?", callback=about))

        @self.command(name="status", description="How I am: connection, model, memory.")
        async def status(interaction: Interaction) -> None:
            await asking.status(interaction)

        @self.command(name="help", description="What you can ask me, and whom you turn to.")
        async def help_(interaction: Interaction) -> None:
            await asking.help(interaction)

    def _add_notes(self, notes: Notes) -> None:
        @self.command(name="remember", description="Tell me something that I should know from now on.")
        @app_commands.describe(text="What, in your words. Who reads this channel may get it as an answer.")
        async def remember(interaction: Interaction, text: app_commands.Range[str, 1, MOST_CHARACTERS]) -> None:
            await notes.remember(interaction, text)

    def _add_wishes(self, wishes: Wishes) -> None:
        @self.command(name="opt-out", description="Say no: I do not learn from, remember or quote what you write.")
        @app_commands.describe(what="What you say no to; without it to everything.")
        async def opt_out(interaction: Interaction, what: What = "everything") -> None:
            await wishes.say_no(interaction, what)

        @self.command(name="opt-in", description="Say yes: I may learn from, remember and quote what you write.")
        @app_commands.describe(what="What you say yes to; without it to everything.")
        async def opt_in(interaction: Interaction, what: What = "everything") -> None:
            await wishes.say_yes(interaction, what)

        @self.command(name="forget-me", description="Have everything of yours erased, for good. I ask once more.")
        async def forget_me(interaction: Interaction) -> None:
            await wishes.forget_me(interaction)

    def _add_steering(self, steering: Steering) -> None:
        @self.command(name="reload", description="Owner: read the settings and the adapter anew.")
        @app_commands.default_permissions(_STEERING)
        async def reload(interaction: Interaction) -> None:
            await steering.reload(interaction)

        @self.command(name="clear-memory", description="Owner: let the talk of this channel begin anew.")
        @app_commands.default_permissions(_STEERING)
        async def clear_memory(interaction: Interaction) -> None:
            await steering.clear_memory(interaction)

        @self.command(name="stats", description="Owner: what I did in the last 24 hours.")
        @app_commands.default_permissions(_STEERING)
        async def stats(interaction: Interaction) -> None:
            await steering.stats(interaction)

        @self.command(name="pause", description="Owner: give no answers for a while.")
        @app_commands.default_permissions(_STEERING)
        @app_commands.describe(minutes="For how long; without it until /resume.")
        async def pause(
            interaction: Interaction, minutes: app_commands.Range[int, 1, MOST_MINUTES] | None = None
        ) -> None:
            await steering.pause(interaction, minutes)

        @self.command(name="resume", description="Owner: answer again.")
        @app_commands.default_permissions(_STEERING)
        async def resume(interaction: Interaction) -> None:
            await steering.resume(interaction)

        @self.command(name="train-status", description="Owner: how the newest training fares.")
        @app_commands.default_permissions(_STEERING)
        async def train_status(interaction: Interaction) -> None:
            await steering.train_status(interaction)


class Commands:
    """The commands of one bot, through all its connections."""

    def __init__(self, controls: Controls, *, again: float = 30.0) -> None:
        """`again`: seconds between two tries to erase what another program is in the way of."""
        self._controls = controls
        self._notes = Notes(controls)
        self._wishes = Wishes(controls, again=again)
        self._steering = Steering(controls)
        self._finishing: asyncio.Task[None] | None = None
        self._introducing: asyncio.Task[None] | None = None

    async def extend(self, client: discord.Client) -> None:
        """Give a client its commands, at its login."""
        await self._steering.restore()
        tree = Tree(client, self._controls, self._notes, self._wishes, self._steering)
        # Known from an earlier start, the server need not be waited for.
        if (guild_id := await self._controls.work(self._guild_of_channel)) is not None:
            tree.listen_on(guild_id)
        if self._finishing is None:
            self._finishing = self._wishes.begin()
        if self._introducing is not None:
            self._introducing.cancel()
        self._introducing = asyncio.create_task(tree.introduce(self._controls.channel_id))
        self._introducing.add_done_callback(_reported)

    async def close(self) -> None:
        """On the event loop, when the bot ends."""
        self._steering.close()
        tasks = [task for task in (self._finishing, self._introducing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # What is under way is finished: an erasure, say.
        self._controls.threads.shutdown(cancel_futures=True)

    def _guild_of_channel(self) -> int | None:
        channels = self._controls.archive.channels()
        return next((one.guild_id for one in channels if one.id == self._controls.channel_id), None)


def _note(fingerprint: str, ids: list[int]) -> str:
    return f"{fingerprint} {','.join(map(str, ids))}"


def _reported(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the commands could not be told to Discord", exc_info=error)
