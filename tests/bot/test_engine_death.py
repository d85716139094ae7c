"""The engine is killed while it answers a member: the member gets a reply in time, and the next one the engine's."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from sususbot.model.backend import Chunk, Deadline, Request
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.scripted import Scripted
from sususbot.standin.server import StandIn
from tests.bot.running import bot, until
from tests.bot.test_bot import answers, listening
from tests.standin.conftest import Place
from tests.support import tiny_gguf

DEADLINE = 30.0


class Heard(LlamaCpp):
    """Tells when its first token came: killed before that, it would be asked again, not be dead halfway."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.speaks = threading.Event()
        super().__init__(*arguments, **options)

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        for chunk in super().generate(request, deadline):
            self.speaks.set()
            yield chunk


async def test_a_member_is_answered_though_the_engine_dies(server: StandIn, place: Place, tmp_path: Path) -> None:
    model = tiny_gguf.write_model(tmp_path / "tiny.gguf")
    me = server.world.bot.mention
    engine = Heard(model, context_tokens=tiny_gguf.CONTEXT, threads=1)
    with closing(engine):
        async with bot(
            server, place.general, tmp_path / "data", [engine, Scripted(["hm, not now"])], deadline=DEADLINE
        ) as one:
            one.metrics.watch_engine(engine.facts)
            one.responder._sampling = one.responder._sampling.__class__(temperature=0.0, max_new_tokens=50_000)
            await listening(server)
            begun = time.monotonic()
            server.say(place.general, place.ada, f"{me} hello?")
            await server.wait_for(lambda: server.world.typing[place.general.id])
            await until(engine.speaks.is_set)
            pid = engine.facts()["pid"]
            assert isinstance(pid, int)
            psutil.Process(pid).kill()
            (reply,) = await answers(server, place.general, 1, timeout=DEADLINE)
            assert time.monotonic() - begun < DEADLINE
            assert reply.content == "hm, not now"
            one.responder._sampling = one.responder._sampling.__class__(temperature=0.0, max_new_tokens=12)
            asked = server.say(place.general, place.ada, f"{me} and now?")
            await answers(server, place.general, 2, timeout=DEADLINE)
            await until(lambda: one.answering.answered(asked.id) is not None)
            answered = one.answering.answered(asked.id)
            assert answered is not None
            assert answered.reply.trace.generation.backend == "llamacpp"
            assert engine.facts()["pid"] != pid
            assert list(one.metrics.day().by_backend.values()) == [1, 1]
