"""What slash commands work with, who may use those of the owner, and how they answer: to the asker alone, and in time.

Work is done in threads; the first sign to Discord goes out before it begins, and the work is done even where Discord
did not hear it: a member who says no is not asked to say it twice.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import discord

from sususbot.archive.archive import Archive
from sususbot.bot import rendering
from sususbot.bot.answering import Answering
from sususbot.bot.keeper import Keeper
from sususbot.bot.metrics import Metrics
from sususbot.errors import ArchiveFull, ArchiveLocked, SususError
from sususbot.forgetting import Forgetting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.safety.pings import mention_safe

logger = logging.getLogger(__name__)

BROKE: Final = "Something broke; it stands in the log. Try again in a moment."
NOT_YOURS: Final = "That is for the bot's owner, or for who may manage this server."
_GONE: Final = "…and more than fits here."
_BUTTON_SECONDS: Final = 600.0
# What sending an answer may end with: a refusal, or no connection.
UNSENT: Final = (discord.HTTPException, aiohttp.ClientError, OSError)
# A member reads no more than this many messages as one answer.
_PARTS: Final = 5
# JSON error code: it was answered already.
_ANSWERED: Final = 40060

# So many commands are worked on at once; others wait, and nothing else of the bot waits with them.
_THREADS: Final = 4

T = TypeVar("T")
Interaction = discord.Interaction[discord.Client]


@dataclass(frozen=True, slots=True)
class Controls:
    """What the commands reach. Callables block, and are called in threads.

    `reload` reads the settings and the adapter anew and says in a sentence what came of it. `unlearn` lets go of
    weights in use that learned from who does not agree any more, and says so; None where there is nothing to let go of.
    `owners` are accounts that may use the owner's commands besides the application's owner and those who may manage
    the server.
    """

    archive: Archive
    short_term: ShortTerm
    long_term: LongTerm
    forgetting: Forgetting
    keeper: Keeper
    answering: Answering
    metrics: Metrics
    data: Path
    channel_id: int
    own_name: str
    reload: Callable[[], str]
    unlearn: Callable[[], str | None] = lambda: None
    owners: Collection[int] = frozenset()
    contact: str | None = None
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "commands"))

    @property
    def whom(self) -> str:
        """Whom members turn to."""
        return self.contact or "the owner of this server"

    async def work(self, work: Callable[[], T]) -> T:
        """Do it in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def outcome(self, work: Callable[[], str], *, steering: bool = False) -> tuple[str, bool]:
        """What a piece of work gives, done in a thread, and whether it succeeded; `steering`: for the owner's eyes."""
        try:
            return await self.work(work), True
        except SususError as error:
            logger.warning("a command failed: %s", error)
            return (f"That did not work: {error}." if steering else failure(error)), False
        except Exception:
            logger.exception("a command failed")
            return BROKE, False

    async def answer(self, interaction: Interaction, work: Callable[[], str], *, steering: bool = False) -> None:
        """Do `work` in a thread and tell the asker alone what it gives, or in a sentence why it failed.

        Nothing where the same command was taken before. `steering`: the asker is told what only an owner should read.
        """
        if await promised(interaction):
            text, _ = await self.outcome(work, steering=steering)
            await tell(interaction, text)


def owners_of(application: discord.AppInfo | None) -> frozenset[int]:
    """The accounts that an application belongs to: its owner, or the owner and the admins of its team."""
    if application is None:
        return frozenset()
    if application.team is None:
        return frozenset([application.owner.id])
    team = application.team
    admins = {
        member.id
        for member in team.members
        if member.role is discord.TeamMemberRole.admin
        and member.membership_state is discord.TeamMembershipState.accepted
    }
    return frozenset(admins | {id_ for id_ in (team.owner_id,) if id_ is not None})


def may_steer(interaction: Interaction, owners: Collection[int]) -> bool:
    """Whether a member may use the owner's commands, by what Discord itself says of them with each command."""
    return interaction.permissions.manage_guild or interaction.user.id in owners


def failure(error: SususError) -> str:
    """What members are told: errors name paths and settings, which are the owner's."""
    if isinstance(error, ArchiveLocked):
        return "My memory is in use by another program right now: try again in a minute."
    if isinstance(error, ArchiveFull):
        return "There is no room left for my memory: tell the owner of this bot."
    return "Something is out of order; the owner finds it in the log. Try again in a minute."


async def promised(interaction: Interaction) -> bool:
    """Tell Discord that an answer comes; False where this very command was taken before."""
    try:
        await interaction.response.defer(ephemeral=True, thinking=True)
    except discord.HTTPException as error:
        if error.code == _ANSWERED:
            # Discord tells of everything again after a connection was lost.
            return False
        logger.warning("an answer to a command comes too late or not at all: %s", error.text or error.status)
    except UNSENT as error:
        logger.warning("an answer to a command cannot be sent (%s)", type(error).__name__)
    return True


async def tell(interaction: Interaction, text: str, *, view: discord.ui.View | None = None) -> None:
    """The answer that was promised, in as many messages as it takes, up to a few."""
    parts = rendering.split(mention_safe(text)) or ["…"]
    if len(parts) > _PARTS:
        parts = [*parts[: _PARTS - 1], _GONE]
    try:
        await interaction.edit_original_response(
            content=parts[0], view=view, allowed_mentions=discord.AllowedMentions.none()
        )
        for part in parts[1:]:
            await interaction.followup.send(
                part, ephemeral=True, suppress_embeds=True, allowed_mentions=discord.AllowedMentions.none()
            )
    except UNSENT as error:
        # What was asked for is done all the same.
        logger.warning("the answer to a command did not arrive: %s", error)


async def at_once(interaction: Interaction, sentence: str) -> None:
    """Answer without any work before it, to the asker alone."""
    try:
        await interaction.response.send_message(
            sentence, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
        )
    except UNSENT as error:
        logger.warning("the answer to a command did not arrive: %s", error)


class Asked(discord.ui.View):
    """Buttons for one member, for a while."""

    def __init__(self, author_id: int) -> None:
        super().__init__(timeout=_BUTTON_SECONDS)
        self._author_id = author_id

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return interaction.user.id == self._author_id

    async def on_error(self, _: discord.Interaction, error: Exception, __: discord.ui.Item[discord.ui.View], /) -> None:
        logger.error("a button failed", exc_info=error)
