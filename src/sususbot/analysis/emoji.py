"""Emoji in texts: those of the server by name, those of Unicode as they are."""

import re
from collections import Counter
from typing import Final

from sususbot.analysis.analysis import Emoji
from sususbot.analysis.members import ranked

SHOWN: Final = 40

# A server's own as Discord writes it, or by its name as exporters do.
_CUSTOM: Final = re.compile(r"<a?:(\w{2,32}):\d+>|(?<![\w:]):([a-zA-Z_+-][\w+-]{1,31}):(?![\w:])")
# Those of the emoji below U+10000 that are pictures: not arrows, ticks, letters and bullets.
_BASE: Final = (
    r"[‼⁉⌚⌛⏏⏩-⏳⏸-⏺☀-☄☎☔☕☘☝☠☢☣☦☪☮☯☸-☺♀♂♈-♓♟♠♣♥♦♨♻♾♿⚒-⚗⚙⚛⚜⚠⚡⚧⚪⚫⚰⚱⚽⚾⛄⛅⛈⛎⛏⛑⛓⛔⛩⛪⛰-⛵⛷-⛺⛽"
    r"✂✅✈-✍✏✒✝✡✨✳✴❄❇❌❎❓-❕❗❣❤➕-➗➰➿⬛⬜⭐⭕〽㊗㊙\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a"
    r"\U0001f201-\U0001f251\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7f0\U0001f90c-\U0001faff]"
)
_UNICODE: Final = re.compile(
    rf"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_BASE}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])*"
    rf"(?:\u200d{_BASE}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])*)*"
)


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
                self._unicode[sign.replace("\ufe0f", "")] += 1
                found += 1
        self._messages += found > 0

    def result(self) -> Emoji:
        return Emoji(
            self._unicode.total() + self._custom.total(),
            self._messages,
            ranked(self._unicode, SHOWN),
            ranked(self._custom, SHOWN),
        )
