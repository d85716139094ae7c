"""What a model made of some talk, held against the talk itself.

Summarizers learned from news and from tidy chats of two: they name people and places that nobody mentioned, and say
"the man". So a sentence that brings up a name or number that does not stand in the talk is left out, and where nobody
is named, those who spoke are.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from sususbot.chat_format import NEWLINE_MARK, one_line
from sususbot.errors import BackendFailed
from sususbot.memory.summarizer.summarizer import LONGEST, Said
from sususbot.memory.terms import STOP_WORDS
from sususbot.messages import joined_names

_SENTENCES: Final = re.compile(r"(?<=[.!?])\s+")
_WORD: Final = re.compile(r"\w+(?:['’]\w+)*")
_TELLING: Final = re.compile(r"\d|\w[A-Z]|^[A-Z]")
# Words with a capital that name nobody: always, and where a sentence begins.
_PLAIN: Final = frozenset({"i", "ok"})
_OPENING: Final = STOP_WORDS | frozenset(
    """after all also although another before both everybody everyone finally first friends later many members most
    nobody now once one others participants people several since some somebody someone then today tomorrow two until
    users while yesterday yet""".split()
)
_CUT: Final = " …"
# Names in front of a gist that has none.
_NAMED: Final = 5


def checked(raw: str, said: Sequence[Said]) -> str:
    """One line that may be shown. Raises BackendFailed where nothing of it holds."""
    text = " ".join(one_line(raw).replace(NEWLINE_MARK.strip(), " ").split())
    source = _known(said)
    holds = [
        sentence for sentence in _SENTENCES.split(text) if _WORD.search(sentence) and not _invents(sentence, source)
    ]
    if not holds:
        raise BackendFailed("what it made of the talk names things that nobody said")
    gist = " ".join(holds)
    if not names_somebody(gist, said):
        speakers = list(dict.fromkeys(one.speaker for one in said))
        others = ["others"] if len(speakers) > _NAMED else []
        gist = f"{joined_names([*speakers[:_NAMED], *others])} talked: {gist}"
    return shortened(gist)


def names_somebody(text: str, said: Iterable[Said]) -> bool:
    """Whether one of those who spoke stands in a text by name."""
    return any(re.search(rf"(?<!\w){re.escape(one.speaker)}(?!\w)", text, re.IGNORECASE) for one in said)


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of so many characters at most, cut between words, with a mark where it was."""
    if len(text) <= longest:
        return text
    head = text[: longest - len(_CUT)]
    return (head[: head.rfind(" ")] if " " in head[longest // 2 :] else head).rstrip() + _CUT


def _known(said: Iterable[Said]) -> frozenset[str]:
    """Every word of the talk and of its names."""
    return frozenset(word.casefold() for one in said for word in _WORD.findall(one.line))


def _invents(sentence: str, source: frozenset[str]) -> bool:
    """Whether a sentence names something new: a word with a capital or figure that was not said."""
    first, *rest = _WORD.findall(sentence)
    opens = first.casefold() in _OPENING or first.endswith("ing")
    telling = (word for word in (rest if opens else [first, *rest]) if _TELLING.search(word))
    return not all(_stands_in(word.casefold(), source) for word in telling)


def _stands_in(word: str, source: frozenset[str]) -> bool:
    """`mia's` is `mia`, and `5` stands in `5pm`."""
    bare = re.split(r"['’]", word)[0]
    if bare in source or bare in _PLAIN or word in source:
        return True
    return bare.isdigit() and any(bare in re.findall(r"\d+", known) for known in source)
