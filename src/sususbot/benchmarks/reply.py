"""What does a reply cost besides the model, and what of llama.cpp's own speed is left of it?

Three measurements, the whole bot against the stand-in Discord in the first two:

- Overhead: from the moment a member's message leaves Discord until the reply is back there, less what the model (a
  script that answers at once) and the encoder took; one mention a second, prompts as the defaults make them. Bare
  minimum: the same connection with a responder that thinks nothing.
- A running conversation with llama.cpp behind it: the share of all prompt tokens that were in its cache.
- The prompts of that conversation, put to our backend and to llama.cpp called bare, in turns (`engine`).

The model is made here (`tiny_model`): ten million weights, since what stands between a model and its reply weighs the
more the faster the model is; a 7B takes ten times as long for a token on a large card.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from sususbot.archive.archive import Archive
from sususbot.benchmarks.engine import compare
from sususbot.benchmarks.haystack import copied, haystack, questions
from sususbot.benchmarks.report import Metrics, Result, peak_rss_mb, percentile_ms, startup_s
from sususbot.bot.address import discord_at
from sususbot.bot.answering import Answering
from sususbot.bot.keeper import Keeper
from sususbot.bot.supervisor import run_bot
from sususbot.linking.network import Network
from sususbot.memory import own_links
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.lasting import Lasting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.relevance import by_links
from sususbot.memory.short_term import Folds, ShortTerm
from sususbot.memory.vector_index import make_index
from sususbot.messages import Turn
from sususbot.model.backend import Backend, Chunk, Deadline, Request, Sampling, Usage
from sususbot.model.inference import Generation, Inference
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.scripted import Scripted
from sususbot.responder import Reply, Responder, Trace
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from sususbot.standin.world import World

# Mentions in each of the first two measurements.
MENTIONS: Final = 100
_A_SECOND: Final = 1.0
_A_MOMENT: Final = 0.001
_WARM_UP: Final = 5
# As the settings have it.
_CONTEXT: Final = 4096
_REPLY_TOKENS: Final = 120
_WINDOW, _STRIDE, _MEMORIES = 20, 8, 10
# Of the mentions of a conversation, those in which the window fills up; of the rest at most so many go to both engines.
_FILLING: Final = 0.2
_COMPARED: Final = 60
# A chat line.
_SHORT: Final = 24
_PATIENCE: Final = 120.0
_PERSONA: Final = (
    "This is the chat of Kettle. sususbot is one of its members: quick, dry, and never forgets what was said."
)


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
        self.embedding.append(reply.trace.seconds.get("embed", 0.0))
        self.model.append(reply.trace.seconds.get("model", 0.0))
        return reply


class _Thoughtless(_Recorded):
    """Answers with a constant."""

    async def reply(self, asked: Turn, **_how: Any) -> Reply:
        self.embedding.append(0.0)
        self.model.append(0.0)
        generation = Generation("ok", "bare", Usage())
        return Reply("ok", Trace(asked.text, Context("", (), (), (), ()), generation, {"total": 0.0}, False))


class _Overheard(LlamaCpp):
    """Keeps each prompt, and how much of it was in the cache."""

    def __init__(self, *model: Any, **how: Any) -> None:
        super().__init__(*model, **how)
        self.prompts: list[str] = []
        self.usages: list[Usage] = []

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        # A reply that is asked for once more would find all of its prompt in the cache.
        fresh = request.prompt not in self.prompts[-1:]
        for chunk in super().generate(request, deadline):
            if fresh and chunk.usage is not None:
                self.prompts.append(request.prompt)
                self.usages.append(chunk.usage)
            yield chunk

    def cached_share(self, after: int) -> float:
        usages = self.usages[after:]
        return sum(one.cached for one in usages) / max(1, sum(one.prompt for one in usages))


@dataclass(frozen=True, slots=True)
class _Bot:
    """What a bot is made of that outlives one connection."""

    archive: Archive
    folder: Path
    memory: LongTerm
    network: Network
    backend: Backend
    deadline: float = 10.0
    sampling: Sampling = field(default_factory=Sampling)

    async def talk(self, kind: type[_Recorded], asked: Sequence[str], every: float) -> list[_Taken]:
        """What each mention took; they begin `every` so many seconds, or, if that is later, after the reply before."""
        world = World()
        channel, member = world.add_channel("general"), world.add_user("mia")
        for archived in self.archive.channels():
            # Public, so that all that was said there may be remembered here.
            world.adopt(world.add_channel(archived.name), archived.id)
        inference = Inference([self.backend], canned=["hm."], queue_size=8, deadline_seconds=self.deadline)
        short_term = ShortTerm(self.archive, window=_WINDOW, folds=Folds("sususbot", stride=_STRIDE))
        responder = kind(
            archive=self.archive,
            short_term=short_term,
            long_term=self.memory,
            context=ContextBuilder(
                persona=_PERSONA,
                own_name="sususbot",
                tokens=_CONTEXT - _REPLY_TOKENS,
                count_tokens=self.backend.count_tokens,
                count_ahead=self.backend.count_ahead,
                relevance=by_links(self.network),
                lasting=Lasting(self.archive),
            ),
            inference=inference,
            sampling=self.sampling,
            own_name="sususbot",
            memories=_MEMORIES,
        )
        keeper = Keeper(self.archive, self.memory, short_term=short_term)
        answering = Answering(responder, settle=keeper.settle)
        taken: list[_Taken] = []
        async with StandIn(world, rate=RateLimits.none()) as discord:
            with discord_at(discord.http_url, discord.gateway_url):
                bot = asyncio.create_task(
                    run_bot(
                        world.token,
                        channel.id,
                        folder=self.folder,
                        keeper=keeper,
                        answering=answering,
                        short_term=short_term,
                    )
                )
                await discord.wait_for(lambda: discord.connected == 1)
                for text in asked:
                    sent = len(discord.sent(channel))
                    begun = time.perf_counter()
                    discord.say(channel, member, f"{world.bot.mention} {text}")
                    await discord.wait_for(lambda sent=sent: len(discord.sent(channel)) > sent, _PATIENCE)  # type: ignore[misc]
                    whole = time.perf_counter() - begun
                    embedding = responder.embedding[-1]
                    taken.append(_Taken(embedding, whole - embedding - responder.model[-1]))
                    while answering.waiting:  # noqa: ASYNC110
                        # A reply of several lines is several messages.
                        await asyncio.sleep(_A_MOMENT)
                    await asyncio.sleep(max(0.0, begun + every - time.perf_counter()))
                bot.cancel()
                await asyncio.gather(bot, return_exceptions=True)
        short_term.close()
        inference.close()
        return taken


def bench_reply(
    exports: Sequence[Path],
    embedder: Embedder,
    folder: Path,
    progress: Callable[[int, int], None],
    mentions: int = MENTIONS,
    *,
    scratch: Path | None = None,
    owner: Archive | None = None,
) -> Result:
    """`folder` keeps the model and the exports' archive (see `haystack`), `scratch` a copy of it for the while."""
    haystack(folder, exports, embedder, progress, owner).close()
    # The bot keeps what it hears: it is given a copy, so that the next run finds what this one found.
    with tempfile.TemporaryDirectory(dir=scratch) as copy, Archive(copied(folder, exports, Path(copy))) as archive:
        archive.vectors.use_embedder(embedder.name)
        network, linker = own_links.network_of(folder)
        archive.links.use_linker(linker)
        index = make_index("exact", dimensions=embedder.dimensions, folder="", url=None)
        with closing(LongTerm(archive, embedder, index)) as memory:

            def bot(backend: Backend, **how: Any) -> _Bot:
                return _Bot(archive, Path(copy), memory, network, backend, **how)

            count = archive.counts().messages
            warm_up = min(_WARM_UP, mentions)
            asked = questions(archive, mentions + warm_up)
            bare = asyncio.run(bot(_script()).talk(_Thoughtless, asked, 0.0))[warm_up:]
            taken = asyncio.run(bot(_script()).talk(_Recorded, asked, _A_SECOND))[warm_up:]
            overhead, its = _overhead(taken, bare)
            model = _model(_stretch(archive, mentions), folder, bot)
    return Result(
        "reply",
        {
            "messages": count,
            "mentions": len(taken),
            **overhead,
            **model[0],
            "peak_rss_mb": peak_rss_mb(),
            "startup_s": startup_s(),
        },
        {**its, **model[1]},
        f"mention to reply through the stand-in, less model and embedding, over {count:,} messages; then with a model",
        "the same connection, a responder that thinks nothing; llama.cpp called within the process",
    )


def _script() -> Scripted:
    """Says something else each time: what repeats itself is not sent."""
    lines = [f"{one} and {two} it is" for one in _WORDS for two in _WORDS if one != two]
    return Scripted(lines)


_WORDS: Final = "tea cake rain snow fog sun moon wind mud ice jam bread salt".split()


def _overhead(taken: Sequence[_Taken], bare: Sequence[_Taken]) -> tuple[Metrics, Metrics]:
    seconds, plain = [one.rest for one in taken], [one.rest for one in bare]
    embedded = [one.embedding + one.rest for one in taken]
    p50, p95 = percentile_ms(seconds, 50), percentile_ms(seconds, 95)
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "overhead_p95_ms": p95,
        "with_embedding_p50_ms": percentile_ms(embedded, 50),
        "with_embedding_p95_ms": percentile_ms(embedded, 95),
        "share_of_bare": percentile_ms(plain, 50) / p50,
    }, {"p50_ms": percentile_ms(plain, 50), "p95_ms": percentile_ms(plain, 95)}


def _model(lines: Sequence[str], folder: Path, bot: Callable[..., _Bot]) -> tuple[Metrics, Metrics]:
    """The conversation with llama.cpp, and its prompts once more in turns with bare llama.cpp."""
    from sususbot.benchmarks.tiny_model import tiny_model

    filling = int(len(lines) * _FILLING)
    model, adapter = tiny_model(folder, lines)
    threads = max(1, (os.cpu_count() or 2) // 2)
    sampling = Sampling(max_new_tokens=_SHORT, seed=1)
    with closing(_Overheard(model, adapter_path=adapter, context_tokens=_CONTEXT, threads=threads)) as engine:
        asyncio.run(bot(engine, deadline=_PATIENCE, sampling=sampling).talk(_Recorded, lines, 0.0))
        prompts, share, usages = engine.prompts, engine.cached_share(filling), engine.usages[filling:]
    both = compare(model, adapter, prompts[-_COMPARED:], _CONTEXT, threads)
    ours: Metrics = {
        "cached_prompt_share": share,
        "prompt_tokens": sum(one.prompt for one in usages) / max(1, len(usages)),
        "decode_share_of_bare": both.decode_share,
        "ttft_ratio_to_bare": both.first_ratio,
        "same_replies": both.same,
        "ttft_p50_ms": percentile_ms(both.ours.first, 50),
        "token_ms": percentile_ms(both.ours.each, 50),
    }
    return ours, {"ttft_p50_ms": percentile_ms(both.bare.first, 50), "token_ms": percentile_ms(both.bare.each, 50)}


def _stretch(archive: Archive, count: int) -> list[str]:
    """Real talk, one line after the other, from the middle of the busiest channel."""
    channels = [archive.window(channel.id, limit=1_000_000) for channel in archive.channels()]
    said = [one.rendered.strip() for one in max(channels, key=len) if one.rendered.strip()]
    begin = max(0, (len(said) - count) // 2)
    return said[begin : begin + count]
