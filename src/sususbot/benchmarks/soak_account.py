"""What became of every mention, by Discord's own truth: what stands in the channel, not what the bot says of itself.

A mention has an end when there is a reply to it, a sign of the bot on it, an answer to the same member that took it in,
or when its member deleted it. What has none is lost.
A reply took a mention in when it says its word: each mention holds one of its own (`tag`) that a soaked model says
again. Where the answer to another line of a member does not show that (a sign, a line of last resort, a bare mention, a
question that was taken up again after a kill), what the same member asked moments before or after is excused, but only
if it stands as taken in on the bot's own record, too.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

End = Literal["answered", "merged", "signed", "deleted"]

_LETTERS: Final = "bcdfghjklmnprstvwxyz"
# As many as a member never has waiting at once, and few enough that the bot's memory does not grow by new words.
_TAGS: Final = len(_LETTERS) ** 2
# A part of a reply has a nonce made of the message it answers and its own number.
_NONCE: Final = "-"
# Lines that come within so much (s) may be one question, or be taken up together after a gap.
_QUICK: Final = 30.0


def tag(number: int) -> str:
    """The word of a member's `number`-th mention."""
    first, second = divmod(number % _TAGS, len(_LETTERS))
    return f"zq{_LETTERS[first]}{_LETTERS[second]}"


@dataclass(slots=True)
class Waiting:
    """A mention without an end so far."""

    id: int
    member: int
    tag: str
    asked: float


@dataclass(slots=True)
class Account:
    """Told of everything that happens in the channel, in its order."""

    asked: int = 0
    ends: Counter[End] = field(default_factory=Counter)
    signs: Counter[str] = field(default_factory=Counter)
    """Mentions by the emoji of their first sign."""
    twice: list[int] = field(default_factory=list)
    """Mentions that were answered again."""
    unasked: list[int] = field(default_factory=list)
    """Messages that were answered or signed and are no mentions of the bot by a person."""
    unexplained: int = 0
    """Replies that take in no mention, not even the one that they point at: lines of last resort."""
    late: list[float] = field(default_factory=list)
    """Seconds to the end of each mention that was answered or signed."""
    excused: set[int] = field(default_factory=set)
    """Mentions that wait, and may have been taken in by the answer to a later line."""
    _waiting: dict[int, Waiting] = field(default_factory=dict)
    _by_member: dict[int, dict[int, Waiting]] = field(default_factory=dict)
    _replies: dict[int, int] = field(default_factory=dict)
    _parts: Counter[str] = field(default_factory=Counter)
    _ended: dict[int, End] = field(default_factory=dict)

    def __len__(self) -> int:
        """Mentions that wait and are not excused."""
        return len(self._waiting) - len(self.excused)

    @property
    def waiting(self) -> Iterator[Waiting]:
        """Those of them, oldest first."""
        return (mention for mention in self._waiting.values() if mention.id not in self.excused)

    def ask(self, id_: int, member: int, word: str, *, at: float) -> None:
        self.asked += 1
        mention = Waiting(id_, member, word, at)
        self._waiting[id_] = mention
        self._by_member.setdefault(member, {})[id_] = mention

    def say(self, target: int | None, text: str, nonce: str | None, *, at: float) -> None:
        """Something the bot said: `target` is what it points at.

        The later parts of a reply point at nothing, and neither does one that Discord did not let point at its mention.
        """
        if nonce is not None and _NONCE in nonce:
            asked, part = map(int, nonce.split(_NONCE))
            self._parts[nonce] += 1
            if self._parts[nonce] == 2:
                self.twice.append(asked)
                return
            if part == 0:
                target = asked
        if target is None:
            return
        self._replies[target] = self._replies.get(target, 0) + 1
        if self._replies[target] > 1 or self._ended.get(target) in ("answered", "merged"):
            self.twice.append(target)
            return
        if target not in self._waiting:
            if target not in self._ended:
                self.unasked.append(target)
            # Signed or deleted meanwhile, and answered all the same: no harm done.
            return
        mention = self._waiting[target]
        words = set(text.split())
        for other in [*self._by_member[mention.member].values()]:
            if other.id != target and other.tag and other.tag in words:
                self._end(other.id, "merged", at)
        self.unexplained += mention.tag != "" and mention.tag not in words
        self._excuse(mention)
        self._end(target, "answered", at)

    def sign(self, target: int, emoji: str, *, at: float) -> None:
        """The bot's reaction."""
        if target in self._waiting:
            self.signs[emoji] += 1
            self._excuse(self._waiting[target])
            self._end(target, "signed", at)
        elif target not in self._ended:
            self.unasked.append(target)

    def delete(self, id_: int, *, at: float) -> None:
        """Its member took it back."""
        if id_ in self._waiting:
            self._end(id_, "deleted", at)

    def settle(self, merged: Collection[int], *, at: float) -> None:
        """`merged`: what the bot's record says was taken in. Nothing more will come."""
        for id_ in self.excused.intersection(merged):
            self._end(id_, "merged", at)
        self.excused.clear()

    def lost(self) -> list[int]:
        """Mentions that got nothing."""
        return [*self._waiting]

    def _excuse(self, mention: Waiting) -> None:
        """What the same member asked moments before this one, or after: after a gap they may come in another order."""
        for other in self._by_member[mention.member].values():
            if other.id != mention.id and abs(mention.asked - other.asked) < _QUICK:
                self.excused.add(other.id)

    def _end(self, id_: int, end: End, at: float) -> None:
        mention = self._waiting.pop(id_)
        del self._by_member[mention.member][id_]
        self.excused.discard(id_)
        self._ended[id_] = end
        self.ends[end] += 1
        if end in ("answered", "signed"):
            self.late.append(at - mention.asked)
