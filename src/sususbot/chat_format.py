"""The one rendering of a conversation to text, for serving and for training, and the rules that end a reply.

One line a message, `name: text`; a newline inside a message becomes a visible mark, so that no text can begin a line
of its own and speak as somebody else. Old messages are quoted: `> 3 Mar 2024, #general, mia: …`. A reply ends at the
first newline. No model's special tokens are used: any base model reads this.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from sususbot.messages import Turn, day

STOP: Final = ("\n",)
# Stands for a newline inside a message.
NEWLINE_MARK: Final = " ⏎ "
_NEWLINES: Final = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
# What hides the words of a line: control characters, turns of direction, invisible letters, halves of a surrogate pair.
# Kept are the joiners inside emoji and words (U+200C, U+200D), and the letters that make a flag of 🏴 (the group).
_INVISIBLE: Final = re.compile(
    r"(\U0001f3f4[\U000e0030-\U000e007a]+\U000e007f)"
    r"|[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_NAME_BREAKERS: Final = re.compile(r"[:>#\[\]]+")
_LONGEST_NAME: Final = 32


def one_line(text: str) -> str:
    """A message's text as it stands in a prompt: visible, and on one line."""
    return _NEWLINES.sub(NEWLINE_MARK, _INVISIBLE.sub(r"\1", text).strip())


def speaker(name: str) -> str:
    """A name as it stands before the colon: short, and without what the format itself uses."""
    return " ".join(_NAME_BREAKERS.sub(" ", one_line(name)).split())[:_LONGEST_NAME].strip() or "someone"


def line(turn: Turn) -> str:
    """A turn of the conversation at hand."""
    return f"{speaker(turn.speaker)}: {one_line(turn.text)}"


def quoted_line(turn: Turn, channel: str) -> str:
    """A turn of long ago: dated, placed and marked as a quotation."""
    return f"> {day(turn.at)}, #{speaker(channel)}, {line(turn)}"


def prompt(persona: str, recent: Sequence[str], memories: Sequence[str], asked: str, own_name: str) -> str:
    """The whole text before the reply. What changes least comes first, so that an engine can keep its work."""
    parts = [persona.strip(), "", *recent]
    if memories:
        parts += ["", "(said here before, quoted:)", *memories, ""]
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


def spoken(text: str, own_name: str, others: Sequence[str]) -> str:
    """A model's raw output as the words to send: own name off, other speakers' turns cut, newline marks undone."""
    mark = NEWLINE_MARK.strip()
    text = re.sub(rf"^(?:\s*{re.escape(speaker(own_name))}:)+", "", text, flags=re.IGNORECASE)
    names = "|".join(sorted({re.escape(speaker(name)) for name in (*others, own_name)}))
    text = re.split(rf"(?:^|[\n{mark}])\s*(?:{names}):(?:\s|$)", text)[0]
    return text.replace(NEWLINE_MARK, "\n").replace(mark, "\n").strip()
