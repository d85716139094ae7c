"""Names of people in a text, however they are written: each part that tells who it is, of four letters at least.

In: names, and words that tell nobody. Out: which of the names stand in a text. Texts and names are compared by what is
left once it does not matter what they are drawn with (`wording.lookalikes`), without signs, in single spaces: `Johnny`,
`johnny_doe` and `JohnnyDoe` are found of `✨Johnny Doe✨`.
Not here: whose names these are (`withheld`), inflections, letters that are spaced out.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Final

from sususbot.evaluation.community import spoken
from sususbot.evaluation.prose import sentences
from sususbot.memory.terms import STOP_WORDS
from sususbot.sample import people
from sususbot.wording.lookalikes import UNSEEN, skeleton

SHORTEST: Final = 4
# Of a whole name; digits may be the rest.
_FEWEST_LETTERS: Final = 2
_BETWEEN: Final = re.compile(r"[\W_]+")
# A word with a capital within a sentence.
_NAMED: Final = re.compile(r"(?<=[^\W\d_A-Z] )[A-Z][^\W\d_]*[a-z]\b")


class Names:
    """What of some names is looked for. `known` are those of which something is, in small letters; `uncounted` is how
    many more there are: short ones, and such as are `nobodys`.
    """

    def __init__(self, names: Iterable[str], nobodys: Collection[str] = (), handed_in: Iterable[str] = ()) -> None:
        """`nobodys` are forms that are somebody else's or ordinary words here; names handed in count all the same."""
        looked_for = {name.casefold(): forms(name) - set(nobodys) for name in names}
        looked_for |= {name.casefold(): forms(name) for name in handed_in}
        self.known = tuple(sorted(name for name, some in looked_for.items() if some))
        self.uncounted = len(looked_for) - len(self.known)
        self._of: dict[str, set[str]] = {}
        for name in self.known:
            for form in looked_for[name]:
                self._of.setdefault(form, set()).add(name)
        self._spaced = {form.replace(" ", ""): form for form in self._of}
        longest = sorted(self._of, key=lambda form: (-len(form), form))
        # Of several words it does not matter whether they stand apart.
        written = (re.escape(form).replace(r"\ ", " ?") for form in longest)
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(written)})(?!\w)" if longest else "(?!)")

    def forms_in(self, text: str) -> set[str]:
        """The forms of names that stand in a text; with a whole name its parts."""
        found = {self._spaced[one[0].replace(" ", "")] for one in self._pattern.finditer(read(text))}
        return found | {word for form in found for word in form.split() if word in self._of}

    def found(self, text: str) -> set[str]:
        """The names of which something stands in a text."""
        return {name for form in self.forms_in(text) for name in self._of[form]}


def read(text: str) -> str:
    """A text as names are looked for in it."""
    return " ".join(_BETWEEN.sub(" ", skeleton(text)).split())


def forms(name: str) -> set[str]:
    """The whole of a name, and each part of it that can stand for it; none of a short one."""
    parts = [(_letters(part), skeleton(part)) for part in _BETWEEN.split(_plain(name)) if part]
    words = " ".join(part for _, part in parts)
    # `joe_1987` is nobody else, though `joe` may be.
    long = sum(len(part) for _, part in parts) >= SHORTEST and sum(letters for letters, _ in parts) >= _FEWEST_LETTERS
    whole = {words} if long else set()
    alone = {part for letters, part in parts if letters >= SHORTEST}
    if len(parts) > 1:
        alone -= _english()
    return whole | alone


def nobodys(names: Mapping[int, Collection[str]], ids: Collection[int]) -> set[str]:
    """Forms of the names of these, and words that name nobody anywhere."""
    return {form for id_ in ids for name in names.get(id_, ()) for form in forms(name)} | _stop_words()


def _plain(name: str) -> str:
    return UNSEEN.sub("", unicodedata.normalize("NFKD", name)).casefold()


def _letters(part: str) -> int:
    return sum(map(str.isalpha, part))


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(map(skeleton, STOP_WORDS))


@cache
def _english() -> frozenset[str]:
    """Words of written and spoken English: as a part of a longer name (`the real one`) they tell nobody.

    Of what is spoken, without what is written as a name there: Otto and Maurice are people.
    """
    lines = spoken()
    called = [name for person in people() for name in (person.name, person.display_name)]
    named = {word for text in (*called, *(one for line in lines for one in _NAMED.findall(line))) for word in _in(text)}
    return frozenset(
        {word for line in lines for word in _in(line)} - named | {w for line in sentences() for w in _in(line)}
    )


def _in(text: str) -> list[str]:
    return read(text).split()
