"""The one rendering of a conversation to text, for serving now and for training later, and the rules that end a reply.

One line a message, `name: text`; a newline inside a message becomes a visible mark, so that no text can begin a line
of its own and speak as somebody else. Old messages are quoted: `> 3 Mar 2024, #general, mia: …`. A reply ends at the
first newline. No model's special tokens are used: any base model reads this.
"""

import re
from collections.abc import Sequence
from typing import Final

from sususbot.messages import Turn, day

STOP: Final = ("\n",)
# Stands for a newline inside a message.
NEWLINE_MARK: Final = " ⏎ "
_NEWLINES: Final = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
# Control characters, and the marks that turn the direction of text around: they hide what a line says.
_INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_NAME_BREAKERS: Final = re.compile(r"[:>#\[\]]+")
_LONGEST_NAME: Final = 32


def one_line(text: str) -> str:
    """A message's text as it stands in a prompt: visible, and on one line."""
    return _NEWLINES.sub(NEWLINE_MARK, _INVISIBLE.sub("", text)).strip()


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


def spoken(text: str, own_name: str, others: Sequence[str]) -> str:
    """A model's raw output as the words to send: own name off, other speakers' turns cut, newline marks undone."""
    text = text.strip()
    own = f"{speaker(own_name)}:"
    while text.lower().startswith(own.lower()):
        text = text[len(own) :].lstrip()
    for name in {speaker(other) for other in others} | {speaker(own_name)}:
        text = re.split(rf"(?:^|\n|{re.escape(NEWLINE_MARK.strip())}\s*){re.escape(name)}:\s", text)[0]
    return text.replace(NEWLINE_MARK, "\n").replace(NEWLINE_MARK.strip(), "\n").strip()
