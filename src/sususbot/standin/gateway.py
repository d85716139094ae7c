"""The gateway, version 10: connections, sessions, and the world's changes sent to whom they concern.

Hello, identify, resume with replay, heartbeats, op 7 and 9, close codes, intents. Voice, sharding beyond a plausibility
check, presence and member lists are accepted and ignored.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from sususbot.standin import permissions, render
from sususbot.standin.codec import codec
from sususbot.standin.connection import Connection
from sususbot.standin.faults import Faults, GatewayFault
from sususbot.standin.ledger import Ledger
from sususbot.standin.objects import Channel, Json
from sususbot.standin.rest import SessionStarts
from sususbot.standin.session import (
    GUILD_MEMBERS,
    GUILD_PRESENCES,
    GUILDS,
    KNOWN_INTENTS,
    MESSAGE_CONTENT,
    Session,
)
from sususbot.standin.tcp import reset_connection
from sususbot.standin.world import Change, World

HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, RECONNECT, MEMBERS, INVALID, HELLO, ACK = 1, 2, 3, 4, 6, 7, 8, 9, 10, 11

MOST_BYTES = 4096
_MOST_SESSIONS = 64
_REPEATED = 3

_SESSION_ENDS = frozenset({1000, 1001, 4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})
"""Close codes after which a session cannot be resumed."""


class Gateway:
    """`starts_allowed` is the daily budget of IDENTIFY; beyond it the token is void, as on Discord."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        ledger: Ledger,
        changed: Callable[[], None],
        *,
        heartbeat_interval: float,
        replay: int,
        starts_allowed: int,
    ) -> None:
        self._world = world
        self._faults = faults
        self._ledger = ledger
        self._changed = changed
        self._interval = heartbeat_interval
        self._replay = replay
        self._starts_allowed = starts_allowed
        self.resume_url = ""
        self.identifies = 0
        self.resumes = 0
        self.connections: set[Connection] = set()
        self.sessions: dict[str, Session] = {}

    @property
    def starts(self) -> SessionStarts:
        return SessionStarts(self._starts_allowed, max(0, self._starts_allowed - self.identifies))

    # -- the life of a connection

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._faults.strike(GatewayFault.RESET_CONNECT):
            reset_connection(request.transport)
            return web.Response(status=503)
        if self._faults.strike(GatewayFault.REFUSE_CONNECT):
            return web.Response(status=503)
        socket = web.WebSocketResponse(timeout=1.0, compress=False)
        await socket.prepare(request)
        stream = codec(request.query.get("compress"))
        number = self._ledger.connect()
        connection = Connection(number, socket, request.transport, stream, self._ledger, self._interval)
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await self._serve(connection, socket)
        finally:
            connection.release()
            self.connections.discard(connection)
            self._detach(connection, None if connection.closing else socket.close_code)
            if not connection.closing:
                writer.cancel()
            await asyncio.wait([writer])
        return socket

    async def _serve(self, connection: Connection, socket: web.WebSocketResponse) -> None:
        if self._faults.strike(GatewayFault.RECONNECT_FIRST):
            connection.send(RECONNECT)
        elif not self._faults.strike(GatewayFault.NO_HELLO):
            connection.send(HELLO, {"heartbeat_interval": int(self._interval * 1000)})
            connection.expect_heartbeat()
        async for message in socket:
            self._receive(connection, message.data if message.type is WSMsgType.TEXT else None)

    def _detach(self, connection: Connection, code: int | None) -> None:
        session = connection.session
        if session is not None and session.receiver is connection:
            session.receiver = None
            if code in _SESSION_ENDS:
                self.sessions.pop(session.id, None)
        self._changed()

    # -- frames in

    def _receive(self, connection: Connection, raw: str | None) -> None:
        if raw is None or len(raw.encode()) > MOST_BYTES:
            return connection.close(4002)
        try:
            frame = orjson.loads(raw)
            op, data = frame["op"], frame.get("d")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return connection.close(4002)
        self._ledger.frame(connection.number, "in", op, data=data)
        if connection.too_many_sends():
            return connection.close(4008)
        return self._obey(connection, op, data)

    def _obey(self, connection: Connection, op: Any, data: Any) -> None:
        if op == HEARTBEAT:
            self._heartbeat(connection)
        elif op == IDENTIFY:
            self._identify(connection, data)
        elif op == RESUME:
            self._resume(connection, data)
        elif op not in (PRESENCE, VOICE, MEMBERS):
            connection.close(4001)
        elif connection.session is None:
            connection.close(4003)

    def _heartbeat(self, connection: Connection) -> None:
        connection.heartbeat()
        if not self._faults.strike(GatewayFault.NO_ACK):
            connection.send(ACK)

    def _identify(self, connection: Connection, data: Any) -> None:
        self.identifies += 1
        refused = self._refuse_identify(connection, data)
        if refused is not None:
            connection.close(refused)
        elif self._faults.strike(GatewayFault.INVALID_SESSION):
            connection.send(INVALID, False)
        else:
            self._open(connection, data["intents"])
        self._changed()

    def _refuse_identify(self, connection: Connection, data: Any) -> int | None:
        """A close code, or None."""
        if self.identifies > self._starts_allowed:
            self._world.revoke_token()
        if connection.session is not None:
            return 4005
        if not isinstance(data, dict) or "properties" not in data:
            return 4002
        if data.get("token") != self._world.token:
            return 4004
        struck = self._faults.strike(GatewayFault.CLOSE_AT_IDENTIFY)
        if struck is not None:
            return struck.code
        return _refuse_shard(data.get("shard")) or self._refuse_intents(data.get("intents"))

    def _refuse_intents(self, intents: Any) -> int | None:
        if not isinstance(intents, int) or intents & ~KNOWN_INTENTS:
            return 4013
        forbidden = GUILD_MEMBERS | GUILD_PRESENCES
        if not self._world.message_content_allowed:
            forbidden |= MESSAGE_CONTENT
        return 4014 if intents & forbidden else None

    def _open(self, connection: Connection, intents: int) -> None:
        session = Session(f"session-{self.identifies}", intents, self._replay)
        self._forget_old_sessions()
        self.sessions[session.id] = session
        connection.session = session
        session.receiver = connection
        session.dispatch("READY", orjson.dumps(self._ready(session)))
        self._introduce_guild(session)

    def _ready(self, session: Session) -> Json:
        application = render.application_json(self._world)
        return {
            "v": 10,
            "user": render.own_user_json(self._world),
            "guilds": [{"id": str(self._world.guild_id), "unavailable": True}],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.resume_url,
            "application": {"id": application["id"], "flags": application["flags"]},
            "private_channels": [],
            "relationships": [],
            "user_settings": {},
        }

    def _introduce_guild(self, session: Session) -> None:
        if self._faults.strike(GatewayFault.NO_GUILD) or not session.intents & GUILDS:
            return
        if self._faults.strike(GatewayFault.GUILD_UNAVAILABLE):
            away = {"id": str(self._world.guild_id), "unavailable": True}
            session.dispatch("GUILD_CREATE", orjson.dumps(away))
            return
        session.dispatch("GUILD_CREATE", orjson.dumps(render.guild_create_json(self._world)))
        if self._faults.strike(GatewayFault.UNPARSABLE):
            session.dispatch("CHANNEL_UPDATE", orjson.dumps(self.unparsable()))

    def unparsable(self) -> Json:
        """A CHANNEL_UPDATE of a real channel, with less than discord.py needs."""
        channel = next(iter(self._world.channels), 0)
        return {"id": str(channel), "guild_id": str(self._world.guild_id), "type": 0, "name": "broken"}

    def _forget_old_sessions(self) -> None:
        for id_ in [id_ for id_, session in self.sessions.items() if session.receiver is None][:-_MOST_SESSIONS]:
            del self.sessions[id_]

    def _resume(self, connection: Connection, data: Any) -> None:
        self.resumes += 1
        if connection.session is not None:
            return connection.close(4005)
        if not isinstance(data, dict) or not isinstance(data.get("seq"), int | None):
            return connection.close(4002)
        if data.get("token") != self._world.token:
            return connection.close(4004)
        struck = self._faults.strike(GatewayFault.CLOSE_AT_RESUME)
        if struck is not None:
            return connection.close(struck.code)
        return self._take_up(connection, self.sessions.get(str(data.get("session_id"))), data.get("seq") or 0)

    def _take_up(self, connection: Connection, session: Session | None, seq: int) -> None:
        missed = None if session is None else session.missed(seq)
        if session is None or missed is None or self._faults.strike(GatewayFault.INVALID_SESSION):
            return connection.send(INVALID, False)
        if seq > session.seq:
            del self.sessions[session.id]
            return connection.close(4007)
        if isinstance(session.receiver, Connection):
            session.receiver.close(4000)
        session.receiver = connection
        connection.session = session
        if self._faults.strike(GatewayFault.DUPLICATE_REPLAY):
            missed = session.delivered(seq, _REPEATED) + [event for event in missed for _ in range(2)]
        if self._faults.strike(GatewayFault.SHUFFLED_REPLAY):
            missed = missed[::-1]
        for event in missed:
            connection.dispatch(event)
        session.dispatch("RESUMED", b"{}")
        return self._changed()

    # -- frames out

    def publish(self, change: Change) -> None:
        """Sends a change of the world to each session that asked for it and may see it."""
        rendered: dict[bool, bytes] = {}
        name = change.name
        if change.channel is not None and not self._may_see(change.channel):
            return
        for session in self.sessions.values():
            if not session.wants(name):
                continue
            intent = session.reads_content
            if intent not in rendered:
                rendered[intent] = orjson.dumps(_payload(self._world, change, intent=intent))
            session.dispatch(name, rendered[intent])

    def _may_see(self, channel: Channel) -> bool:
        return self._world.can(self._world.bot, channel, permissions.VIEW_CHANNEL)

    def dispatch(self, event: str, data: Any) -> None:
        """Any event to every session, whatever its intents."""
        raw = orjson.dumps(data)
        for session in self.sessions.values():
            session.dispatch(event, raw)

    def reconnect(self) -> None:
        for connection in list(self.connections):
            connection.send(RECONNECT)

    def send(self, op: int) -> None:
        """A frame of any kind to every connection."""
        for connection in list(self.connections):
            connection.send(op)

    def fall_silent(self) -> None:
        """Nothing more comes out of the connections of now; they stand all the same."""
        for connection in self.connections:
            connection.silent = True

    def ask_for_heartbeat(self) -> None:
        for connection in list(self.connections):
            connection.send(HEARTBEAT)

    def invalidate(self, *, resumable: bool) -> None:
        for connection in list(self.connections):
            if connection.session is not None and not resumable:
                self.sessions.pop(connection.session.id, None)
            connection.send(INVALID, resumable)

    def close_sessions(self, code: int) -> None:
        for connection in list(self.connections):
            if connection.session is not None and code in _SESSION_ENDS - {1000, 1001}:
                self.sessions.pop(connection.session.id, None)
            connection.close(code)

    def drop_connections(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def end_connections(self) -> None:
        for connection in list(self.connections):
            connection.end()


def _refuse_shard(shard: Any) -> int | None:
    if shard is None:
        return None
    valid = isinstance(shard, list) and [type(n) for n in shard] == [int, int] and 0 <= shard[0] < shard[1]
    return None if valid else 4010


def _payload(world: World, change: Change, *, intent: bool) -> Json:
    name, channel, message = change.name, change.channel, change.message
    place = {} if channel is None else {"guild_id": str(world.guild_id), "channel_id": str(channel.id)}
    if name in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and message is not None:
        return render.gateway_message_json(world, message, intent=intent)
    if name.startswith("MESSAGE_REACTION") and message is not None and change.data is not None:
        return place | _reaction(world, change.data, message_id=message.id, author_id=message.author.id)
    if name.startswith(("CHANNEL", "THREAD")) and channel is not None:
        return render.channel_json(world, channel) | ({"newly_created": True} if name == "THREAD_CREATE" else {})
    return place | (change.data or {})


def _reaction(world: World, data: Json, *, message_id: int, author_id: int) -> Json:
    user = world.users[int(data["user_id"])]
    return {
        "user_id": data["user_id"],
        "message_id": str(message_id),
        "message_author_id": str(author_id),
        "emoji": render.emoji_json(data["emoji"]),
        "member": render.member_json(world, user) | {"user": render.user_json(user)},
        "burst": False,
        "type": 0,
    }
