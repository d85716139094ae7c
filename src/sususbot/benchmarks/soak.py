"""Does the bot hold for weeks? Mentions by the ten thousand, every fault there is, the process killed again and again.

The bot runs in a process of its own on an archive on disk, against the stand-in Discord, which runs here, keeps the
accounts and makes the trouble. Time is pressed together: the next mentions come as soon as there is room among those
that wait, and all the bot's pauses are short. Kills fall into the first half; the last life is long, so that its memory
can be looked at.
Bare minimum: none; a mention that is answered twice or lost is a fault.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from sususbot.archive.archive import FILE_NAME
from sususbot.archive.database import Database
from sususbot.benchmarks.report import Result
from sususbot.benchmarks.soak_account import Account, tag
from sususbot.benchmarks.soak_bot import FORBIDDEN, Orders
from sususbot.benchmarks.soak_faults import Climate, Disasters, Place, engines, is_engine
from sususbot.benchmarks.soak_plan import Outcome, Plan, as_result, quick
from sususbot.standin.ledger import Ledger
from sususbot.standin.objects import Message, User
from sususbot.standin.ratelimit import Headers, RateLimits, Window
from sususbot.standin.server import StandIn
from sususbot.standin.world import Change, World

_WORDS: Final = "tea kettle garden printer who broke it again nobody knows the release is late as ever maybe".split()

# For which an answer holds up those who would ask next (s).
_PATIENCE: Final = 15.0
# A bot that ends by itself so soon (s), so many times in a row, is not soaked any longer.
_SHORT_LIFE: Final = 5.0
_SHORT_LIVES: Final = 3


def bench_soak(
    mentions: int = 100_000,
    restarts: int = 20,
    seed: int = 0,
    *,
    engine: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Result:
    """Some 40 minutes for all of it. With `engine`, a GGUF file, a third of the lives before the last answer by it."""
    plan = Plan(mentions, restarts, seed) if mentions > 10_000 else quick(mentions, restarts, seed)
    plan = replace(plan, engine=engine)
    with tempfile.TemporaryDirectory() as folder:
        return as_result(plan, asyncio.run(soak(plan, Path(folder), say=say, progress=progress)))


async def soak(
    plan: Plan,
    folder: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Outcome:
    """One whole soak; logs of the bot and its archive are left in `folder`."""
    world = World(keep_messages=5000)
    # Wide enough for time that is pressed together; some windows lie, as Discord's do.
    rate = replace(
        RateLimits.none(),
        post=Window(40, 0.5, Headers.LYING),
        reaction=Window(20, 0.2),
        typing=Window(5, 1.0, Headers.LYING),
        history=Window(20, 0.5, Headers.ABSENT),
        overall=Window(500, 1.0),
    )
    async with StandIn(world, rate=rate, ledger=Ledger(keep=1000), heartbeat_interval=1.0) as discord:
        return await _Soak(plan, folder, discord, say, progress).run()


class _Soak:
    """One run."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        discord: StandIn,
        say: Callable[[str], None],
        progress: Callable[[int, int], None],
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._discord = discord
        self._world = discord.world
        self._say = say
        self._progress = progress
        self._chance = random.Random(plan.seed)
        self._channel = self._world.add_channel("general")
        self._people = [self._world.add_user(f"member{number}") for number in range(plan.members)]
        self._robot = self._world.add_user("dice", bot=True)
        self._told = Counter[int]()
        self._account = Account()
        self._outcome = Outcome(self._account)
        self._room = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._killed: asyncio.subprocess.Process | None = None
        self._left_behind: list[int] = []
        self._kills = sorted(
            self._chance.sample(range(plan.mentions // (4 * plan.restarts + 4), plan.mentions // 2), plan.restarts),
            reverse=True,
        )
        self._over = False
        self._last_reply: Message | None = None
        self._climate = Climate(plan.share, seed=plan.seed)
        self._disasters = Disasters(
            Place(discord, folder / "data" / FILE_NAME, lambda: self._process.pid if self._process else None),
            seed=plan.seed,
            pressed=plan.pressed,
        )

    async def run(self) -> Outcome:
        unsubscribe = self._world.subscribe(self._happened)
        begun = time.monotonic()
        living = asyncio.create_task(self._live())
        try:
            await self._while_it_lives(living)
        finally:
            self._over = True
            unsubscribe()
            self._outcome.stopped_s = await self._stop()
            await living
        self._outcome.seconds = time.monotonic() - begun
        return self._summed_up()

    async def _while_it_lives(self, living: asyncio.Task[None]) -> None:
        talk = asyncio.create_task(self._talk())
        await asyncio.wait({talk, living}, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
            return
        await talk

    async def _talk(self) -> None:
        await self._discord.wait_for(lambda: self._discord.connected, 60.0)
        self._discord.faults.weather = self._climate
        await self._ask_all()
        self._discord.faults.clear()
        await self._settle()

    # -- the bot's lives

    async def _live(self) -> None:
        """Start it again whenever it is gone. Raises RuntimeError when it does not stay."""
        short = 0
        while not self._over:
            begun = time.monotonic()
            life = self._outcome.lives
            self._outcome.lives += 1
            orders = Orders(
                http_url=self._discord.http_url, gateway_url=self._discord.gateway_url, token=self._world.token,
                channel_id=self._channel.id, folder=str(self._folder), life=life,
                seed=self._chance.getrandbits(32), mood=self._plan.mood, deadline=self._plan.deadline,
                queue_size=self._plan.queue_size, pressed=self._plan.pressed,
                member_rate=self._plan.member_rate, identifies=self._plan.identifies, engine=self._engine(life),
            )  # fmt: skip
            path = self._folder / f"orders-{life}.json"
            orders.write(path)
            with (self._folder / f"bot-{life}.log").open("wb") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "sususbot.benchmarks.soak_bot", str(path),
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
                code = await self._process.wait()
            if self._process is not self._killed and not self._over:
                self._outcome.ended.append(f"life {life} ended with {code}")
                self._say(self._outcome.ended[-1])
                short = short + 1 if time.monotonic() - begun < _SHORT_LIFE else 0
                if short == _SHORT_LIVES:
                    written = (self._folder / f"bot-{life}.log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"the bot does not stay alive; its log ends with:\n{written[-3000:]}")

    def _engine(self, life: int) -> str:
        """Some lives have one; the long last one has none, for its script is what tells who was answered."""
        return str(self._plan.engine) if self._plan.engine is not None and life % 3 == 0 and self._kills else ""

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._left_behind += engines(self._process.pid)
            self._killed = self._process
            self._process.kill()
            self._outcome.killed += 1

    async def _stop(self) -> float:
        """Seconds that it took to stop as it is asked to."""
        begun = time.monotonic()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(30.0):
                    await self._process.wait()
            except TimeoutError:
                self._outcome.ended.append("it did not stop when it was asked to")
                self._process.kill()
        return time.monotonic() - begun

    # -- what people do

    async def _ask_all(self) -> None:
        plan = self._plan
        trouble = asyncio.create_task(self._trouble())
        try:
            while self._account.asked < plan.mentions:
                await self._wait_for_room()
                if self._kills and self._account.asked >= self._kills[-1]:
                    self._kills.pop()
                    self._kill()
                if self._account.asked % plan.burst_every == plan.burst_every - 1:
                    for member in self._chance.sample(self._people, min(plan.burst, len(self._people))):
                        self._ask(member, self._text())
                else:
                    self._somebody_speaks()
                self._look()
                # Frames go out between two mentions.
                await asyncio.sleep(0)
        finally:
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)

    async def _trouble(self) -> None:
        """Disasters, one after another, paced by the mentions."""
        due = self._plan.disaster_every
        while True:
            await self._discord.wait_for(lambda: self._account.asked >= due, 3600.0)  # noqa: B023
            try:
                await self._disasters.strike()
            except Exception as error:  # noqa: BLE001
                self._say(f"the soak itself: {error!r}")
            due = self._account.asked + self._plan.disaster_every

    async def _wait_for_room(self) -> None:
        """Few wait at once while the bot is there; while it is not, some more ask, and then few."""
        give_up = time.monotonic() + _PATIENCE
        while self._recent() >= (self._plan.open if self._discord.connected else 4 * self._plan.open):
            self._room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.25):
                    await self._room.wait()
            if time.monotonic() > give_up:
                return

    def _recent(self) -> int:
        """Mentions that wait, without those that waited for so long that nothing may come any more."""
        oldest = time.monotonic() - _PATIENCE
        return sum(mention.asked > oldest for mention in self._account.waiting)

    def _somebody_speaks(self) -> None:
        member = self._chance.choice(self._people)
        me = self._world.bot.mention
        roll = self._chance.random()
        if roll < 0.15:
            self._discord.say(self._channel, member, self._text())
        elif roll < 0.16:
            self._discord.say(self._channel, self._robot, f"{me} {self._text()}")
        elif roll < 0.17:
            self._discord.say(self._channel, member, f"{me} {self._text()}", webhook_id=7)
        elif roll < 0.18 and self._last_reply is not None:
            # With the ping off it is no word to the bot.
            self._discord.say(self._channel, member, self._text(), reply_to=self._last_reply, ping=False)
        elif roll < 0.20:
            self._ask(member, "")
        elif roll < 0.22:
            self._ask(member, self._text() + " and so on" * 150)
        elif roll < 0.25 and self._last_reply is not None:
            self._ask(member, self._text(), reply_to=self._last_reply)
        elif roll < 0.28:
            one = self._ask(member, self._text())
            self._soon(lambda: self._discord.edit(one, f"{one.content} (edited)"), one)
        elif roll < 0.31:
            one = self._ask(member, self._text())
            self._soon(lambda: self._discord.delete(one), one)
        elif roll < 0.315:
            asked = [self._ask(member, self._text()) for _ in range(2)]
            self._soon(lambda: self._discord.delete_bulk(asked), *asked)
        elif roll < 0.35:
            for _ in range(self._chance.randint(2, 3)):
                self._ask(member, self._text())
        elif roll < 0.38:
            self._ask(member, self._text())
            self._discord.say(self._channel, member, self._text())
        else:
            self._ask(member, self._text())

    def _text(self) -> str:
        return " ".join(self._chance.choices(_WORDS, k=self._chance.randint(1, 8)))

    def _ask(self, member: User, text: str, *, reply_to: Message | None = None) -> Message:
        # An empty mention has no word to be known by.
        word = tag(self._told[member.id]) if text else ""
        self._told[member.id] += 1
        me = "" if reply_to is not None else f"{self._world.bot.mention} "
        # Its id is known once it is said, and what is said is told at once: subscribers come first.
        message = self._discord.say(self._channel, member, f"{me}{text} {word}".rstrip(), reply_to=reply_to)
        self._account.ask(message.id, member.id, word, at=time.monotonic())
        return message

    def _soon(self, work: Callable[[], None], *messages: Message) -> None:
        """Within moments, if the messages still stand then."""

        def attempt() -> None:
            if all(self._channel.history.get(message.id) is not None for message in messages):
                work()

        asyncio.get_running_loop().call_later(self._chance.uniform(0.0, 0.3), attempt)

    # -- what came of it

    def _happened(self, change: Change) -> None:
        at = time.monotonic()
        message, me = change.message, self._world.bot.id
        if change.name == "MESSAGE_CREATE" and message is not None and message.author.id == me:
            target = message.reference.message_id if message.reference else None
            self._account.say(target, message.content, message.nonce, at=at)
            self._outcome.forbidden += FORBIDDEN in message.content
            pinged = [*message.pings.roles, *(user for user in message.pings.users)]
            self._outcome.pinged += bool(pinged) or message.pings.everyone
            self._last_reply = message
        elif change.name == "MESSAGE_REACTION_ADD" and message is not None and change.data is not None:
            if int(change.data["user_id"]) == me:
                self._account.sign(message.id, change.data["emoji"], at=at)
        elif change.name in ("MESSAGE_DELETE", "MESSAGE_DELETE_BULK") and change.data is not None:
            for id_ in change.data.get("ids") or [change.data["id"]]:
                self._account.delete(int(id_), at=at)
        self._room.set()

    async def _settle(self) -> None:
        """Until every mention has its end, or may be excused and is, on the bot's record."""
        until = time.monotonic() + self._plan.settle
        while time.monotonic() < until:
            if not len(self._account):
                record = await asyncio.to_thread(_merged_on_record, self._folder / "data" / FILE_NAME)
                if self._account.excused <= record:
                    break
            await asyncio.sleep(0.5)
        self._look(must=True)

    def _look(self, *, must: bool = False) -> None:
        """Progress, and the memory of the last life."""
        asked = self._account.asked
        if asked % 100 == 0 or must:
            self._progress(asked, self._plan.mentions)
            if not self._kills and self._process is not None and (used := _rss_mb(self._process.pid)):
                self._outcome.memory.append((asked, used))

    def _summed_up(self) -> Outcome:
        found = self._outcome
        if self._account.excused:
            self._account.settle(_merged_on_record(self._folder / "data" / FILE_NAME), at=time.monotonic())
        found.lost = self._account.lost()
        found.identifies, found.resumes = self._discord.gateway.identifies, self._discord.gateway.resumes
        found.orphans = sum(map(is_engine, self._left_behind))
        found.invalid = self._discord.ledger.invalid
        found.http, found.disasters = self._climate.struck, self._disasters.struck
        lags = [np.fromfile(path, dtype=np.float32) for path in sorted(self._folder.glob("lags-*.f4"))]
        found.lags = np.concatenate(lags) if lags else np.empty(0, np.float32)
        if found.memory:
            warm = found.memory[0][0] + self._plan.warm_up
            early = [used for asked, used in found.memory if warm <= asked < warm + self._plan.warm_up // 2 + 200]
            late = [used for _, used in found.memory[-max(2, len(early)) :]]
            if early:
                found.rss_mb = float(np.median(early)), float(np.median(late))
        return found


def _merged_on_record(path: Path) -> set[int]:
    """The mentions that the bot says it answered together with a later one."""
    database = Database(path)
    try:
        return {row[0] for row in database.rows("SELECT message_id FROM mentions WHERE how = 'merged'")}
    finally:
        database.close()


def _rss_mb(pid: int) -> float | None:
    """What a process holds of memory, in MB; None where the system does not tell that way."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    resident = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(resident[0].split()[1]) * 1024 / 1_000_000 if resident else None
