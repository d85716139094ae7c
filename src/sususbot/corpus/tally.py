"""Counting what cleaning did: messages changed and dropped by each rule, with a few examples of each.

Examples are chosen by a hash of the message's id, so that they come from all over the archive and are the same on every
run and in whatever pieces it is counted. What is secret, or quoted of others, is shown only as it looks afterwards.
"""

import heapq
import zlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sususbot.corpus.clean import RULES, Cleaned, Verdict
from sususbot.wording.privacy import redact
from sususbot.wording.rewriting import without_quotes
from sususbot.wording.rules import PERSONAL, QUOTES, SECRETS

EXAMPLES: Final = 5
_SHOWN: Final = 160
_LEAD: Final = 60
# Of these only the result is shown.
_HIDDEN: Final = frozenset({SECRETS, PERSONAL, QUOTES})


@dataclass(frozen=True, slots=True)
class Example:
    """A message that a rule met: its text before and after; `after` is empty when it was dropped."""

    message_id: int
    before: str
    after: str


@dataclass(slots=True)
class RuleCount:
    """What one rule did."""

    changed: int = 0
    dropped: int = 0
    _examples: list[tuple[int, int, str, str]] = field(default_factory=list)

    @property
    def examples(self) -> list[Example]:
        return [Example(id_, before, after) for _, id_, before, after in sorted(self._examples, reverse=True)]

    def _see(self, cleaned: Cleaned, before: str) -> None:
        key = -zlib.crc32(cleaned.message.id.to_bytes(8, "little", signed=True))
        if len(self._examples) < EXAMPLES or key > self._examples[0][0]:
            # A rule may drop a message before those for secrets and quotes see it, and these may be switched off.
            texts = (redact(without_quotes(text)).text for text in (before, cleaned.text))
            entry = (key, cleaned.message.id, *_shown(*texts))
            (heapq.heappush if len(self._examples) < EXAMPLES else heapq.heapreplace)(self._examples, entry)


class Tally:
    """What all rules did to a stream of messages."""

    def __init__(self, *, quotable: Container[int] | None = None) -> None:
        """`quotable`: authors whose messages may be shown as examples; None for all."""
        self._quotable = quotable
        self.messages = 0
        self.verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self.changed = 0
        self.rules: dict[str, RuleCount] = {name: RuleCount() for name in RULES}

    def add(self, cleaned: Cleaned) -> None:
        self.messages += 1
        self.verdicts[cleaned.verdict] += 1
        if not cleaned.rules:
            return
        dropped = cleaned.verdict is not Verdict.KEPT
        self.changed += not dropped
        shown = self._quotable is None or cleaned.message.author.id in self._quotable
        for place, name in enumerate(cleaned.rules, start=1):
            count = self.rules.setdefault(name, RuleCount())
            if dropped and place == len(cleaned.rules):
                count.dropped += 1
            else:
                count.changed += 1
            if shown:
                hidden = not _HIDDEN.isdisjoint(cleaned.rules)
                count._see(cleaned, "" if hidden else cleaned.message.rendered)

    def count(self, cleaned: Iterable[Cleaned]) -> Iterator[Cleaned]:
        """The same stream, counted as it passes."""
        for one in cleaned:
            self.add(one)
            yield one


def _shown(before: str, after: str) -> tuple[str, str]:
    """Both, and of long ones the place where they begin to differ."""
    pairs = enumerate(zip(before, after, strict=False))
    same = next((place for place, (one, other) in pairs if one != other), 0)
    start = same - _LEAD if same > _SHOWN - _LEAD else 0
    cut = "…" if start else ""
    return _clip(cut + before[start:]), _clip(cut + after[start:])


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
