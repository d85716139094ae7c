"""How much time does a reply cost besides the model and the embedding of the question?

The whole bot runs against the stand-in Discord: from the moment a member's message leaves Discord until the reply is
back there, less what the model (a script that answers at once) and the encoder took. Mentions come one at a time, each
half a second after the reply to the one before.
Bare minimum: the same connection with a responder that thinks nothing: no memory, no context, no queue.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sususbot.archive.archive import Archive
from sususbot.benchmarks.haystack import copied, haystack, questions
from sususbot.benchmarks.report import Result, peak_rss_mb, percentile_ms, startup_s
from sususbot.bot.address import discord_at
from sususbot.bot.answering import Answering
from sususbot.bot.keeper import Keeper
from sususbot.bot.supervisor import run_bot
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.vector_index import make_index
from sususbot.messages import Turn
from sususbot.model.backend import Sampling, Usage
from sususbot.model.inference import Generation, Inference
from sususbot.model.scripted import Scripted
from sususbot.responder import Reply, Responder, Trace
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World

_QUESTIONS: Final = 100
_PAUSE_SECONDS: Final = 0.5
_WARM_UP: Final = 5


class _Taken(NamedTuple):
    """Seconds from a mention to its reply: the encoder's, and all that is neither the encoder's nor the model's."""

    embedding: float
    rest: float


class _Recorded(Responder):
    """Keeps what embedding and model took of each reply."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.embedding: list[float] = []
        self.model: list[float] = []

    async def reply(self, asked: Turn, **how: Any) -> Reply:
        reply = await super().reply(asked, **how)
        self.embedding.append(reply.trace.seconds["embed"])
        self.model.append(reply.trace.seconds["model"])
        return reply


class _Thoughtless(_Recorded):
    """Answers with a constant."""

    async def reply(self, asked: Turn, **_how: Any) -> Reply:
        self.embedding.append(0.0)
        self.model.append(0.0)
        generation = Generation("ok", "bare", Usage())
        return Reply("ok", Trace(asked.text, Context("", (), (), (), ()), generation, {"total": 0.0}, False))


def bench_reply(
    exports: Sequence[Path], embedder: Embedder, folder: Path, progress: Callable[[int, int], None]
) -> Result:
    haystack(folder, exports, embedder, progress).close()
    # The bot keeps what it hears: it is given a copy, so that the next run finds what this one found.
    with tempfile.TemporaryDirectory() as copy, Archive(copied(folder, exports, Path(copy))) as archive:
        asked = questions(archive, _QUESTIONS + _WARM_UP)
        index = make_index("exact", dimensions=embedder.dimensions, folder="", url=None)
        memory = LongTerm(archive, embedder, index)
        taken = asyncio.run(_talk(archive, memory, _Recorded, asked, _PAUSE_SECONDS))[_WARM_UP:]
        bare = [one.rest for one in asyncio.run(_talk(archive, memory, _Thoughtless, asked, 0.0))[_WARM_UP:]]
        memory.close()
        count = archive.counts().messages
    seconds = [one.rest for one in taken]
    embedded = [one.embedding + one.rest for one in taken]
    return Result(
        "reply",
        {
            "messages": count,
            "mentions": len(seconds),
            "p50_ms": percentile_ms(seconds, 50),
            "p95_ms": percentile_ms(seconds, 95),
            "with_embedding_p50_ms": percentile_ms(embedded, 50),
            "with_embedding_p95_ms": percentile_ms(embedded, 95),
            "share_of_bare": percentile_ms(bare, 50) / percentile_ms(seconds, 50),
            "peak_rss_mb": peak_rss_mb(),
            "startup_s": startup_s(),
        },
        {"p50_ms": percentile_ms(bare, 50), "p95_ms": percentile_ms(bare, 95)},
        f"mention to reply through the stand-in, less model and embedding, over {count:,} messages",
        "the same connection, a responder that thinks nothing",
    )


async def _talk(
    archive: Archive, memory: LongTerm, kind: type[_Recorded], asked: Sequence[str], pause: float
) -> list[_Taken]:
    """What each mention took."""
    world = World()
    channel, member = world.add_channel("general"), world.add_user("mia")
    for archived in archive.channels():
        # Public, so that all that was said there may be remembered here.
        world.adopt(world.add_channel(archived.name), archived.id)
    inference = Inference([Scripted(["ok"])], canned=["hm."], queue_size=8, deadline_seconds=10)
    short_term = ShortTerm(archive, window=20)
    responder = kind(
        archive=archive,
        short_term=short_term,
        long_term=memory,
        context=ContextBuilder(
            persona="A chat.", own_name="sususbot", tokens=1900, count_tokens=Scripted(["ok"]).count_tokens
        ),
        inference=inference,
        sampling=Sampling(),
        own_name="sususbot",
        memories=10,
    )
    taken: list[_Taken] = []
    async with StandIn(world, rate=RateLimits.none()) as discord:
        keeper = Keeper(archive, memory, short_term=short_term)
        answering = Answering(responder, settle=keeper.settle)
        with discord_at(discord.http_url, discord.gateway_url), tempfile.TemporaryDirectory() as folder:
            bot = asyncio.create_task(
                run_bot(
                    world.token,
                    channel.id,
                    folder=Path(folder),
                    keeper=keeper,
                    answering=answering,
                    short_term=short_term,
                )
            )
            await discord.wait_for(lambda: discord.connected == 1)
            for number, text in enumerate(asked):
                begun = time.perf_counter()
                discord.say(channel, member, f"{world.bot.mention} {text}")
                await discord.wait_for(lambda number=number: len(discord.sent(channel)) > number)  # type: ignore[misc]
                whole = time.perf_counter() - begun
                embedding = responder.embedding[number]
                taken.append(_Taken(embedding, whole - embedding - responder.model[number]))
                await asyncio.sleep(pause)
            bot.cancel()
            await asyncio.gather(bot, return_exceptions=True)
    inference.close()
    return taken
