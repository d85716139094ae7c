"""What to look for, in a small language, and finding it in what a text says.

A pattern is words, each with its alternatives: `(s|es)` behind a word may follow, `a|b` are two words in one place, `?`
behind a word makes it optional, `*` stands for any letters, `~4` for up to four words, `{name}` for a group of words.
A pattern of one word, or of plain words alone, is found in disguise, too: cut in two, run together, backwards, letters
masked (`h*te`) or one by one. Borders of words count: `ass` is not in `class`. Exceptions are patterns of what is fine.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from math import prod
from typing import Final

from sususbot.safety.reading import Reading, collapsed, drawn, folded

_GAP: Final = re.compile(r"~(\d+)")
_GROUP: Final = re.compile(r"\{(\w+)\}")
_ENDINGS: Final = re.compile(r"^(.*)\(([^()]*)\)$")
_APOSTROPHE: Final = re.compile("['’]")
_NO_LETTER: Final = re.compile(r"[^\w*]+")
# Shorter words stand in others by chance where something is left out, or put together.
_CUT: Final = 5
_BACKWARDS: Final = 6
_PIECE: Final = 2
# Of a word this short a letter twice makes another word.
_SHORT: Final = 5
_LONG: Final = 4
_VISIBLE: Final = 3
# Plain forms of one rule; beyond, the rule is found as it stands alone.
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` in the language above. `disguised`: also found cut in two, run together and backwards."""

    id: str
    pattern: str
    disguised: bool = True


class _Compiled:
    """A regular expression for a line of words, or for one word.

    Compiled when it is first looked for: of thousands, a bot meets a few, and all of them take a second at each start.
    """

    __slots__ = ("_regex", "id")

    def __init__(self, id_: str, regex: str) -> None:
        self.id = id_
        self._regex: str | re.Pattern[str] = regex

    @property
    def regex(self) -> re.Pattern[str]:
        if isinstance(self._regex, str):
            self._regex = re.compile(self._regex)
        return self._regex


class Patterns:
    """Rules, each compiled once. Safe in any thread."""

    def __init__(
        self, rules: Iterable[Rule], exceptions: Iterable[str] = (), groups: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """`groups`: the words that `{name}` stands for. Raises ValueError for a pattern that is none."""
        self._groups = groups or {}
        self._begin: dict[str, list[_Compiled]] = defaultdict(list)
        self._anywhere: list[_Compiled] = []
        # Plain words by their keys; those that are found run together, cut and backwards; and by their first letter.
        self._plain: dict[str, list[_Compiled]] = defaultdict(list)
        self._run: dict[str, list[_Compiled]] = defaultdict(list)
        self._initial: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for rule in rules:
            self._add(rule)
        self._lengths = sorted({len(key) for key in self._plain})
        self._exceptions = [_Compiled("", self._regex(pattern)) for pattern in exceptions]

    def find(self, reading: Reading) -> str | None:
        """The id of a rule that fits, or None."""
        allowed: list[tuple[int, int]] | None = None
        for id_, start, end in self._spans(reading):
            if allowed is None:
                allowed = [found.span() for one in self._exceptions for found in one.regex.finditer(reading.line)]
            if not any(begin <= start and end <= stop for begin, stop in allowed):
                return id_
        return self._spelled(reading) or self._pieced(reading) or self._masked(reading)

    def _spans(self, reading: Reading) -> Iterator[tuple[str, int, int]]:
        line = reading.line
        before, before_key = "", ""
        for word, key, start in zip(reading.words, reading.keys, reading.starts, strict=True):
            for one in self._begin.get(key, ()):
                if found := one.regex.match(line, start):
                    yield one.id, start, found.end()
            # One word that is two, run together; and two words that are one, cut in two.
            for one in self._run.get(key, ()):
                if one.regex.fullmatch(word):
                    yield one.id, start, start + len(word) + 1
            for one in self._run.get(before_key + (key[1:] if before_key[-1:] == key[0] else key), ()):
                if min(len(before), len(word)) >= _PIECE and one.regex.fullmatch(before + word):
                    yield one.id, start - len(before) - 1, start + len(word) + 1
            before, before_key = word, key
        for one in self._anywhere:
            for place in one.regex.finditer(line):
                yield one.id, line.rfind(" ", 0, place.start()) + 1, place.end()

    def _spelled(self, reading: Reading) -> str | None:
        """Within letters that stood apart, whatever stands before and behind."""
        for word, marked in reading.spelled:
            shortest = _VISIBLE if marked else _LONG
            key = collapsed(word)
            parts = (key[at : at + length] for at in range(len(key)) for length in self._lengths)
            for one in (one for part in parts for one in self._plain.get(part, ())):
                found = one.regex.search(word)
                if found and len(found[0]) >= shortest:
                    return one.id
        return None

    def _pieced(self, reading: Reading) -> str | None:
        ids = (
            one.id
            for word in reading.pieced
            for one in self._plain.get(collapsed(word), ())
            if one.regex.fullmatch(word)
        )
        return next(ids, None)

    def _masked(self, reading: Reading) -> str | None:
        """`h*te` and `h**e`: at least three letters are seen, and at least half of them."""
        for word in reading.masked:
            letters = len(word) - word.count("*")
            if letters < _VISIBLE:
                continue
            regex = re.compile(re.escape(word).replace(r"\*", r"\w{1,3}"))
            for id_, plain in self._initial.get(word[0], ()):
                if letters < len(plain) <= letters * 2 and regex.fullmatch(plain):
                    return id_
        return None

    def _add(self, rule: Rule) -> None:
        elements = rule.pattern.split()
        if not elements or elements[0][0] in "~?" or elements[0].endswith("?"):
            raise ValueError("a pattern begins with a word")
        first = self._alternatives(elements[0])
        if not all(re.search(r"[^\W_]", word) for word in first):
            raise ValueError("a word of a pattern has letters or digits")
        compiled = _Compiled(rule.id, self._regex(rule.pattern))
        if any("*" in word for word in first):
            self._anywhere.append(compiled)
        else:
            for key in dict.fromkeys(collapsed(_form(word).split()[0]) for word in first):
                self._begin[key].append(compiled)
        self._add_disguises(rule)

    def _add_disguises(self, rule: Rule) -> None:
        """What plain words look like without the blanks, cut in two, and backwards."""
        elements = rule.pattern.strip("*").split()
        if any(re.search(r"[*~?]", element) for element in elements):
            return
        alternatives = [*map(self._alternatives, elements)]
        if prod(map(len, alternatives)) > _MOST or any("*" in word for words in alternatives for word in words):
            return
        for words in product(*alternatives):
            plain = "".join(_form(word).replace(" ", "") for word in words)
            compiled = _Compiled(rule.id, _repeatable(plain))
            self._plain[collapsed(plain)].append(compiled)
            self._initial[plain[0]].append((rule.id, plain))
            if rule.disguised and len(plain) >= _CUT:
                self._run[collapsed(plain)].append(compiled)
            if rule.disguised and len(plain) >= _BACKWARDS:
                self._run[collapsed(plain[::-1])].append(_Compiled(rule.id, _repeatable(plain[::-1])))

    def _regex(self, pattern: str) -> str:
        """For a line of words with a blank behind each. Not bound to the line's begin where it begins with `*`."""
        parts: list[str] = []
        elements = pattern.split()
        border = r"(?<![^ ])"
        for place, element in enumerate(elements):
            if gap := _GAP.fullmatch(element):
                parts.append(rf"(?:\S+ ){{0,{gap[1]}}}?")
                continue
            optional = element.endswith("?")
            words = self._alternatives(element.removesuffix("?"))
            if place == 0 and all(word.startswith("*") for word in words):
                border, words = "", [word.removeprefix("*") for word in words]
            regexes = map(_word, words)
            parts.append(f"(?:{'|'.join(regexes)}){'?' if optional else ''}")
        return border + "".join(parts)

    def _alternatives(self, element: str) -> list[str]:
        """The words an element stands for, endings and groups written out."""
        words: list[str] = []
        for alternative in _split(element.removesuffix("?")):
            if group := _GROUP.fullmatch(alternative):
                if group[1] not in self._groups:
                    raise ValueError(f"there is no group {group[1]}")
                words += [word for member in self._groups[group[1]] for word in self._alternatives(member)]
            elif ending := _ENDINGS.match(alternative):
                words += [ending[1], *(ending[1] + one for one in ending[2].split("|"))]
            else:
                words.append(alternative)
        return words


def example(pattern: str, choice: int = 0, groups: Mapping[str, Sequence[str]] | None = None) -> str:
    """A text that fits a pattern: of each word's alternatives this one, or the last, and nothing in the gaps."""
    words = []
    for element in pattern.split():
        if _GAP.fullmatch(element):
            continue
        alternatives = _split(element.removesuffix("?"))
        word = alternatives[min(choice, len(alternatives) - 1)]
        if group := _GROUP.fullmatch(word):
            word = example((groups or {})[group[1]][0], choice, groups)
        words.append(_ENDINGS.sub(r"\1", word).replace("*", "").replace("-", " "))
    return " ".join(words)


def _split(element: str) -> list[str]:
    """Alternatives at bars that stand outside of brackets."""
    return re.split(r"\|(?![^(]*\))", element)


def _form(word: str) -> str:
    """A word of a pattern in the form that texts are read in."""
    return " ".join(map(drawn, _parts(word)))


def _word(word: str) -> str:
    """A regular expression for a word, or several, each with the blank behind it."""
    return "".join(
        r"\S*".join(_repeatable(drawn(piece)) if piece else "" for piece in part.split("*")) + " "
        for part in _parts(word)
    )


def _parts(word: str) -> list[str]:
    """`-` and whatever else is no letter stands for a blank; an apostrophe for nothing, as where texts are read."""
    return _NO_LETTER.sub(" ", _APOSTROPHE.sub("", folded(word)).replace("_", " ")).split()


def _repeatable(word: str) -> str:
    """A word, each letter as often as it stands there, or more; in a short one thrice: twice is another."""
    if word.isdecimal():
        return re.escape(word)
    runs = [(re.escape(letter), len(list(run))) for letter, run in groupby(word)]
    if len(word) <= _SHORT:
        return "".join(f"(?:{letter}{{{max(3, count)},}}|{letter}{{{count}}})" for letter, count in runs)
    return "".join(f"{letter}{{{count},}}" for letter, count in runs)
