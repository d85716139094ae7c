"""What members may do with their own words: have them erased, say yes or no to their use.

A no and a wish to be forgotten hold from the moment they are on record. Where another program is in the way of taking
the words away (`forgetting`), they are taken away in the background, as soon as that is possible; so is what the page
or a command began and could not end.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Literal

import discord

from sususbot.archive.archive import now_ms
from sususbot.archive.consents import Permissions, Statement
from sususbot.artifacts import CHROMA
from sususbot.bot.controls import UNSENT, Asked, Controls, Interaction, promised, tell
from sususbot.errors import SususError, VectorStoreError
from sususbot.messages import joined_names
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


class Wishes:
    """Of one running bot, through all its connections."""

    def __init__(self, controls: Controls, *, again: float) -> None:
        """`again`: seconds between two looks for what is on record to be taken away, and is not yet."""
        self._controls = controls
        self._again = again
        self._unfinished = asyncio.Event()
        self._unfinished.set()
        # Ids of members and messages whose words were to go at the last look.
        self._begun: frozenset[int] = frozenset()

    # -- erasing

    async def forget_me(self, interaction: Interaction) -> None:
        archive, member = self._controls.archive, interaction.user
        if not await promised(interaction):
            return
        text, counted = await self._controls.outcome(lambda: _before_forgetting(archive.erasure.count(member.id)))
        await tell(interaction, text, view=_Confirm(self, member.id) if counted else None)

    async def forget(self, interaction: Interaction) -> None:
        """The member is sure."""
        author_id = interaction.user.id
        try:
            await interaction.response.edit_message(content="Erasing… this takes a moment.", view=None)
        except UNSENT as error:
            logger.warning("an answer to a button cannot be sent: %s", error)
        text, _ = await self._controls.outcome(lambda: self._forget(author_id))
        await tell(interaction, text)

    def _forget(self, author_id: int) -> str:
        archive = self._controls.archive
        words, count = archive.consents.depending_on(author_id), archive.erasure.count(author_id)
        # From here on it is on record, and nothing of theirs is used or kept, whatever happens next.
        archive.erasure.begin(author_id, at=now_ms())
        done = self._take_away(words)
        logger.info("a member asked to be forgotten")
        return "\n".join(
            [
                f"You are forgotten. {_lost(count, done=done)}",
                "Nothing new of yours is kept, and later imports leave you out. Only your account's number stays, so "
                "that they can; with /opt-in you can change your mind.",
                *self._adapters(author_id),
            ]
        )

    # -- consent

    async def say_no(self, interaction: Interaction, what: What) -> None:
        await self._controls.answer(interaction, lambda: self._say(interaction.user.id, what, yes=False))

    async def say_yes(self, interaction: Interaction, what: What) -> None:
        await self._controls.answer(interaction, lambda: self._say(interaction.user.id, what, yes=True))

    def _say(self, author_id: int, what: What, *, yes: bool) -> str:
        archive = self._controls.archive
        words, count = archive.consents.depending_on(author_id), archive.erasure.count(author_id)
        was_erased = author_id in archive.erasure.erased()
        way = "/opt-in" if yes else "/opt-out"
        said = Statement(author_id, "member", way, now_ms(), **dict.fromkeys(_MEANS[what], yes))
        self._controls.forgetting.write_down([said])
        now = archive.consents.answers(author_id)
        lines = [(_YES if yes else _NO)[what]]
        if yes:
            self._drop(words)
            if was_erased and words:
                lines.append("What was erased comes back only if the owner imports the history of this server again.")
        else:
            refused = author_id in archive.consents.refused()
            # What was built or reported with their words goes, too, where they may not stand in it any more.
            done = self._take_away(words)
            lines += [_lost(count, done=done)] if refused else []
        if not now.learn:
            lines += self._adapters(author_id)
        return "\n".join([*lines, _holds(now)])

    # -- taking away

    async def finish(self) -> None:
        """Take away, for as long as the bot runs, what is on record and could not be taken away at once."""
        while True:
            # Nobody tells of what another program could not end: it is looked for.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._again):
                    await self._unfinished.wait()
            own = self._unfinished.is_set()
            self._unfinished.clear()
            try:
                await self._controls.work(lambda: self._look(own=own))  # noqa: B023  (it is waited for)
            except Exception as error:
                if isinstance(error, SususError):
                    logger.warning("not all is erased yet: %s", error)
                else:
                    logger.exception("not all is erased yet")
                self._unfinished.set()
                await asyncio.sleep(self._again)

    def _look(self, *, own: bool) -> None:
        """For what was said to another program, too, and what was taken back on Discord."""
        if unlearned := self._controls.unlearn():
            logger.warning("%s", unlearned)
        self._finish(own=own)
        for name in self._controls.forgetting.drop_withdrawn().files:
            logger.info("%s was made of what is deleted or edited on Discord by now, and is deleted", name)

    def _finish(self, *, own: bool) -> None:
        """What others began is theirs to end: it is taken over where it was there at the last look already."""
        archive = self._controls.archive
        authors = {*archive.erasure.unfinished(), *archive.consents.refused()}
        unsaid = archive.erasure.unsaying()
        begun, self._begun = self._begun, frozenset({*authors, *unsaid})
        if self._begun if own else self._begun & begun:
            words = [*unsaid, *(id_ for author_id in authors for id_ in archive.consents.depending_on(author_id))]
            self._resume()
            self._drop(words)
            logger.info("what was to be erased is erased")

    def _take_away(self, words: Iterable[int]) -> bool:
        """What is on record to go, goes; False where another program is in the way, so that it goes a little later."""
        try:
            self._resume()
        except SususError as error:
            logger.warning("not all is erased yet: %s", error)
            self._loop.call_soon_threadsafe(self._unfinished.set)
            return False
        else:
            return True
        finally:
            self._drop(words)

    def _resume(self) -> None:
        gone = self._controls.forgetting.resume(at=now_ms())
        if CHROMA in gone.files:
            logger.warning("the Chroma folder went with it: old messages are found by their words until the next start")

    def begin(self) -> "asyncio.Task[None]":
        """On the event loop: the task that finishes what is unfinished, now and later."""
        self._loop = asyncio.get_running_loop()
        return asyncio.create_task(self.finish())

    def _drop(self, words: Iterable[int]) -> None:
        """Out of what is held in memory; what may be remembered of them comes back as it reads now."""
        ids = list(words)
        self._controls.short_term.changed(ids)
        try:
            self._controls.long_term.drop_stale(ids)
        except VectorStoreError as error:
            logger.warning("%s", error)
        self._loop.call_soon_threadsafe(self._controls.keeper.relearn, ids)

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
        try:
            unlearned = self._controls.unlearn()
        except SususError as error:
            logger.warning("the adapter in use should not be, and stays: %s", error)
        else:
            if unlearned is not None:
                # Whose bot it is wants to know; for the member it is enough that it happened.
                logger.warning("%s", unlearned)
                lines.append("The bot has stopped using it.")
        return lines


class _Confirm(Asked):
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


def _before_forgetting(count: int) -> str:
    messages = "1 message of yours loses its words" if count == 1 else f"{count:,} messages of yours lose their words"
    return (
        f"This erases you for good: {messages}, your names go, and nothing new of yours is kept. It cannot be undone.\n"
        "If you only want not to be learned from, remembered or quoted, there is /opt-out. Shall I forget you?"
    )


def _lost(count: int, *, done: bool) -> str:
    if not done:
        return "It is on record and nothing of yours is used any more; the words themselves go within minutes."
    if not count:
        return "There were no words of yours left to erase."
    lost = "1 message lost its words" if count == 1 else f"{count:,} messages lost their words"
    return f"{lost}, in the archive, the search and all that was made of them."


def _holds(now: Permissions) -> str:
    answers = (("learned from", now.learn), ("remembered", now.remember), ("quoted", now.quote))
    return "What holds for you now: " + ", ".join(f"{what} {'yes' if yes else 'no'}" for what, yes in answers) + "."
