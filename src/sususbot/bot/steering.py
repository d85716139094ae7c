"""What the owner steers from the channel: settings and adapter anew, a fresh start, a pause, figures, the training.

A pause is on record: it lasts through restarts, until its time is over or somebody resumes.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Final

from sususbot.archive.archive import now_ms
from sususbot.bot.controls import Controls, Interaction
from sususbot.training.latest import latest

logger = logging.getLogger(__name__)

_PAUSED: Final = "paused"
_FOR_EVER: Final = "for ever"
MOST_MINUTES: Final = 7 * 24 * 60


class Steering:
    """Of one running bot, through all its connections."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._timer: asyncio.TimerHandle | None = None

    async def restore(self) -> None:
        """Be paused if an earlier connection or program was."""
        noted = await self._controls.work(lambda: self._controls.archive.facts.get(_PAUSED))
        if noted is None:
            self._set_paused(None)
        elif noted == _FOR_EVER:
            self._set_paused(float("inf"))
        else:
            self._set_paused(max(0.0, (int(noted) - now_ms()) / 1000))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def reload(self, interaction: Interaction) -> None:
        await self._controls.answer(interaction, self._controls.reload, steering=True)

    async def clear_memory(self, interaction: Interaction) -> None:
        channel_id = interaction.channel_id
        assert channel_id is not None

        def work() -> str:
            self._controls.short_term.forget(channel_id, up_to=interaction.id)
            return (
                "The talk of this channel begins anew here: what was said before is in neither window nor summary any "
                "more. It is still in the archive, and can be found when somebody asks about it."
            )

        await self._controls.answer(interaction, work, steering=True)

    async def stats(self, interaction: Interaction) -> None:
        await self._controls.answer(interaction, lambda: "\n".join(self._stats()), steering=True)

    async def train_status(self, interaction: Interaction) -> None:
        def work() -> str:
            found = latest(self._controls.data)
            return "There was no training yet." if found is None else found.sentence()

        await self._controls.answer(interaction, work, steering=True)

    async def pause(self, interaction: Interaction, minutes: int | None) -> None:
        until = _FOR_EVER if minutes is None else str(now_ms() + minutes * 60_000)
        # At once, even where it cannot be put on record.
        self._set_paused(float("inf") if minutes is None else minutes * 60.0)
        long = "until /resume" if minutes is None else f"for {minutes} minute{'s' * (minutes > 1)}"

        def work() -> str:
            self._controls.archive.facts.put(_PAUSED, until)
            return f"Paused {long}: who mentions me gets a sign instead of an answer. What is said is still kept."

        await self._controls.answer(interaction, work, steering=True)

    async def resume(self, interaction: Interaction) -> None:
        was_paused = self._controls.answering.paused
        self._set_paused(None)

        def work() -> str:
            self._controls.archive.facts.put(_PAUSED, None)
            return "I answer again." if was_paused else "I was not paused."

        await self._controls.answer(interaction, work, steering=True)

    def _set_paused(self, seconds: float | None) -> None:
        """For so long, without end if infinite; None or 0 ends it."""
        self.close()
        self._controls.answering.paused = bool(seconds)
        if seconds and seconds != float("inf"):
            self._timer = asyncio.get_running_loop().call_later(seconds, self._set_paused, None)

    def _stats(self) -> Iterator[str]:
        controls = self._controls
        day, counts = controls.metrics.day(), controls.archive.counts()
        yield f"replies in the last 24 hours: {day.replies:,}"
        if day.p50 is not None and day.p95 is not None:
            yield f"seconds to a reply: {day.p50:.2f} in the middle, {day.p95:.2f} at p95"
        yield f"by backend: {_tally(day.by_backend)}"
        yield f"fallbacks: {_tally(day.fallbacks)}"
        yield f"signs instead of replies: {_tally(day.signs)}"
        yield f"not sent by the filter: {_tally(day.filtered)}"
        waits = controls.archive.vectors.count_pending()
        yield (
            f"archive: {counts.messages - counts.deleted:,} messages, {counts.deleted:,} tombstones, "
            f"{counts.authors:,} authors, {counts.channels:,} channels, {counts.vectors:,} vectors, "
            f"{waits:,} wait for one"
        )
        for what, facts in (("engine", controls.metrics.engine), ("connection", controls.metrics.connection)):
            if facts:
                yield f"{what}: " + ", ".join(f"{name} {value}" for name, value in facts.items())


def _tally(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counted.items()) or "none"
