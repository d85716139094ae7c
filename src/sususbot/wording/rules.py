"""The rules that change a text: one table, for what is learned (`corpus`) and for what a model is shown (`memory`).

Both must read alike, or the bot would be shown what it never learned to read. What a rule drops, and whose words may be
learned, is decided in `corpus`; a rule here only changes a text, and says so.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Final

from sususbot.wording import privacy, rewriting

ZALGO: Final = "zalgo"
CODE: Final = "code"
QUOTES: Final = "quotes"
MENTIONS: Final = "mentions"
EMOJI: Final = "emoji"
LINKS: Final = "links"
SECRETS: Final = "secrets"
PERSONAL: Final = "personal"
EMOTES: Final = "emotes"
LONG: Final = "long"
ALL: Final = frozenset({ZALGO, CODE, QUOTES, MENTIONS, EMOJI, LINKS, SECRETS, PERSONAL, EMOTES, LONG})

# The name that a mention by id becomes.
NameOf = Callable[[int], str]


def someone(_id: int) -> str:
    """The name of whoever is not known, or not to be named."""
    return "someone"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What is left of a text, and the rules that changed it, in order. `marked`: a mark of theirs stands in it."""

    text: str
    rules: tuple[str, ...] = ()
    marked: bool = False


class Rewriting:
    """Some of the rules, applied in their order."""

    def __init__(self, rules: Set[str] = ALL, name_of: NameOf = someone) -> None:
        self._longest = rewriting.LONGEST if LONG in rules else None
        self._steps: tuple[tuple[str, Callable[[str], str]], ...] = tuple(
            (rule, step)
            for rule, step in (
                (ZALGO, rewriting.without_zalgo),
                (CODE, rewriting.without_code),
                (QUOTES, rewriting.without_quotes),
                (MENTIONS, lambda text: rewriting.with_names(text, name_of)),
                (EMOJI, rewriting.with_emoji_names),
                (LINKS, rewriting.without_links),
                (SECRETS, lambda text: privacy.redact(text, privacy.SECRETS).text),
                (PERSONAL, lambda text: privacy.redact(text, privacy.PERSONAL).text),
                (EMOTES, rewriting.without_emote_spam),
            )
            if rule in rules
        )

    def of(self, text: str) -> Rewritten:
        """The text as a model reads it."""
        before = text
        applied = []
        for rule, step in self._steps:
            text, known = step(text), text
            # A step gives the same object back where it has nothing to do.
            if text is not known and text != known:
                applied.append(rule)
        return Rewritten(text.strip(), tuple(applied), text is not before and rewriting.has_mark(text))

    def parts(self, text: str) -> tuple[str, ...]:
        """A rewritten text, in several where it is long."""
        return (text,) if self._longest is None else rewriting.split(text, self._longest)
