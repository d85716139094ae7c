"""The stand-in itself: one server on a free loopback port, and the handles that tests and benchmarks turn.

`async with StandIn(world) as discord:` starts and stops it; nothing outlives the block. Leaving it raises if the
validator found an answer that Discord would not give.
"""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from sususbot.standin import interactions, render
from sususbot.standin.api import PREFIX, Api, Validator
from sususbot.standin.faults import Faults
from sususbot.standin.gateway import Gateway
from sususbot.standin.ledger import Heartbeat, Ledger
from sususbot.standin.listening import listener, stop_listening
from sususbot.standin.objects import Channel, Interaction, Json, Message, User
from sususbot.standin.pings import Allowed
from sususbot.standin.ratelimit import Limiter, RateLimits
from sususbot.standin.watch import Watch
from sususbot.standin.world import Change, World

T = TypeVar("T")

GATEWAY_PATH = "/gateway"
RESUME_PATH = "/resume"


class WrongAnswer(AssertionError):
    """The stand-in answered as Discord would not."""


class StandIn:
    """`heartbeat_interval` in seconds; `replay` is how many events a session keeps for a RESUME."""

    def __init__(
        self,
        world: World,
        *,
        rate: RateLimits | None = None,
        validator: Validator | None = None,
        faults: Faults | None = None,
        ledger: Ledger | None = None,
        heartbeat_interval: float = 45.0,
        replay: int = 10_000,
        starts_allowed: int = 1000,
    ) -> None:
        self.world = world
        self.faults = faults or Faults()
        self.ledger = ledger or Ledger()
        self.http_url = ""
        self.gateway_url = ""
        self._watch = Watch()
        self.ledger.on_change(self._watch.notify)
        self.gateway = Gateway(
            world,
            self.faults,
            self.ledger,
            self._watch.notify,
            heartbeat_interval=heartbeat_interval,
            replay=replay,
            starts_allowed=starts_allowed,
        )
        limiter = Limiter(rate or RateLimits())
        self._api = Api(world, limiter, self.faults, self.ledger, validator, lambda: self.gateway.starts)
        self._runner: web.ServerRunner | None = None
        self._place: socket.socket | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    # -- start and stop

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.2)
        await self._runner.setup()
        self._place = listener()
        await web.SockSite(self._runner, self._place).start()
        port = self._runner.addresses[0][1]
        self.http_url = f"http://127.0.0.1:{port}{PREFIX}"
        self.gateway_url = f"ws://127.0.0.1:{port}{GATEWAY_PATH}/"
        self.gateway.resume_url = f"ws://127.0.0.1:{port}{RESUME_PATH}/"
        self._api.gateway_url = self.gateway_url
        self._unsubscribe = self.world.subscribe(self._publish)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unsubscribe()
        self.gateway.drop_connections()
        if self._runner is not None and self._place is not None:
            await stop_listening(self._place)
            await self._runner.cleanup()
        if self._api.violations and error is None:
            raise WrongAnswer("\n".join(self._api.violations))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith((GATEWAY_PATH, RESUME_PATH)):
            return await self.gateway.handle(request)
        return await self._api.handle(request)

    def _publish(self, change: Change) -> None:
        self.gateway.publish(change)
        self._watch.notify()

    # -- what people do

    def say(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        mentions: Iterable[User] = (),
        reply_to: Message | None = None,
        ping: bool = True,
        type: int | None = None,
        webhook_id: int | None = None,
        embeds: Sequence[Json] = (),
        attachments: Sequence[Json] = (),
        extra: Json | None = None,
    ) -> Message:
        """A message by anyone. Mentions in the content count; `mentions` adds more. `ping` is that of the reply."""
        return self.world.post(
            channel,
            author,
            content,
            allowed=Allowed(replied_user=ping),
            reply_to=reply_to,
            also_pings=mentions,
            type=type,
            webhook_id=webhook_id,
            embeds=embeds,
            attachments=attachments,
            extra=extra,
        )

    def edit(self, message: Message, content: str) -> None:
        self.world.edit(message, content)

    def delete(self, message: Message) -> None:
        self.world.delete(message)

    def delete_bulk(self, messages: Sequence[Message]) -> None:
        self.world.delete_bulk(messages)

    def types(self, channel: Channel, user: User) -> None:
        """Somebody is seen typing."""
        data = {"channel_id": str(channel.id), "guild_id": str(self.world.guild_id), "user_id": str(user.id)}
        self.dispatch("TYPING_START", data | {"timestamp": int(self.world.clock())})

    def react(self, message: Message, user: User, emoji: str) -> None:
        self.world.react(message, user, emoji)

    def command(
        self,
        channel: Channel,
        user: User,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        let: bool = False,
    ) -> Interaction:
        """A slash command. `let`: the server lets this member use it, though its default permissions hide it.

        Raises NotOffered where Discord would not even offer it.
        """
        return self._tell(interactions.command(self.world, channel, user, name, options or {}, let=let))

    def choose(self, message: Message, user: User, name: str) -> Interaction:
        """A command from a message's menu (Apps)."""
        return self._tell(interactions.choose(self.world, message, user, name))

    def press(self, interaction: Interaction, label: str, *, user: User | None = None) -> Interaction:
        """A button under an answer, pressed by who got the answer, unless said otherwise."""
        return self._tell(interactions.press(self.world, interaction, label, user))

    def _tell(self, made: Interaction) -> Interaction:
        self.gateway.dispatch("INTERACTION_CREATE", interactions.event(self.world, made))
        return made

    # -- what Discord does

    def dispatch(self, event: str, data: Any) -> None:
        """A raw event to every session."""
        self.gateway.dispatch(event, data)

    def dispatch_unparsable(self) -> None:
        """An event on which discord.py's parser fails."""
        self.gateway.dispatch("CHANNEL_UPDATE", self.gateway.unparsable())

    def guild_leaves(self) -> None:
        """An outage: the guild is there but cannot be reached."""
        self.gateway.dispatch("GUILD_DELETE", {"id": str(self.world.guild_id), "unavailable": True})

    def guild_returns(self) -> None:
        self.gateway.dispatch("GUILD_CREATE", render.guild_create_json(self.world))

    def guild_removes_the_bot(self) -> None:
        """It was kicked, or the guild deleted."""
        self.gateway.dispatch("GUILD_DELETE", {"id": str(self.world.guild_id)})

    def send_unknown_op(self) -> None:
        """A kind of frame that no client knows."""
        self.gateway.send(99)

    def fall_silent(self) -> None:
        """The connections of now stand, and nothing comes out of them any more."""
        self.gateway.fall_silent()

    def reconnect(self) -> None:
        """Op 7 to every connection."""
        self.gateway.reconnect()

    def invalidate(self, *, resumable: bool) -> None:
        """Op 9 to every connection; unless resumable the sessions are gone."""
        self.gateway.invalidate(resumable=resumable)

    def close_sessions(self, code: int) -> None:
        self.gateway.close_sessions(code)

    def drop_connections(self) -> None:
        """Resets the TCP of every gateway connection; sessions stay."""
        self.gateway.drop_connections()

    def end_connections(self) -> None:
        """Ends the TCP of every gateway connection without a close frame; sessions stay."""
        self.gateway.end_connections()

    # -- what came of it

    async def answer(self, interaction: Interaction, timeout: float = 60.0) -> Interaction:  # noqa: ASYNC109
        """The interaction, once there is a text to read."""
        await self.wait_for(lambda: interaction.text, timeout)
        return interaction

    @property
    def heartbeats(self) -> list[Heartbeat]:
        return list(self.ledger.heartbeats)

    @property
    def connected(self) -> int:
        """Gateway connections with a session right now."""
        return sum(connection.session is not None for connection in self.gateway.connections)

    def sent(self, channel: Channel) -> list[Message]:
        """What the bot has standing in a channel, oldest first."""
        return [message for message in channel.history if message.author.id == self.world.bot.id]

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 60.0) -> T:  # noqa: ASYNC109
        """The predicate's first true value, asked at every change of the stand-in's state."""
        return await self._watch.wait_for(predicate, timeout)
