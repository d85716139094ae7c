"""What of a message is learned: rules with names, each counted, each with examples, most of them to be switched off.

A rule changes a text or drops a message, and `Cleaned` says which rules did. What is dropped stays in the stream, so
that what stood around it never becomes neighbours unseen. It goes in one of two ways: it **vanishes** (a command, a
join: the talk went on as if it were not there) or it **cuts** (a picture, a bare link: who did not see it does not
understand what follows). Messages come in the order of their channel; one message is looked ahead, no more.
Whose words may be learned is not decided here (`consent`), and not what a rule makes of a text (`wording`).
"""

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, pairwise
from typing import Final

from sususbot.errors import SettingsError
from sususbot.messages import WRITTEN_TYPES, Message
from sususbot.wording import rewriting
from sususbot.wording.rules import (
    CODE,
    EMOJI,
    EMOTES,
    LINKS,
    LONG,
    MENTIONS,
    PERSONAL,
    QUOTES,
    SECRETS,
    ZALGO,
    Rewriting,
    someone,
)


class Verdict(StrEnum):
    """What became of a message."""

    KEPT = "kept"
    VANISHED = "vanished"
    CUT = "cut"


SYSTEM: Final = "system"
BOTS: Final = "bots"
EMPTY: Final = "empty"
ATTACHMENTS: Final = "attachments"
COMMANDS: Final = "commands"
DUPLICATES: Final = "duplicates"

# Every rule in the order they are asked, and what it does.
RULES: Final[Mapping[str, str]] = {
    SYSTEM: "joins, pins and other text that Discord writes is dropped",
    BOTS: "what bots and webhooks write is dropped",
    EMPTY: "messages without text or file (stickers, embeds) are dropped",
    ATTACHMENTS: "messages that are only a file are dropped and cut their conversation",
    COMMANDS: "commands to bots are dropped",
    DUPLICATES: "the same text again (copy and paste, floods) is dropped",
    ZALGO: "towers of combining marks are taken off",
    CODE: "code blocks become [code]",
    QUOTES: "quoted lines become [quote]",
    MENTIONS: "mentions become names",
    EMOJI: "custom emoji become :name:",
    LINKS: "links become [link]; messages that are only a link are dropped and cut their conversation",
    SECRETS: "passwords, tokens and keys become [password], [token], [key]",
    PERSONAL: "mail addresses, phone numbers, postal and network addresses, bank numbers become [mail], [phone], …",
    EMOTES: "rows of the same emoji and endless letters are shortened",
    LONG: "long messages are split, nothing of them is dropped",
}
# A bot's lines are nobody's to learn, and Discord's own text is no speech.
ALWAYS: Final = frozenset({SYSTEM, BOTS, EMPTY})
ALL: Final = frozenset(RULES)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A message and what is left of it: `parts` are the texts to learn, none when it was dropped.

    `rules` names what changed it, in order; of a dropped one the last dropped it. `marked`: a mark stands in it.
    """

    message: Message
    parts: tuple[str, ...]
    rules: tuple[str, ...] = ()
    verdict: Verdict = Verdict.KEPT
    marked: bool = False

    @property
    def text(self) -> str:
        """All that is left, in one."""
        return "\n".join(self.parts)


@dataclass(frozen=True, slots=True)
class People:
    """The names that mentions become. Those in `unnamed`, by every name they were seen with, become `someone`."""

    names: Mapping[int, str] = field(default_factory=dict)
    unnamed: Mapping[int, Collection[str]] = field(default_factory=dict)


def rules_without(off: Iterable[str]) -> frozenset[str]:
    """All rules but these. Raises SettingsError for one that does not exist or cannot be switched off."""
    off = frozenset(off)
    if unknown := sorted(off - ALL):
        raise SettingsError(f"CLEAN_OFF: {unknown[0]} is no rule: choose from {', '.join(sorted(ALL - ALWAYS))}")
    if needed := sorted(off & ALWAYS):
        raise SettingsError(f"CLEAN_OFF: {needed[0]} cannot be switched off: take it out of CLEAN_OFF")
    return ALL - off


def clean(messages: Iterable[Message], rules: Set[str] = ALL, people: People | None = None) -> Iterator[Cleaned]:
    """Every message with what these rules leave of it, in the order they come."""
    cleaner = _Cleaner(rules, people or People())
    for message, following in pairwise(chain(messages, (None,))):
        if message is not None:
            yield cleaner.cleaned(message, following)


class _Cleaner:
    def __init__(self, rules: Set[str], people: People) -> None:
        self._rules = rules
        self._unnamed = people.unnamed
        named = {id_: name for id_, name in people.names.items() if id_ not in people.unnamed}
        # "@alex" without an id may be another Alex.
        alone = {name for names in people.unnamed.values() for name in names if name} - set(named.values())
        self._alone = rewriting.mentioning(alone) if alone else None
        self._repeats = _Repeats(0)
        self._rewriting = Rewriting(rules, lambda id_: named.get(id_) or someone(id_))

    def cleaned(self, message: Message, following: Message | None) -> Cleaned:
        if message.channel_id != self._repeats.channel_id:
            self._repeats = _Repeats(message.channel_id)
        rule = self._unwritten(message) or self._dropped(message, following)
        if rule is not None:
            verdict = Verdict.CUT if rule == ATTACHMENTS else Verdict.VANISHED
            return Cleaned(message, (), (rule,), verdict)
        return self._rewritten(message)

    def _unwritten(self, message: Message) -> str | None:
        """The rule by which there are no words of a member here."""
        if message.type not in WRITTEN_TYPES:
            return SYSTEM
        if message.author.is_bot:
            return BOTS
        if message.rendered.strip():
            return None
        return ATTACHMENTS if message.attachments and ATTACHMENTS in self._rules else EMPTY

    def _dropped(self, message: Message, following: Message | None) -> str | None:
        if COMMANDS in self._rules and _is_command(message, following):
            return COMMANDS
        if DUPLICATES in self._rules and self._repeats.again(message):
            return DUPLICATES
        return None

    def _rewritten(self, message: Message) -> Cleaned:
        left = self._rewriting.of(self._without_unnamed(message))
        if left.marked and rewriting.says_nothing(left.text):
            return Cleaned(message, (), left.rules, Verdict.CUT)
        if not left.text:
            return Cleaned(message, (), left.rules, Verdict.VANISHED)
        parts = self._rewriting.parts(left.text)
        applied = (*left.rules, LONG) if len(parts) > 1 else left.rules
        return Cleaned(message, parts, applied, Verdict.KEPT, left.marked)

    def _without_unnamed(self, message: Message) -> str:
        """The text members read, without the names of those who are not to be learned of: no rule, but their right."""
        text = message.rendered
        if "@" not in text:
            return text
        theirs = {name for id_ in message.mentions for name in self._unnamed.get(id_, ()) if name}
        if theirs:
            text = rewriting.mentioning(theirs).sub("@someone", text)
        return self._alone.sub("@someone", text) if self._alone is not None else text


# -- commands

# Bots of one letter (`t!`) too. Words after a slash that Discord itself or habit understands are speech.
_COMMAND: Final = re.compile(
    r"(?:[a-z]{0,2}!{1,2}|/)(?!(?:shrug|tableflip|unflip|lenny|me|spoiler|srs)\b)[a-z][\w-]{1,31}(?=\s|$)",
    re.IGNORECASE,
)
# Other prefixes also begin ordinary lines; they are commands where a bot answers at once.
_PERHAPS_COMMAND: Final = re.compile(
    r"(?:[.?$%&+~;=^>*|,\\-]{1,2}|[a-z]{1,3}[.?$%&+~;^-]|pls |owo )[a-z][\w-]{1,31}(?=\s|$)", re.IGNORECASE
)
_ANSWERED_WITHIN_MS: Final = 10_000


def _is_command(message: Message, following: Message | None) -> bool:
    text = message.rendered.lstrip()
    if _COMMAND.match(text):
        return True
    return _PERHAPS_COMMAND.match(text) is not None and _answered_by_bot(message, following)


def _answered_by_bot(message: Message, following: Message | None) -> bool:
    return (
        following is not None
        and following.channel_id == message.channel_id
        and following.author.is_bot
        and following.created_at - message.created_at <= _ANSWERED_WITHIN_MS
    )


# -- repetition

_DAY_MS: Final = 86_400_000
# Short lines come again by themselves; from the fourth of the same in a row it is a flood.
_SHORT: Final = 20
_FLOOD: Final = 3
# A text this long that another member posts again was pasted.
_PASTED: Final = 80
_REMEMBERED: Final = 2048


class _Repeats:
    """What was said in a channel in the last day, as far back as fits."""

    def __init__(self, channel_id: int) -> None:
        self.channel_id = channel_id
        self._seen: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._run: tuple[int, str, int] = (0, "", 0)

    def again(self, message: Message) -> bool:
        """Whether this was said before. Remembers it."""
        text = " ".join(message.rendered.casefold().split())
        author = message.author.id
        run = self._run[2] + 1 if self._run[:2] == (author, text) else 1
        self._run = (author, text, run)
        if len(text) < _SHORT:
            return run > _FLOOD
        pasted = self._remember((0, text), message.created_at) if len(text) >= _PASTED else False
        return self._remember((author, text), message.created_at) or pasted

    def _remember(self, key: tuple[int, str], at: int) -> bool:
        before = self._seen.pop(key, None)
        self._seen[key] = at
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return before is not None and at - before < _DAY_MS
