"""The last look at what a model said: what must not be said is a hit, and links that may not go out are taken out.

A hit names its category and its rule (`slurs/17`), never the words. Categories: slurs, sexual content about minors,
encouragement to self-harm (lists beside this file), personal data and secrets (`wording.privacy`), and the owner's own
words. Everything is read through disguises (`reading`). What is said by pictures, hints or in another script is not
understood: this is a list, not a reader.
Not here: what happens after a hit (`model.inference`).
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sususbot.safety import lists, personal
from sususbot.safety.links import Allowed, without_invites, without_links
from sususbot.safety.patterns import Patterns, Rule
from sususbot.safety.pings import mention_safe
from sususbot.safety.reading import read
from sususbot.wording import privacy

SLURS: Final = "slurs"
MINORS: Final = "minors"
SELF_HARM: Final = "self_harm"
DOXXING: Final = "doxxing"
SECRETS: Final = "secrets"
BLOCKED: Final = "blocked"
# What can be switched; the owner's own words always count.
CATEGORIES: Final = (SECRETS, DOXXING, MINORS, SELF_HARM, SLURS)

_SPELT: Final = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_YOUNG: Final = rf"(?:1[0-7]|[1-9]|{_SPELT.replace(' ', '|')})"
# An age below 18, said as one.
_AGE: Final = re.compile(
    rf"\b{_YOUNG}\s*-?\s*(?:(?:years?|yrs?|y)[\s/-]*(?:olds?|o)\b|yo\b|jahren?\b|jährige\w*|años|ans\b|anni\b|anos\b|jaar\b)"
    rf"|\b(?:aged?|i'?m|i am|she'?s|he'?s|(?:she|he) is|turned|turning)\s+{_YOUNG}\b(?!\s*(?:%|[:.,/]\d|[ap]m\b|min|"
    r"sec|hour|h\b|day|week|month|lines?|times|of|in|out|percent|points?|games?|levels?))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Hit:
    """What was decided by which rule; `rule` is an id such as `slurs/17`, for a log."""

    category: str
    rule: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` may be sent, unless there is a hit; links are taken out of it as set, so that it may be empty."""

    text: str
    hit: Hit | None = None


class OutputFilter:
    """Looks at texts. Compiled once, holds no state, safe in any thread."""

    def __init__(
        self,
        categories: Iterable[str] = CATEGORIES,
        blocked_words: Iterable[str] = (),
        links: Allowed = "said",
        invites: bool = False,
        *,
        allowed_words: Iterable[str] = (),
    ) -> None:
        """`blocked_words` and `allowed_words` (exceptions to the lists) in the language of `patterns`.

        Raises ValueError for a category that there is not, and for a word that is none.
        """
        chosen = frozenset(categories)
        if unknown := chosen - frozenset(CATEGORIES):
            raise ValueError(f"there is no category {min(unknown)}: choose among {', '.join(CATEGORIES)}")
        self._links = links
        self._invites = invites
        self._secrets = privacy.SECRETS if SECRETS in chosen else frozenset[str]()
        self._personal = privacy.PERSONAL if DOXXING in chosen else frozenset[str]()
        allowed = tuple(allowed_words)
        self._lists: list[tuple[str, Patterns]] = [
            (name, _patterns(name, allowed)) for name in (MINORS, SELF_HARM, SLURS) if name in chosen
        ]
        words = [Rule(f"{BLOCKED}/{number}", word) for number, word in enumerate(blocked_words, 1)]
        if words:
            self._lists.append((BLOCKED, Patterns(words)))

    def check(self, text: str, *, said: Collection[str] = ()) -> Verdict:
        """What may be sent of a text, or why nothing.

        `said` are texts that its readers know: with links "said", a link that stands in one of them may go out.
        Personal data and secrets may not, even if somebody said them.
        """
        sent = text if self._invites else without_invites(text)
        sent = without_links(sent, self._links, said)
        if sent is not text:
            # Without what stood between, letters may be a ping.
            sent = mention_safe(sent)
        # What is taken out is looked at, too: it may be what held words apart.
        for one in dict.fromkeys((text, sent)):
            if hit := self._hit(one):
                return Verdict(sent, hit)
        return Verdict(sent)

    def _hit(self, text: str) -> Hit | None:
        if kinds := self._secrets | self._personal:
            kind = personal.found(text, kinds)
            if kind is not None:
                category = SECRETS if kind in privacy.SECRETS else DOXXING
                return Hit(category, f"{category}/{kind}")
        reading = None
        for name, patterns in self._lists:
            if reading is None:
                reading = read(text)
            rule = patterns.find(reading) or (name == MINORS and self._young(text, patterns)) or None
            if rule:
                return Hit(name, rule)
        return None

    @staticmethod
    def _young(text: str, patterns: Patterns) -> str | None:
        """The rule that fits where an age says that somebody is a minor."""
        plain = unicodedata.normalize("NFKC", text)
        return patterns.find(read(_AGE.sub(" underage ", plain))) if _AGE.search(plain) else None


def _patterns(name: str, allowed: tuple[str, ...]) -> Patterns:
    """A list with exceptions of the owner's."""
    if not allowed:
        return lists.compiled(name)
    words = lists.load(name)
    return Patterns(words.rules, (*words.exceptions, *allowed), words.groups)
