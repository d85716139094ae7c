"""A gateway session: what a bot subscribed to, its sequence numbers, and the events kept for a replay.

A session outlives its connections. It does not know sockets; it hands frames to whatever is attached.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

GUILDS = 1 << 0
GUILD_MEMBERS = 1 << 1
GUILD_PRESENCES = 1 << 8
GUILD_MESSAGES = 1 << 9
GUILD_MESSAGE_REACTIONS = 1 << 10
GUILD_MESSAGE_TYPING = 1 << 11
MESSAGE_CONTENT = 1 << 15

KNOWN_INTENTS = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25

_NEEDED = {
    "MESSAGE_CREATE": GUILD_MESSAGES,
    "MESSAGE_UPDATE": GUILD_MESSAGES,
    "MESSAGE_DELETE": GUILD_MESSAGES,
    "MESSAGE_DELETE_BULK": GUILD_MESSAGES,
    "MESSAGE_REACTION_ADD": GUILD_MESSAGE_REACTIONS,
    "MESSAGE_REACTION_REMOVE": GUILD_MESSAGE_REACTIONS,
    "TYPING_START": GUILD_MESSAGE_TYPING,
}


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One op 0 frame, ready to send."""

    seq: int
    event: str
    frame: bytes


class Receiver(Protocol):
    def dispatch(self, event: Dispatch) -> None: ...


class Session:
    def __init__(self, id_: str, intents: int, replay: int) -> None:
        self.id = id_
        self.intents = intents
        self.seq = 0
        self.receiver: Receiver | None = None
        self._replay: deque[Dispatch] = deque(maxlen=replay)

    @property
    def reads_content(self) -> bool:
        return bool(self.intents & MESSAGE_CONTENT)

    def wants(self, event: str) -> bool:
        return bool(self.intents & _NEEDED.get(event, GUILDS))

    def dispatch(self, event: str, data: bytes) -> None:
        """`data` is the payload as JSON. Kept for a replay also while nothing is attached."""
        self.seq += 1
        frame = b'{"op":0,"t":"%b","s":%d,"d":%b}' % (event.encode(), self.seq, data)
        dispatch = Dispatch(self.seq, event, frame)
        self._replay.append(dispatch)
        if self.receiver is not None:
            self.receiver.dispatch(dispatch)

    def missed(self, seq: int) -> list[Dispatch] | None:
        """What was dispatched after `seq`, or None if some of it is no longer kept."""
        oldest = self._replay[0].seq if self._replay else self.seq + 1
        if seq + 1 < oldest:
            return None
        return [event for event in self._replay if event.seq > seq]

    def delivered(self, seq: int, most: int) -> list[Dispatch]:
        """The last message events up to `seq`: what a faulty replay repeats."""
        known = [event for event in self._replay if event.seq <= seq and event.event.startswith("MESSAGE_")]
        return known[-most:]
