"""The bot that is soaked: the real one, in a process of its own that may be killed at any moment.

    python -m sususbot.benchmarks.soak_bot ORDERS.json

Only its model is a script, moody on purpose, and it writes down how late its event loop is.
"""

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sususbot.archive.archive import Archive
from sususbot.bot import loop_lag
from sususbot.bot.address import discord_at
from sususbot.bot.answering import Answering
from sususbot.bot.keeper import Keeper
from sususbot.bot.limits import Limits
from sususbot.bot.logs import logged
from sususbot.bot.metrics import Metrics
from sususbot.bot.pace import Pace
from sususbot.bot.sending import Patience, Sender
from sususbot.bot.supervisor import run_bot
from sususbot.errors import BackendFailed
from sususbot.memory.context import ContextBuilder
from sususbot.memory.long_term import LongTerm
from sususbot.memory.short_term import ShortTerm
from sususbot.model.backend import Backend, Request, Sampling
from sususbot.model.inference import Inference
from sususbot.model.scripted import Scripted
from sususbot.responder import Responder
from sususbot.safety.filter import OutputFilter

# Between two looks at the clock of the event loop, and how many of them are written down at once.
_LOOK_SECONDS: Final = 0.02
_LOOKS: Final = 50
# Of a reply. Long ones are a mood of the script.
_SCRIPT_WORDS: Final = 1000
_ENGINE_WORDS: Final = 16
# A tiny vocabulary cuts words into bytes.
_ENGINE_TOKENS: Final = 16_384
# Of what the bot waits for (s).
_LONGEST_PAUSE: Final = 2.0
_WORDS: Final = "tea kettle garden printer who broke it again nobody knows the release is late as ever maybe".split()
FORBIDDEN: Final = "unspeakable"
"""What the model says now and then, and must never be sent."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Everything the process has to know. Times in seconds, pressed together like all else."""

    http_url: str
    gateway_url: str
    token: str
    channel_id: int
    folder: str
    life: int
    seed: int
    mood: float
    """Share of the requests to the model that go wrong in each of the ways there are."""
    deadline: float
    queue_size: int
    pressed: float
    """What a second of the real bot takes here."""
    member_rate: int
    """Answers a minute that a member may have."""
    identifies: int
    """The budget for the whole soak."""
    engine: str
    """A GGUF file that answers before the script does; empty: none."""

    @property
    def data(self) -> Path:
        return Path(self.folder) / "data"

    @property
    def lags(self) -> Path:
        """Where the delays of this life's event loop are written: float32, seconds."""
        return Path(self.folder) / f"lags-{self.life}.f4"

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def main(path: Path) -> None:
    orders = Orders(**json.loads(path.read_text(encoding="utf-8")))
    with logged("INFO"):
        _live(orders)


def _live(orders: Orders) -> None:
    model = moody(random.Random(orders.seed), orders)
    backends: list[Backend] = [model]
    if orders.engine:
        from sususbot.model.llamacpp import LlamaCpp

        backends.insert(0, LlamaCpp(Path(orders.engine), context_tokens=_ENGINE_TOKENS, threads=1))
    with Archive(orders.data) as archive:
        long_term = LongTerm(archive, None, None)
        short_term = ShortTerm(archive, window=20)
        inference = Inference(
            backends, canned=["hm.", "no idea"], queue_size=orders.queue_size, deadline_seconds=orders.deadline
        )
        responder = Responder(
            archive=archive,
            short_term=short_term,
            long_term=long_term,
            context=ContextBuilder(persona="A chat.", own_name="sususbot", tokens=700, count_tokens=model.count_tokens),
            inference=inference,
            sampling=Sampling(max_new_tokens=_ENGINE_WORDS if orders.engine else _SCRIPT_WORDS),
            own_name="sususbot",
            memories=5,
            output=OutputFilter(blocked_words=[FORBIDDEN]),
        )
        try:
            with discord_at(orders.http_url, orders.gateway_url):
                asyncio.run(_run(orders, archive, long_term, short_term, responder))
        finally:
            short_term.close()
            inference.close()
            long_term.close()


async def _run(
    orders: Orders, archive: Archive, long_term: LongTerm, short_term: ShortTerm, responder: Responder
) -> None:
    pace, metrics = pressed(orders), Metrics()
    keeper = Keeper(archive, long_term, short_term=short_term, pace=pace)
    answering = Answering(
        responder,
        settle=keeper.settle,
        metrics=metrics,
        limits=Limits(member_rate=orders.member_rate, cooldown=orders.pressed),
        sender=Sender(
            Patience(
                lasting=120 * orders.pressed,
                sign=120 * orders.pressed,
                muted=10 * orders.pressed,
                worded=60 * orders.pressed,
            )
        ),
        burst=1.5 * orders.pressed,
    )
    watch = asyncio.create_task(_watch_loop(orders.lags))
    try:
        await run_bot(
            orders.token,
            orders.channel_id,
            folder=orders.data,
            keeper=keeper,
            answering=answering,
            short_term=short_term,
            metrics=metrics,
            pace=pace,
            grace=orders.deadline + 5,
            signals=True,
        )
    finally:
        watch.cancel()


def pressed(orders: Orders) -> Pace:
    """The pace of a bot that runs for weeks, with all that is in seconds pressed together, what is long the most."""
    usual = Pace()
    times = {one.name: getattr(usual, one.name) for one in fields(usual)}
    seconds = {
        name: min(value * orders.pressed, _LONGEST_PAUSE) for name, value in times.items() if isinstance(value, float)
    }
    kept: dict[str, Any] = {
        "deaf_heartbeats": usual.deaf_heartbeats, "guilds": 0.2, "patience": 0.2, "breath": 0.05, "tidy": 10.0,
        "good_life": 1.0, "linger": 240 * orders.pressed, "answered_late": 600 * orders.pressed,
        "identifies_a_day": orders.identifies, "discords_reserve": 0,
    }  # fmt: skip
    return replace(usual, **{**seconds, **kept})


def moody(chance: random.Random, orders: Orders) -> Scripted:
    """A model that says again the words it is to show it has read, and goes wrong in every way a model does."""

    def fail(_: str) -> str:
        raise BackendFailed("The script is in a mood: ask again.")

    def stuck(words: str) -> str:
        # Nothing but a kill would wake it.
        time.sleep(orders.deadline * chance.uniform(0.5, 1.5))
        return words

    moods = (
        fail,
        stuck,
        lambda _: "",
        lambda _: " \u200b ",
        lambda words: f"{words} {FORBIDDEN} words",
        lambda words: f"@everyone {words} <@1> @here",
        lambda words: f"{words} " + "long winded " * 400,
        lambda words: f"sususbot: {words} ⏎ and another line ⏎ and a third",
        lambda words: f"{words} ```py\nprint(1)",
        lambda _: "the same again and again",
    )

    def line(request: Request) -> str:
        read = [word for word in request.turns[-1].text.split() if word.startswith("zq")]
        words = " ".join([*read, *chance.choices(_WORDS, k=4)])
        roll = chance.random()
        mood = int(roll / orders.mood) if orders.mood else len(moods)
        return moods[mood](words) if mood < len(moods) else words

    return Scripted(line)


async def _watch_loop(path: Path) -> None:
    """Write down how late the event loop wakes, for as long as it runs."""
    late: list[float] = []
    with path.open("ab", buffering=0) as file:

        def observe(seconds: float) -> None:
            late.append(seconds)
            if len(late) == _LOOKS:
                # The disk may be full just now.
                with suppress(OSError):
                    file.write(np.asarray(late, dtype=np.float32).tobytes())
                late.clear()

        await loop_lag.watch(observe, every=_LOOK_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
