"""Emoji in texts: those of the server by name, those of Unicode as they are."""

import re
from collections import Counter
from typing import Final

from sususbot.corpus.analysis import Emoji
from sususbot.corpus.members import ranked

SHOWN: Final = 40

# A server's own as Discord writes it, or by its name as exporters do.
_CUSTOM: Final = re.compile(r"<a?:(\w{2,32}):\d+>|(?<![\w:]):([a-zA-Z_+-][\w+-]{1,31}):(?![\w:])")
_BASE: Final = r"[\u203c\u2049\u231a-\u23ff\u25aa-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f004-\U0001faff]"
_UNICODE: Final = re.compile(
    rf"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_BASE}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])*"
    rf"(?:\u200d{_BASE}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])*)*"
)
# Signs that are written as text more often than as emoji.
_TEXT: Final = frozenset("▪▫▶◀◻◼◽◾☐☑✓✔✕✖✗✘➔➜➡⟶")


class EmojiCount:
    """Counts emoji as texts come."""

    def __init__(self) -> None:
        self._messages = 0
        self._unicode: Counter[str] = Counter()
        self._custom: Counter[str] = Counter()

    def add(self, text: str) -> None:
        found = 0
        if ":" in text:
            for name, shortcode in _CUSTOM.findall(text):
                self._custom[name or shortcode] += 1
                found += 1
        if not text.isascii():
            for sign in _UNICODE.findall(text):
                sign = sign.replace("\ufe0f", "")
                if sign not in _TEXT:
                    self._unicode[sign] += 1
                    found += 1
        self._messages += found > 0

    def result(self) -> Emoji:
        return Emoji(
            self._unicode.total() + self._custom.total(),
            self._messages,
            ranked(self._unicode, SHOWN),
            ranked(self._custom, SHOWN),
        )
