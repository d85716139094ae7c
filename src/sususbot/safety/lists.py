"""The lists of what must not be said: files beside this one, in ROT13, so that nobody reads them by chance.

    python -m sususbot.safety.lists slurs

prints one in plain letters. A line is a rule (`17 en surge PATTERN`: its number, which never changes, the language,
where it is from), a group of words (`= NAME PATTERN`), or an exception (`- PATTERN`); `!` before the pattern: never
looked for in disguise, since other words look like it then. `patterns` has the language of patterns.
"""

import codecs
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Final

from sususbot.safety.patterns import Patterns, Rule

LISTS: Final = ("slurs", "minors", "self_harm")


@dataclass(frozen=True, slots=True)
class WordList:
    """A list as it is written down. `groups`: name to its alternatives; `languages`: of each rule, by its id."""

    rules: tuple[Rule, ...]
    exceptions: tuple[str, ...]
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    languages: dict[str, str] = field(default_factory=dict)


@lru_cache(8)
def load(name: str) -> WordList:
    """One of LISTS; the rules' ids are `name/number`."""
    rules: list[Rule] = []
    exceptions: list[str] = []
    groups: dict[str, tuple[str, ...]] = {}
    languages: dict[str, str] = {}
    for line in _lines(name):
        head, _, rest = line.partition(" ")
        if head == "-":
            exceptions.append(rest)
        elif head == "=":
            group, _, words = rest.partition(" ")
            groups[group] = (*groups.get(group, ()), words)
        else:
            language, _source, pattern = rest.split(" ", 2)
            rule = Rule(f"{name}/{head}", pattern.removeprefix("!").strip(), disguised=not pattern.startswith("!"))
            rules.append(rule)
            languages[rule.id] = language
    return WordList(tuple(rules), tuple(exceptions), groups, languages)


@lru_cache(8)
def compiled(name: str) -> Patterns:
    """The same, ready to look for."""
    words = load(name)
    return Patterns(words.rules, words.exceptions, words.groups)


def _lines(name: str) -> list[str]:
    """Lines that say something, in plain letters."""
    lines = (line.rstrip() for line in _text(name).splitlines())
    return [plain(line) for line in lines if line and not line.startswith("#")]


def _text(name: str) -> str:
    return resources.files("sususbot.safety").joinpath(f"{name}.txt").read_text(encoding="utf-8")


def plain(line: str) -> str:
    """A line of a file with its last part, the pattern, turned by ROT13; turning twice gives it back."""
    head, _, rest = line.partition(" ")
    if head == "-":
        return f"- {codecs.encode(rest, 'rot13')}"
    if head == "=":
        name, _, words = rest.partition(" ")
        return f"= {name} {codecs.encode(words, 'rot13')}"
    language, source, pattern = rest.split(" ", 2)
    return f"{head} {language} {source} {codecs.encode(pattern, 'rot13')}"


if __name__ == "__main__":
    print("\n".join(line for name in sys.argv[1:] or LISTS for line in _lines(name)))
