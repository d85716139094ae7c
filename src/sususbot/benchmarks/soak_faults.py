"""What goes wrong in a soak: every request by chance, and from time to time a whole disaster.

All that no retry can mend (a token or an intent refused) is left out; everything else that Discord, the network and the
machine have been seen to do is here, pressed together in time as the mentions are.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sususbot.archive.database import Database
from sususbot.errors import ArchiveError
from sususbot.standin import faults
from sususbot.standin.faults import Fault, GatewayFault, Weather
from sususbot.standin.server import StandIn

POST: Final = "/channels/*/messages"
_TYPING: Final = "/channels/*/typing"

# Whatever is asked of Discord.
_ANY: Final = (
    faults.rate_limited(0.02), faults.rate_limited(0.1, scope="global"), faults.rate_limited(0.05, scope="shared"),
    faults.failing(500), faults.failing(502), faults.failing(503), faults.failing(504), faults.failing(524),
    faults.reset(), faults.reset(after=True), faults.truncated(), faults.html(), faults.slow(0.3),
)  # fmt: skip
# A message that arrived, though the answer says it did not; and refusals by Discord's rules.
_OF_POST: Final = (
    faults.failing(500, after=True), faults.failing(502, after=True),
    faults.failing(400, code=50035), faults.failing(400, code=50006), faults.failing(400, code=160002),
    faults.failing(400, code=200000), faults.failing(400, code=20016), faults.failing(404, code=10008),
)  # fmt: skip
# After these the bot leaves the channel alone for a while: a right is missing, the address is banned.
_HUSHING: Final = (
    faults.failing(403, code=50013), faults.failing(403, code=50001), faults.failing(400, code=50083),
    faults.rate_limited(0.5, via=False), faults.cloudflare(429, retry_after=1.0),
)  # fmt: skip
_OF_TYPING: Final = (faults.failing(403, code=50013),)
# Close codes that end a connection, but not the bot.
_CLOSES: Final = (1000, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009)


class Climate(Weather):
    """Several weathers, each over its own requests. The first that strikes counts."""

    def __init__(self, share: float, *, seed: int) -> None:
        """`share` is that of each fault among the requests it can befall."""
        super().__init__({})
        chance = random.Random(seed)
        self._weathers = [
            Weather(dict.fromkeys(kinds, share), seed=chance.getrandbits(32), method=method, path=path)
            for method, path, kinds in (
                ("POST", POST, _OF_POST),
                ("POST", _TYPING, _OF_TYPING),
                ("*", "*", _ANY),
            )
        ] + [Weather(dict.fromkeys(_HUSHING, share / 10), seed=chance.getrandbits(32), method="POST", path=POST)]
        self.struck: Counter[str] = Counter()

    def strike(self, method: str, path: str) -> Fault | None:
        for weather in self._weathers:
            if fault := weather.strike(method, path):
                name = f"http {fault.kind} {fault.code or fault.status or ''}".strip()
                self.struck[name + (" after" if fault.after and fault.kind != "truncated" else "")] += 1
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where disasters strike: Discord, and the machine that the bot runs on."""

    discord: StandIn
    database: Path
    process: Callable[[], int | None]
    """The bot's process id, while it runs."""


class Disasters:
    """One after another, drawn by chance; each has an end, which `strike` waits for."""

    def __init__(self, place: Place, *, seed: int, pressed: float) -> None:
        """`pressed`: what a second of trouble takes here, in seconds."""
        self._place = place
        self._chance = random.Random(seed)
        self._pressed = pressed
        self._bag: list[str] = []
        self.struck: Counter[str] = Counter()
        discord = place.discord
        self._kinds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "connection reset": self._now(discord.drop_connections),
            "op 7": self._now(discord.reconnect),
            "op 9 true": self._now(lambda: discord.invalidate(resumable=True)),
            "op 9 false": self._now(lambda: discord.invalidate(resumable=False)),
            **{f"close {code}": self._now(lambda code=code: discord.close_sessions(code)) for code in _CLOSES},  # type: ignore[misc]
            "unparsable event": self._now(discord.dispatch_unparsable),
            "connection ended without a word": self._now(discord.end_connections),
            "silence": self._now(discord.fall_silent),
            "unknown op": self._now(discord.send_unknown_op),
            "unknown event": self._now(lambda: discord.dispatch("SOMETHING_NEW", {"id": "1"})),
            "heartbeat asked for": self._now(discord.gateway.ask_for_heartbeat),
            "old replay": self._armed(GatewayFault.DUPLICATE_REPLAY, 1),
            "shuffled replay": self._armed(GatewayFault.SHUFFLED_REPLAY, 1),
            "op 7 before hello": self._armed(GatewayFault.RECONNECT_FIRST, 1),
            "connects refused": self._armed(GatewayFault.REFUSE_CONNECT, 3),
            "connects reset": self._armed(GatewayFault.RESET_CONNECT, 3),
            "resume refused": self._armed(GatewayFault.CLOSE_AT_RESUME, 1),
            "session refused": self._armed(GatewayFault.INVALID_SESSION, 2),
            "unparsable at the start": self._anew(GatewayFault.UNPARSABLE),
            "closed at the start": self._anew(GatewayFault.CLOSE_AT_IDENTIFY),
            "no hello": self._armed(GatewayFault.NO_HELLO, 1),
            "no guild": self._without_guild(GatewayFault.NO_GUILD),
            "guild away at the start": self._without_guild(GatewayFault.GUILD_UNAVAILABLE),
            "guild away": self._guild_away,
            "no acknowledgement": self._deaf,
            "archive locked": self._locked,
            "disk full": self._full,
            "process stopped": self._stopped,
            "engine killed": self._engine_killed,
        }

    @property
    def kinds(self) -> Sequence[str]:
        return [*self._kinds]

    async def strike(self) -> str:
        """The next one, to its end. Each kind comes once before any comes again."""
        if not self._bag:
            self._bag = self._chance.sample([*self._kinds], len(self._kinds))
        name = self._bag.pop()
        self.struck[name] += 1
        await self._kinds[name]()
        return name

    def _now(self, work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        async def happen() -> None:
            work()

        return happen

    def _armed(self, fault: GatewayFault, times: int) -> Callable[[], Awaitable[None]]:
        """The connection is lost, and taking it up again goes wrong."""

        async def happen() -> None:
            self._place.discord.faults.arm(fault, times)
            self._place.discord.drop_connections()

        return happen

    def _anew(self, fault: GatewayFault) -> Callable[[], Awaitable[None]]:
        """The session is lost, and beginning another goes wrong."""

        async def happen() -> None:
            self._place.discord.faults.arm(fault, 1)
            self._place.discord.invalidate(resumable=False)

        return happen

    def _without_guild(self, fault: GatewayFault) -> Callable[[], Awaitable[None]]:
        """A new session that does not see the guild at first."""

        async def happen() -> None:
            discord = self._place.discord
            discord.faults.arm(fault, 1)
            discord.invalidate(resumable=False)
            with suppress(TimeoutError):
                await discord.wait_for(lambda: discord.connected > 0, 10.0)
            await self._wait(2.0)
            discord.guild_returns()

        return happen

    async def _guild_away(self) -> None:
        self._place.discord.guild_leaves()
        await self._wait(5.0)
        self._place.discord.guild_returns()

    async def _deaf(self) -> None:
        self._place.discord.faults.arm(GatewayFault.NO_ACK, None)
        await self._wait(20.0)
        self._place.discord.faults.disarm(GatewayFault.NO_ACK)

    async def _locked(self) -> None:
        """Another program writes into the archive for longer than anybody waits for it."""
        await asyncio.to_thread(self._hold, self._seconds(40.0))

    def _hold(self, seconds: float) -> None:
        with suppress(ArchiveError):
            database = Database(self._place.database)
            try:
                with database.transaction():
                    time.sleep(seconds)
            finally:
                database.close()

    async def _full(self) -> None:
        """No file of the bot's process may grow; what is there stays.

        Not while it starts: on a full disk it does not, and says so.
        """
        pid = self._place.process()
        if pid is None or sys.platform != "linux" or not self._place.discord.connected:
            return
        import resource

        with suppress(ProcessLookupError):
            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
            await self._wait(30.0)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    async def _engine_killed(self) -> None:
        pid = self._place.process()
        for engine in engines(pid) if pid is not None else ():
            with suppress(ProcessLookupError):
                os.kill(engine, getattr(signal, "SIGKILL", signal.SIGTERM))

    async def _stopped(self) -> None:
        """The machine is put to sleep for a while."""
        pid = self._place.process()
        if pid is None or sys.platform == "win32":
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        await self._wait(60.0)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(self._seconds(seconds))

    def _seconds(self, seconds: float) -> float:
        return self._pressed * seconds * self._chance.uniform(0.3, 1.7)


def engines(pid: int) -> list[int]:
    """The processes of the model that a bot's process has started; none where the system does not tell."""
    try:
        children = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [child for child in map(int, " ".join(children).split()) if is_engine(child)]
    except OSError:
        return []


def is_engine(pid: int) -> bool:
    """Whether this is a process of the model, and alive."""
    try:
        return b"sususbot.model" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
