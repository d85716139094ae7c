"""The one rendering of a conversation to text, for serving and for training, and the rules that end a reply.

One line for what a member says in one go, `name: text`; a newline inside becomes a visible mark, as does the border
between two messages, so that no text can begin a line of its own and speak as somebody else. No two speakers are called
alike, and nobody like the bot, in whatever letters. Old messages are quoted: `> 3 Mar 2024, #general, mia: …`, and so
is what is known of the talk before. A reply ends at the first newline. No model's special tokens are used, and none are
let through: any base model reads this.
Not here: what becomes of links, secrets and mentions in a text (`wording`).
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Final, Generic, Protocol, TypeVar

from sususbot.messages import Turn, day
from sususbot.wording.lookalikes import skeleton
from sususbot.wording.privacy import redact
from sususbot.wording.rewriting import renamed, without_zalgo

STOP: Final = ("\n",)
# Stands for a newline inside a message.
NEWLINE_MARK: Final = " ⏎ "
_NEWLINES: Final = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
# What hides the words of a line: control characters, turns of direction, invisible letters, halves of a surrogate pair.
# Kept are the joiners inside emoji and words (U+200C, U+200D), what chooses how an emoji is drawn (U+FE0E, U+FE0F), one
# of each in a row, since a row hides words of its own, and the letters that make a flag of 🏴 (the group).
_INVISIBLE: Final = re.compile(
    r"(\U0001f3f4[\U000e0030-\U000e007a]+\U000e007f)|(?<=[\u200c\u200d])[\u200c\u200d\ufe0e\ufe0f]"
    r"|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
    r"|[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u034f\u061c\u115f\u1160\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Stands above the lines about the talk before the recent turns.
GIST_HEADING: Final = "(earlier, in short:)"
# What some model takes for the end of a turn, or for its beginning, when a server cuts a text into tokens by itself:
# llama.cpp is given ids that were cut without them, other servers are not.
_CONTROL: Final = re.compile(
    r"<(?=[|｜][^<>\s]{1,60}>|[^<>\s|｜]{1,60}[|｜]>|/?s>|(?:unk|pad|bos|eos|mask|sep|cls|sop|eop)>"
    r"|(?:start|end)_of_\w{1,20}>|(?:unused|reserved_|extra_id_)\d{1,4}>|fim_\w{1,12}>|seed:\w{1,20}>"
    r"|/?(?:think|tool_call|tool_response|tools|image_soft_token)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|CALL_ID|ARGS|THINK|IMG|IMG_BREAK"
    r"|IMG_END|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX|MODEL_SETTINGS|gMASK)\]|\|[^\[\]\s]{1,60}\|\])"
)
# What a line within a quotation could pass itself off with: signs of a quotation, or a speaker's name.
_QUOTED_START: Final = re.compile(r"(?:(?<=⏎)|^)[\s>]+")
_QUOTED_SPEAKER: Final = re.compile(r"⏎ ((?::\w+:\s*)*[^\s:：⏎][^⏎]{0,80}?)\s*[:：](?=\s|$)")
_NAME_BREAKERS: Final = re.compile(r"[:：>#,⏎\[\]]+")
_LONGEST_NAME: Final = 32
# Few speak, and often.
_NAMES_KEPT: Final = 1024

# One member's messages in a row, each so soon after the one before, are one line, up to so many bytes: about 96 tokens
# (on 53,000 lines of real chat, a bound in tokens joins otherwise in 1.3 %), since a reply should not be longer. Bytes,
# since tokens are counted in several ways, and training and serving must join alike.
RUN_MS: Final = 300_000
RUN_BYTES: Final = 320


def one_line(text: str) -> str:
    """A message's text as it stands in a prompt: visible, and on one line."""
    if not (text.isascii() and text.isprintable()):
        text = _NEWLINES.sub(NEWLINE_MARK, _INVISIBLE.sub(r"\1", text).strip())
    return _CONTROL.sub(r"\g<0> ", text.strip()) if "<" in text or "[" in text else text.strip()


@lru_cache(_NAMES_KEPT)
def speaker(name: str) -> str:
    """A name as it stands before the colon: short, and without what the format itself uses."""
    name = without_zalgo(_NAME_BREAKERS.sub(" ", one_line(name)))
    return " ".join(name.split())[:_LONGEST_NAME].strip() or "someone"


def line(turn: Turn) -> str:
    """A turn of the conversation at hand."""
    return f"{speaker(turn.speaker)}: {one_line(turn.text)}"


def quoted_line(turn: Turn, channel: str) -> str:
    """A turn of long ago: dated, placed and marked as a quotation."""
    return f"> {day(turn.at)}, #{speaker(channel)}, {speaker(turn.speaker)}: {quoted(turn.text)}"


def quoted(text: str) -> str:
    """A text within a quotation: on one line, and nothing in it looks like another quotation or another's words."""
    text = one_line(text)
    if "⏎" not in text and ">" not in text:
        return text
    return _QUOTED_SPEAKER.sub(r"⏎ \1 -", _QUOTED_START.sub(lambda found: " " * (found.start() > 0), text))


def gist_line(text: str) -> str:
    """A line of what is known of the talk before: marked as a quotation, as its words may be anybody's."""
    return f"> {quoted(text)}"


def memories_heading(now: int) -> str:
    """What stands above old messages. With today's date once, none of them needs to say how old it is."""
    return f"(said here before, quoted; today is {day(now)}:)"


def prompt(
    persona: str,
    recent: Sequence[str],
    memories: Sequence[str],
    asked: str,
    own_name: str,
    *,
    gist: Sequence[str] = (),
    lasting: Sequence[str] = (),
) -> str:
    """The whole text before the reply. What changes least comes first, so that an engine can keep its work.

    `gist` and `memories` come with their headings, or are empty; so do `lasting`, memories that stay above the talk.
    """
    parts = [persona.strip(), ""]
    for block in (gist, lasting):
        if block:
            parts += [*block, ""]
    parts += recent
    if memories:
        parts += [*([""] if recent else []), *memories, ""]
    return "\n".join([*parts, asked, f"{speaker(own_name)}:"])


def weighted(persona: str, turns: Iterable[tuple[Turn, float]]) -> list[tuple[str, float]]:
    """A conversation as a model is trained on it: pieces of text, each with the weight of its loss.

    Joined they are what `prompt` makes of the same turns, with every reply in its place. The cut is where a reply
    begins: a name with its colon weighs nothing, the words and the newline that ends them weigh what the turn does.
    """
    pieces = [(f"{persona.strip()}\n\n", 0.0)]
    for turn, weight in turns:
        name = f"{speaker(turn.speaker)}:"
        pieces += [(name, 0.0), (f"{line(turn)[len(name) :]}\n", weight)]
    return pieces


class Utterance(Protocol):
    """A message, or a piece of one, as joining it needs it. `marked`: rules left a mark in it."""

    @property
    def author_id(self) -> Hashable: ...
    @property
    def at(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def marked(self) -> bool: ...
    @property
    def reply_to(self) -> int | None: ...


U = TypeVar("U", bound=Utterance)


def runs(said: Iterable[U], run_ms: int = RUN_MS, longest: int = RUN_BYTES) -> Iterator[list[U]]:
    """What was said, as it stands in lines: what a member says in one go is one line.

    An answer to a certain message begins a line, and what has a mark stands apart, since it is not to be learned.
    """
    run: list[U] = []
    size = 0
    for one in said:
        added = len(one_line(one.text).encode())
        joined = size + len(NEWLINE_MARK.encode()) + added
        if run and joined <= longest and _goes_on(run[-1], one, run_ms):
            run.append(one)
            size = joined
        else:
            if run:
                yield run
            run, size = [one], added
    if run:
        yield run


def _goes_on(last: Utterance, one: Utterance, run_ms: int) -> bool:
    return (
        (last.author_id, last.marked) == (one.author_id, one.marked)
        and one.reply_to is None
        and one.at - last.at <= run_ms
    )


K = TypeVar("K", bound=Hashable)


class Names(Generic[K]):
    """What speakers are called: as members read it, without personal data, never two alike in one conversation."""

    def __init__(self, names: Mapping[K, tuple[str, str]], own_name: str) -> None:
        """`names`: author -> (display name, account name)."""
        self._names = names
        self._own_name = own_name

    def of(self, authors: Iterable[K], own: K) -> dict[K, str]:
        """A name for each, in the order they speak; the bot, or whoever it plays, has the bot's."""
        given = {own: self._own_name}
        taken = {skeleton(speaker(self._own_name))}
        for author in authors:
            if author not in given:
                name = self._free(author, taken)
                taken.add(skeleton(speaker(name)))
                given[author] = name
        return given

    def with_own(self, text: str, own: K) -> str:
        """A text with the bot mentioned by its own name, whatever the one it stands for is called."""
        for name in dict.fromkeys(self._names.get(own, ())):
            text = renamed(text, name, self._own_name)
        return text

    def _free(self, author: K, taken: set[str]) -> str:
        display, account = map(_without_data, self._names.get(author, ("", "")))
        numbered = (f"{display[:24]} {number}" for number in count(2))
        names = chain([display], [account] if account else [], numbered)
        return next(name for name in names if skeleton(speaker(name)) not in taken)


@lru_cache(_NAMES_KEPT)
def _without_data(name: str) -> str:
    return redact(name).text


def spoken(text: str, own_name: str, others: Sequence[str]) -> str:
    """A model's raw output as the words to send: own name off, other speakers' turns cut, newline marks undone."""
    mark = NEWLINE_MARK.strip()
    text = re.sub(rf"^(?:\s*{re.escape(speaker(own_name))}:)+", "", text, flags=re.IGNORECASE)
    names = "|".join(sorted({re.escape(speaker(name)) for name in (*others, own_name)}))
    text = re.split(rf"(?:^|[\n{mark}])\s*(?:{names}):(?:\s|$)", text)[0]
    return text.replace(NEWLINE_MARK, "\n").replace(mark, "\n").strip()
