"""`docs/troubleshooting.md` names what the program says, and something for each error that a user can meet."""

import re
from collections.abc import Iterator
from typing import Final

from sususbot import errors
from tests.docs_reading import Sentence, prose, sentences

DOCUMENT: Final = "docs/troubleshooting.md"
# Errors whose sentence is made elsewhere than where they are raised: a part of it.
_ELSEWHERE: Final = {
    "AdapterStale": "learned from",
    "BelowThreshold": "keep the adapter you have",
    "BrokenExport": "export again and import once more",
    "ChannelUnknown": "--all needs to know the server",
    "HistoryIncomplete": "the bot may not read",
    "MissingExtra": "needs packages that are not installed",
    "VectorStoreError": "CHROMA_URL",
}
# Told to who asks in a channel, by a sign or another backend's answer, never by a command: docs/operations.md has them.
_NEVER_ENDS_A_COMMAND: Final = {"Busy", "BackendFailed", "NothingToSay"}


def messages() -> list[str]:
    """What stands in the first cells of the tables, as the user sees it; `…` is what differs."""
    cells = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", prose(DOCUMENT), re.MULTILINE)
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


def said(message: str) -> Iterator[Sentence]:
    """The sentences of the program that may look like this."""
    fixed = message.split("…")
    pattern, longest = re.compile(".*".join(map(re.escape, fixed)), re.DOTALL), max(fixed, key=len)
    return (sentence for sentence in sentences() if longest in sentence.text and pattern.search(sentence.text))


def test_each_message_is_one_that_the_program_says() -> None:
    assert len(messages()) > 90
    assert [message for message in messages() if not any(said(message))] == []


def test_every_error_that_ends_a_command_is_there() -> None:
    leaves = {name for name, error in vars(errors).items() if _is_leaf(error)}
    named = {sentence.error for message in messages() for sentence in said(message)}
    named |= {name for name, part in _ELSEWHERE.items() if part in prose(DOCUMENT)}
    assert leaves - named - _NEVER_ENDS_A_COMMAND == set()


def _is_leaf(error: object) -> bool:
    return isinstance(error, type) and issubclass(error, errors.SususError) and not error.__subclasses__()
