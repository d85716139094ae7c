"""A bot with all its slash commands, against a stand-in: what their tests talk to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.bot.answering import Answering
from sususbot.bot.commands import Commands
from sususbot.bot.controls import Controls
from sususbot.bot.keeper import Keeper
from sususbot.bot.limits import Limits
from sususbot.bot.metrics import Metrics
from sususbot.bot.pace import Pace
from sususbot.bot.supervisor import run_bot
from sususbot.forgetting import Forgetting
from sususbot.memory.context import ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.model.backend import Backend, Facts, Request, Sampling
from sususbot.model.inference import Inference
from sususbot.model.scripted import Scripted
from sususbot.responder import Responder
from sususbot.standin import interactions
from sususbot.standin.objects import Channel, Interaction, User
from sususbot.standin.server import StandIn
from tests.bot.running import PATIENCE, sweep
from tests.memory.chat import WordEmbedder
from tests.standin.patch import pointed_at

PACE = Pace(guilds=0.05, patience=PATIENCE, first_pause=0.05, watch=0.05, identify_pause=0.05)


def ok(request: Request) -> str:
    """Another answer to each question."""
    return f"ok: {request.turns[-1].text}"


@dataclass
class Commanded:
    """A bot that is logged in, and the server it is on."""

    server: StandIn
    channel: Channel
    archive: Archive
    controls: Controls

    async def use(self, user: User, name: str, *, let: bool = False, **options: object) -> Interaction:
        """A command, and its answer. Every answer is for the asker alone and pings nobody."""
        used = await self.server.answer(self.server.command(self.channel, user, name, options, let=let))
        assert used.ephemeral
        assert self.server.world.interactions
        for message in used.answers:
            assert message.allowed_mentions is not None
            assert message.allowed_mentions["parse"] == []
            assert (message.pinged_users, message.pinged_roles, message.pinged_everyone) == ((), (), False)
        return used

    async def said(self, user: User, name: str, *, let: bool = False, **options: object) -> str:
        """The text of its answer."""
        return (await self.use(user, name, let=let, **options)).text

    async def ask(self, user: User, text: str) -> str:
        """A mention, and the reply to it."""
        before = len(self.server.sent(self.channel))
        self.server.say(self.channel, user, f"{self.server.world.bot.mention} {text}")
        await self.server.wait_for(lambda: len(self.server.sent(self.channel)) > before)
        return self.server.sent(self.channel)[-1].content


@asynccontextmanager
async def commanded(
    server: StandIn,
    channel: Channel,
    folder: Path,
    backends: Sequence[Backend] | None = None,
    *,
    owners: Collection[int] = (),
    contact: str | None = None,
    reload: Callable[[], str] = lambda: "nothing changed",
    unlearn: Callable[[], str | None] = lambda: None,
    embedder: Embedder | None = None,
    limits: Limits | None = None,
    engine: Callable[[], Facts] = dict,
) -> AsyncIterator[Commanded]:
    """Runs a bot on `channel` with an archive in `folder`."""
    backends = backends or [Scripted(ok)]
    embedder = embedder or WordEmbedder()
    with Archive(folder) as archive:
        long_term = LongTerm(archive, embedder, ExactIndex(embedder.dimensions))
        short_term = ShortTerm(archive, window=20)
        inference = Inference(backends, canned=["hm."], queue_size=8, deadline_seconds=60.0)
        responder = Responder(
            archive=archive,
            short_term=short_term,
            long_term=long_term,
            context=ContextBuilder(
                persona="A chat.", own_name="sususbot", tokens=1900, count_tokens=backends[0].count_tokens
            ),
            inference=inference,
            sampling=Sampling(),
            own_name="sususbot",
            memories=5,
        )
        keeper = Keeper(archive, long_term, short_term=short_term, pace=PACE)
        metrics = Metrics()
        metrics.watch_engine(engine)
        answering = Answering(responder, settle=keeper.settle, metrics=metrics, limits=limits, burst=0.0)
        controls = Controls(
            archive=archive,
            short_term=short_term,
            long_term=long_term,
            forgetting=Forgetting(archive, folder),
            keeper=keeper,
            answering=answering,
            metrics=metrics,
            data=folder,
            channel_id=channel.id,
            own_name="sususbot",
            reload=reload,
            unlearn=unlearn,
            owners=owners,
            contact=contact,
        )
        commands = Commands(controls, again=0.1)
        sweep()
        with pointed_at(server), pytest.MonkeyPatch.context() as patch:
            # By the real clock: a busy machine may need longer than Discord allows.
            patch.setattr(interactions, "ANSWER_SECONDS", PATIENCE)
            task = asyncio.create_task(
                run_bot(
                    server.world.token,
                    channel.id,
                    folder=folder,
                    keeper=keeper,
                    answering=answering,
                    short_term=short_term,
                    metrics=metrics,
                    pace=PACE,
                    extend=commands.extend,
                    frozen=False,
                )
            )
            try:
                # Until there are commands, and the channel is listened to.
                await server.wait_for(lambda: server.connected and server.world.commands.get(server.world.guild_id))
                yield Commanded(server, channel, archive, controls)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await commands.close()
                short_term.close()
                inference.close()
                long_term.close()
