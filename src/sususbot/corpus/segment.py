"""Messages to conversations: which earlier message each one answers or goes on from, and what hangs together by that.

A channel is many conversations at once. Discord's reply reference is a link, up to `reply_ms`. Where many are speaking,
the learned linker tells what each message answers. Where few are, rules do: a mention leads to what that member said
last (to the writer, if that is near); else a member goes on from the later of its own last message and the last one
that mentioned it; else from the message just before. No link but a reply goes across a silence.
`sususbot bench segmentation` measures this against annotated logs; the thresholds were chosen on its training part,
those for quiet channels so that hidden mentions in a calm community are found again.

What `clean` dropped with a cut takes part, so that its conversation ends where it stood; what follows begins anew.
What vanished takes no part, but a message that replies to it or is for a bot has its prompt there: it begins anew, too.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sususbot.chat_format import RUN_MS
from sususbot.corpus.clean import BOTS, Cleaned, Verdict
from sususbot.linking.line import Line as Told
from sususbot.linking.linker import Linker as Learned

_MINUTE: Final = 60_000


@dataclass(frozen=True, slots=True)
class Linking:
    """The windows and thresholds. Lines are counted over the whole channel."""

    # The short window: one member's messages in a row are one thing said.
    run_ms: int = RUN_MS
    run_lines: int = 15
    # The long window: after so much silence a conversation is over.
    silence_ms: int = 30 * _MINUTE
    reply_ms: int = 24 * 60 * _MINUTE
    mention_lines: int = 60
    answer_lines: int = 20
    # How far before a member's last message one of its lines to the writer is looked for.
    addressed_lines: int = 5
    # So few others spoke within quiet_ms: what is said next is said to them. 0: never.
    quiet_speakers: int = 3
    quiet_ms: int = 10 * _MINUTE
    # Whether the learned linker has the word where it is not quiet; else the rules have it everywhere.
    learned: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A message as linking sees it. `mentions`: also by name; `pinged`: by Discord's own mention."""

    id: int
    author_id: int
    at: int
    mentions: tuple[int, ...] = ()
    reply_to: int | None = None
    name: str = ""
    text: str = ""
    pinged: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of one channel that belong together, oldest first.

    `cut`: something that belongs before the first was left out, so that nobody can know what it answers.
    """

    channel_id: int
    lines: tuple[Cleaned, ...]
    cut: bool = False


@dataclass(slots=True)
class _Said:
    position: int
    line: Line


@dataclass(slots=True)
class _Speaker:
    """What linking remembers of a member: the last lines, and the last line of another that mentioned it."""

    said: deque[_Said] = field(default_factory=lambda: deque(maxlen=6))
    mentioned: _Said | None = None


class Linker:
    """Links the lines of one channel, told in their order."""

    def __init__(self, linking: Linking | None = None) -> None:
        self._linking = linking or Linking()
        self._speakers: dict[int, _Speaker] = {}
        self._recent: deque[_Said] = deque()
        self._position = 0
        self._learned = Learned() if self._linking.learned else None
        # The lines since the last silence: none before is linked to.
        self._near: set[int] = set()

    def link(self, line: Line) -> int | None:
        """The id of the earlier line it hangs on, or None where it begins something. Reply references come first."""
        now = _Said(self._position, line)
        self._position += 1
        self._forget(line.at)
        target = line.reply_to if line.reply_to is not None else self._target(now)
        if self._learned is not None:
            target = self._ask(self._learned, now, target)
        self._remember(now)
        return target

    def _ask(self, learned: Learned, now: _Said, target: int | None) -> int | None:
        """What the learned linker says where it is asked; else it is told the target."""
        line = now.line
        told = Told(line.id, line.author_id, line.name, line.at, line.text, line.pinged, line.reply_to)
        if line.reply_to is not None or self._quiet(now):
            learned.tell(told, target)
            return target
        found = learned.link(told).target
        return found if found is not None and found in self._near else None

    def _target(self, now: _Said) -> int | None:
        mine = self._speakers.get(now.line.author_id)
        found = self._mentioned(now)
        if found is None and mine is not None:
            found = self._going_on(now, mine)
        if found is None:
            found = self._just_before(now)
        return found.line.id if found is not None else None

    def _mentioned(self, now: _Said) -> _Said | None:
        """What the first mentioned member who is here said last, rather to the writer."""
        linking = self._linking
        for other in now.line.mentions:
            speaker = self._speakers.get(other)
            if other == now.line.author_id or speaker is None or not speaker.said:
                continue
            last = speaker.said[-1]
            if now.position - last.position > linking.mention_lines or now.line.at - last.line.at > linking.silence_ms:
                continue
            near = (one for one in reversed(speaker.said) if last.position - one.position <= linking.addressed_lines)
            return next((one for one in near if now.line.author_id in one.line.mentions), last)
        return None

    def _going_on(self, now: _Said, mine: _Speaker) -> _Said | None:
        linking = self._linking
        found = []
        if mine.said:
            last = mine.said[-1]
            if now.position - last.position <= linking.run_lines and now.line.at - last.line.at <= linking.run_ms:
                found.append(last)
        asked = mine.mentioned
        if (
            asked is not None
            and now.position - asked.position <= linking.answer_lines
            and now.line.at - asked.line.at <= linking.silence_ms
        ):
            found.append(asked)
        return max(found, key=lambda one: one.position, default=None)

    def _just_before(self, now: _Said) -> _Said | None:
        return self._recent[-1] if self._recent and self._quiet(now) else None

    def _quiet(self, now: _Said) -> bool:
        linking = self._linking
        since = now.line.at - linking.quiet_ms
        others: set[int] = set()
        for one in reversed(self._recent):
            if one.line.at < since or len(others) > linking.quiet_speakers:
                break
            if one.line.author_id != now.line.author_id:
                others.add(one.line.author_id)
        return linking.quiet_speakers > 0 and len(others) <= linking.quiet_speakers

    def _remember(self, now: _Said) -> None:
        self._speakers.setdefault(now.line.author_id, _Speaker()).said.append(now)
        for other in now.line.mentions:
            self._speakers.setdefault(other, _Speaker()).mentioned = now
        self._recent.append(now)
        self._near.add(now.line.id)

    def _forget(self, now: int) -> None:
        """Nothing links across a silence, so nothing older is kept."""
        while self._recent and now - self._recent[0].line.at > self._linking.silence_ms:
            self._near.discard(self._recent.popleft().line.id)
        if not self._recent:
            self._speakers.clear()


class _Open:
    """A conversation that may still go on."""

    __slots__ = ("channel_id", "cut", "last_at", "pieces")

    def __init__(self, channel_id: int, *, cut: bool) -> None:
        self.channel_id = channel_id
        self.cut = cut
        self.last_at = 0
        self.pieces: list[list[Cleaned]] = [[]]

    def add(self, cleaned: Cleaned) -> None:
        self.last_at = cleaned.message.created_at
        if cleaned.verdict is Verdict.KEPT:
            self.pieces[-1].append(cleaned)
        elif self.pieces[-1]:
            self.pieces.append([])
        else:
            self.cut = True

    def conversations(self) -> Iterator[Conversation]:
        for number, lines in enumerate(self.pieces):
            if lines:
                yield Conversation(self.channel_id, tuple(lines), cut=self.cut or number > 0)


def segment(cleaned: Iterable[Cleaned], linking: Linking | None = None) -> Iterator[Conversation]:
    """The conversations in a stream of messages that comes channel by channel; each as soon as it can be over."""
    segmenter: _Segmenter | None = None
    for one in cleaned:
        if segmenter is None or one.message.channel_id != segmenter.channel_id:
            if segmenter is not None:
                yield from segmenter.end()
            segmenter = _Segmenter(one.message.channel_id, linking or Linking())
        yield from segmenter.add(one)
    if segmenter is not None:
        yield from segmenter.end()


class _Segmenter:
    """One channel."""

    def __init__(self, channel_id: int, linking: Linking) -> None:
        self.channel_id = channel_id
        self._linking = linking
        self._linker = Linker(linking)
        self._open: list[_Open] = []
        # Message -> its conversation, for as long as a reply may come.
        self._of: dict[int, _Open] = {}
        self._order: deque[tuple[int, int]] = deque()
        self._bots: set[int] = set()
        self._names: dict[str, int] = {}

    def add(self, cleaned: Cleaned) -> Iterator[Conversation]:
        message = cleaned.message
        if cleaned.verdict is Verdict.VANISHED:
            if BOTS in cleaned.rules:
                self._bots.add(message.author.id)
            return
        yield from self._closed(message.created_at)
        self._names[message.author.display_name.casefold()] = message.author.id
        line = Line(
            message.id,
            message.author.id,
            message.created_at,
            self._addressed(cleaned),
            message.reply_to,
            message.author.display_name,
            message.rendered,
            message.mentions,
        )
        target = self._linker.link(line)
        # What is said to a bot, or in answer to something that is not here, has its prompt elsewhere.
        gone = not self._bots.isdisjoint(line.mentions) or (target is not None and target not in self._of)
        conversation = self._of.get(target) if target is not None and not gone else None
        if conversation is None:
            conversation = _Open(self.channel_id, cut=gone)
            self._open.append(conversation)
        conversation.add(cleaned)
        self._of[message.id] = conversation
        self._order.append((message.created_at, message.id))

    def end(self) -> Iterator[Conversation]:
        for conversation in self._open:
            yield from conversation.conversations()

    def _addressed(self, cleaned: Cleaned) -> tuple[int, ...]:
        """Mentions, or a name with a colon or comma at the beginning: `mia: look`."""
        message = cleaned.message
        if message.mentions:
            return message.mentions
        found = _VOCATIVE.match(message.rendered)
        other = self._names.get(found[1].casefold()) if found else None
        return (other,) if other is not None else ()

    def _closed(self, now: int) -> Iterator[Conversation]:
        """What no reply can reach any more."""
        if not self._order or now - self._order[0][0] <= self._linking.reply_ms:
            return
        while self._order and now - self._order[0][0] > self._linking.reply_ms:
            del self._of[self._order.popleft()[1]]
        over = [one for one in self._open if now - one.last_at > self._linking.reply_ms]
        if over:
            self._open = [one for one in self._open if now - one.last_at <= self._linking.reply_ms]
        for conversation in over:
            yield from conversation.conversations()


_VOCATIVE: Final = re.compile(r"@?([^\s,:]{2,32})[,:]\s")
