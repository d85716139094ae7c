"""What is said again and again: duplicates over the whole archive, and what looks like spam."""

import re
from collections import Counter, deque
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from sususbot.analysis.analysis import Counted, Spam
from sususbot.messages import Message

# Shorter texts come again by themselves.
SENTENCE: Final = 20
# So many messages of one author in so many seconds are a flood; so many people named at once are too many.
FLOOD: Final = 6
FLOOD_MS: Final = 5_000
MANY_MENTIONS: Final = 6
SAME_AGAIN: Final = 3

_EVERYONE: Final = re.compile(r"(?<!\w)@(?:everyone|here)\b")
# Links end at white space, so that a row of them is read in one way only.
_ONLY_LINKS: Final = re.compile(r"\s*(?:<?https?://\S+(?:\s+|\Z))+")


class DuplicateCount:
    """Texts said before, by anybody, anywhere. Holds a number of 8 bytes for each text, not the texts."""

    def __init__(self) -> None:
        self.compared = 0
        self.repeats = 0
        self._said: dict[int, int] = {}
        self._quotable: dict[int, int] = {}
        self._by: Counter[int] = Counter()

    def add(self, message: Message, *, quotable: bool) -> None:
        text = " ".join(message.rendered.casefold().split())
        if len(text) < SENTENCE:
            return
        self.compared += 1
        key = int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest())
        count = self._said.get(key, 0) + 1
        self._said[key] = count
        if count > 1:
            self.repeats += 1
            self._by[message.author.id] += 1
            if quotable:
                self._quotable.setdefault(key, message.id)

    def repeaters(self, names: Mapping[int, str], limit: int = 8) -> tuple[Counted, ...]:
        """Of those with a name here, who says again most often what was said before."""
        ordered = sorted((id_ for id_ in self._by if id_ in names), key=lambda id_: (-self._by[id_], id_))
        return tuple(Counted(names[id_], self._by[id_]) for id_ in ordered[:limit])

    def most_said(self, limit: int) -> list[tuple[int, int]]:
        """(message id, count) of the texts said most often, each by one who repeated it and may be quoted."""
        ranked = sorted(self._quotable.items(), key=lambda item: (-self._said[item[0]], item[1]))
        return [(message_id, self._said[key]) for key, message_id in ranked[:limit]]


class SpamCount:
    """What looks like spam, in messages of one channel after another, oldest first."""

    def __init__(self) -> None:
        self._floods = 0
        self._flood_messages = 0
        self._same_again = 0
        self._many_mentions = 0
        self._everyone = 0
        self._only_links = 0
        self._channel = 0
        self._run: tuple[int, str, int] = (0, "", 0)
        self._recent: deque[int] = deque(maxlen=FLOOD)
        self._uncounted = 0
        self._flooding = False

    def add(self, message: Message) -> None:
        text = message.rendered
        self._many_mentions += len(message.mentions) >= MANY_MENTIONS
        self._everyone += "@" in text and _EVERYONE.search(text) is not None
        self._only_links += "://" in text and _ONLY_LINKS.fullmatch(text) is not None
        if (message.channel_id, message.author.id) != (self._channel, self._run[0]):
            self._channel = message.channel_id
            self._recent.clear()
            self._uncounted = 0
            self._flooding = False
            self._run = (message.author.id, "", 0)
        self._add_to_flood(message)
        self._add_to_run(message)

    def result(self) -> Spam:
        return Spam(
            self._floods,
            self._flood_messages,
            self._same_again,
            self._many_mentions,
            self._everyone,
            self._only_links,
        )

    def _add_to_flood(self, message: Message) -> None:
        self._recent.append(message.created_at)
        self._uncounted = min(self._uncounted + 1, FLOOD)
        flooding = len(self._recent) == FLOOD and message.created_at - self._recent[0] <= FLOOD_MS
        if flooding:
            self._floods += not self._flooding
            self._flood_messages += self._uncounted
            self._uncounted = 0
        self._flooding = flooding

    def _add_to_run(self, message: Message) -> None:
        """From the third of the same in a row."""
        text = " ".join(message.rendered.casefold().split())
        author, before, count = self._run
        count = count + 1 if text and text == before else 1
        self._run = (author, text, count)
        self._same_again += count >= SAME_AGAIN
