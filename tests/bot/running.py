"""A whole bot, started against a stand-in, and stopped again: what its tests and benchmarks talk to."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.archive.archive import Archive
from sususbot.bot.answering import Answering
from sususbot.bot.client import Client
from sususbot.bot.keeper import Keeper
from sususbot.bot.metrics import Metrics
from sususbot.bot.pace import Pace
from sususbot.bot.sending import Patience, Sender
from sususbot.bot.supervisor import run_bot
from sususbot.memory.context import ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import Folds, ShortTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.model.backend import Backend, Sampling
from sususbot.model.estimate import SafeCount
from sususbot.model.inference import Inference
from sususbot.model.scripted import Scripted
from sususbot.responder import Filter, Responder
from sususbot.standin.objects import Channel, Message
from sususbot.standin.server import StandIn
from tests.standin.patch import pointed_at

# How long anything is waited for that comes at once when all is well: a busy machine may take its time.
PATIENCE: Final = 60.0

# A day in minutes: every wait short, every rule the same. What gives up on a bot that is merely slow stays long.
PRESSED = Pace(
    first_pause=0.02,
    longest_pause=0.1,
    banned_pause=0.3,
    identify_pause=0.0,
    watch=0.05,
    readying=PATIENCE,
    guilds=0.05,
    guildless=30.0,
    farewell=0.2,
    linger=5.0,
    shown=0.0,
    breath=0.01,
    page_pause=0.02,
    longest_page_pause=0.1,
    patience=PATIENCE,
    mend=0.05,
)


def echo() -> Scripted:
    """Says again what it was asked, so that no two answers are alike."""
    return Scripted(lambda request: f"you said {request.turns[-1].text}")


def replies(discord: StandIn, message: Message) -> list[Message]:
    """What the bot answered to a message."""
    channel = discord.world.channels[message.channel_id]
    return [one for one in discord.sent(channel) if one.reference and one.reference.message_id == message.id]


async def answered(discord: StandIn, message: Message, timeout: float = PATIENCE) -> Message:  # noqa: ASYNC109
    """The one answer to a message."""
    (reply,) = await discord.wait_for(lambda: replies(discord, message), timeout)
    return reply


async def until(so: Callable[[], object], timeout: float = PATIENCE) -> None:  # noqa: ASYNC109
    """Wait for what only the bot knows; for what the stand-in sees, wait for that."""
    async with asyncio.timeout(timeout):
        while not so():  # noqa: ASYNC110  (the bot's own state has nobody to tell)
            await asyncio.sleep(0.005)


def sweep() -> None:
    """Collects what the tests before left behind, as a bot does when it starts.

    What outlives that is not looked through again: it takes longer than most of these tests.
    """
    gc.collect()
    gc.freeze()


@dataclass
class Running:
    """A bot that is logged in."""

    archive: Archive
    responder: Responder
    short_term: ShortTerm
    long_term: LongTerm
    task: asyncio.Task[None]
    keeper: Keeper
    answering: Answering
    metrics: Metrics


@asynccontextmanager
async def bot(
    discord: StandIn,
    channel: Channel | int,
    folder: Path,
    backends: Sequence[Backend],
    *,
    queue_size: int = 16,
    deadline: float = PATIENCE,
    embedder: Embedder | None = None,
    folds: Folds | None = None,
    pace: Pace = Pace(patience=PATIENCE),  # noqa: B008  (frozen)
    burst: float = 0.1,
    lasting: float = 120.0,
    signals: bool = False,
    output: Filter | None = None,
    extend: Callable[[Client], Awaitable[None]] | None = None,
) -> AsyncIterator[Running]:
    """Runs `run_bot` on `channel` with these backends, words-only memory and an archive in `folder`."""
    channel_id = channel if isinstance(channel, int) else int(channel.id)
    with Archive(folder) as archive:
        long_term = LongTerm(archive, embedder, ExactIndex(embedder.dimensions) if embedder else None)
        short_term = ShortTerm(archive, window=20, folds=folds)
        inference = Inference(backends, canned=["hm."], queue_size=queue_size, deadline_seconds=deadline)
        responder = Responder(
            archive=archive,
            short_term=short_term,
            long_term=long_term,
            context=ContextBuilder(
                persona="A chat.", own_name="sususbot", tokens=1900, count_tokens=SafeCount(backends[0]).count_tokens
            ),
            inference=inference,
            sampling=Sampling(),
            own_name="sususbot",
            memories=5,
            output=output,
        )
        keeper, metrics = Keeper(archive, long_term, short_term=short_term, pace=pace), Metrics()
        sender = Sender(Patience(lasting))
        answering = Answering(responder, settle=keeper.settle, metrics=metrics, sender=sender, burst=burst)
        sweep()
        with pointed_at(discord):
            task = asyncio.create_task(
                run_bot(
                    discord.world.token,
                    channel_id,
                    folder=folder,
                    keeper=keeper,
                    answering=answering,
                    short_term=short_term,
                    metrics=metrics,
                    pace=pace,
                    extend=extend,
                    signals=signals,
                    frozen=False,
                )
            )
            try:
                yield Running(archive, responder, short_term, long_term, task, keeper, answering, metrics)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                short_term.close()
                inference.close()
