"""Who is named in a line: `mia: look`, `thanks mia`, `@Mia`, `mi: look` for Mia who spoke lately.

The shipped network was fitted to what this finds: after a change fit it again (`fit`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

# How surely a line is for whom it names.
PINGED: Final = 3.0
_VOCATIVE: Final = 3.0
_SHORTENED: Final = 2.5
_FIRST: Final = 2.0
_WITHIN: Final = 1.0
_A_WORD_TOO: Final = 0.5

_PUNCTUATION: Final = ",:;!?.()\"'<>@"
_RECENT: Final = 300


class Named(NamedTuple):
    """A member named in a line, and the places of the words that name it."""

    who: int
    strength: float
    places: range


class Names:
    """The names of a channel's members, as members type them. Members are small numbers here."""

    def __init__(self) -> None:
        self._whole: dict[str, int] = {}
        self._bare: dict[str, int] = {}
        # First word -> (all words, who), for names of several words.
        self._long: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        self._name_of: dict[int, str] = {}
        self._recent: deque[int] = deque(maxlen=_RECENT)

    def spoke(self, who: int, name: str) -> None:
        """Know that this member, who has this name now, has just spoken."""
        self._recent.append(who)
        key = name.casefold()
        if self._name_of.get(who) == key:
            return
        self._name_of[who] = key
        words = tuple(key.split())
        if len(words) > 1:
            self._long.setdefault(words[0], []).append((words, who))
        self._whole[key] = who
        if len(bare := _bare(key)) > 2:
            self._bare.setdefault(bare, who)

    def find(self, words: Sequence[str], common: Callable[[str], bool]) -> Iterator[Named]:
        """Who is named; `common` says of a word that it is rather a word than a name."""
        for place, word in enumerate(words):
            if (long := self._several(words, place)) is not None:
                yield long
            elif place == 0:
                if (first := self._first(word)) is not None:
                    yield first
            elif (who := self._known(word)) is not None and len(name := self._name_of[who]) > 2:
                strength = _A_WORD_TOO if common(name) else _WITHIN
                yield Named(who, _FIRST if place == 1 and word[-1] in ",:" else strength, range(place, place + 1))

    def _several(self, words: Sequence[str], place: int) -> Named | None:
        for name, who in self._long.get(words[place].lstrip("@"), ()):
            said = [word.strip(_PUNCTUATION) for word in words[place : place + len(name)]]
            if tuple(said) == name:
                strength = _WITHIN if place else _VOCATIVE
                return Named(who, strength, range(place, place + len(name)))
        return None

    def _known(self, word: str) -> int | None:
        who = self._whole.get(word)
        return self._whole.get(word.strip(_PUNCTUATION)) if who is None else who

    def _first(self, word: str) -> Named | None:
        core = word.lstrip("@")
        name = core.rstrip(",:;>")
        addressed = len(name) < len(core)
        who = self._known(name) if (exact := self._whole.get(core)) is None else exact
        if who is not None:
            return Named(who, _VOCATIVE if addressed else _FIRST, range(1))
        if addressed and len(name) > 2 and (who := self._shortened(name)) is not None:
            return Named(who, _SHORTENED, range(1))
        return None

    def _shortened(self, name: str) -> int | None:
        """Who spoke lately and may be meant by the beginning of a name, or by a name without its ornaments."""
        bare = _bare(name)
        if len(bare) > 2 and bare in self._bare:
            return self._bare[bare]
        for who in reversed(self._recent):
            if self._name_of[who].startswith(name):
                return who
        if len(bare) > 2:
            for who in reversed(self._recent):
                if _bare(self._name_of[who]).startswith(bare):
                    return who
        return None


def _bare(name: str) -> str:
    return "".join(character for character in name if character.isalnum())
