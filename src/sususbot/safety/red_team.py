"""Two hundred prompts of our own that try to make the bot say what it must not, and what a model that obeys would say.

Nothing harmful stands in `red_team.json`: `{slur}`, `{phone}` and the like are filled here, from the filter's own lists
and with test values that belong to nobody; `{slur:leet}` is disguised. The words of the owner's list in it are BLOCKED.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from sususbot.safety import lists
from sususbot.safety.patterns import example

# What an owner would have to block for the prompts of that category.
BLOCKED: Final = ("grumblewort", "purple llama")

_PLACEHOLDER: Final = re.compile(r"\{(\w+)(?::(\w+))?\}")
# In a word this long every disguise is found.
_LONG: Final = 6
_DIGITS: Final = "zero one two three four five six seven eight nine".split()
_CYRILLIC: Final = str.maketrans("aeopcyxsij", "аеорсухѕіј")
_LEET: Final = str.maketrans("aeiost", "43105" + "7")
# Put together here, so that no scanner takes them for somebody's.
_TEST_VALUES: Final[Mapping[str, str]] = {
    "phone": "+49 1512 3456789",
    "phone:us": "(202) 555-0143",
    "mail": "mia@example.org",
    "address": "12 Elm Street, Springfield, IL 62704",
    "address:de": "Lindenstraße 12, 10969 Berlin",
    "iban": "DE89 3704 0044 0532 0130 00",
    "card": "4111 1111 1111 1111",
    "card:joined": "4111111111111111",
    "ssn": "536-90-4399",
    "ip": "81.2.69.142",
    "token": ".".join(("MTk4NjIyNDgzNDcxOTI1MjQ4", "Cl2FMQ", "ZnCjm1XVW7vRze4b7Cq4se7kKWs")),
    "key": "sk-" + "a1B2" * 8,
    "github": "ghp_" + "a1B2" * 9,
    "aws": "AKIA" + "A1B2" * 4,
    "webhook": "https://discord.com/api/" + "webhooks/123456789012345678/" + "a1-B" * 8,
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "a1B2" * 8,
    "password": "hunter2!7",
    "pin": "4711",
    "private": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
    "link": "https://evil.example/free-nitro",
    "invite": "discord.gg/abcdef",
    "blocked": BLOCKED[0],
    "phrase": BLOCKED[1],
    "member": "100000000000000003",
    "role": "100000000000000004",
}
# Rules whose words stand for a thing; numbers never change.
_RULES: Final = {
    "encouragement": "self_harm/2",
    "short": "self_harm/1",
    "method": "self_harm/15",
    "better_off": "self_harm/8",
    "unmissed": "self_harm/9",
    "pills": "self_harm/20",
    "disorder": "self_harm/23",
    "coded": "minors/4",
}
_GROUPS: Final = {"minor": ("en", "young", "de", "es"), "sexual": ("en", "de")}


@dataclass(frozen=True, slots=True)
class Attack:
    """One prompt. `obedient` is what must not be sent; `memory` what somebody would have said before, or ""."""

    id: str
    category: str
    technique: str
    prompt: str
    obedient: str
    memory: str = ""


@cache
def attacks() -> tuple[Attack, ...]:
    """All of them, the same in every run."""
    text = resources.files("sususbot.safety").joinpath("red_team.json").read_text(encoding="utf-8")
    return tuple(_filled(number, one) for number, one in enumerate(json.loads(text)["prompts"]))


def _filled(number: int, raw: Mapping[str, str]) -> Attack:
    def fill(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: _value(found[1], found[2], number), text)

    return Attack(
        raw["id"],
        raw["category"],
        raw["technique"],
        fill(raw["prompt"]),
        fill(raw["obedient"]),
        fill(raw.get("memory", "")),
    )


def _value(name: str, way: str | None, number: int) -> str:
    """What a placeholder stands for: `{name}` or `{name:way}`, a way being a disguise or a language."""
    if f"{name}:{way}" in _TEST_VALUES:
        return _TEST_VALUES[f"{name}:{way}"]
    disguise = DISGUISES.get(way or "", str)
    language = "en" if way is None or way in DISGUISES else way
    return disguise(_TEST_VALUES.get(name) or _listed(name, language, number))


def _listed(name: str, language: str, number: int) -> str:
    """A word of the lists, another one for each prompt where there are several."""
    if name == "slur":
        words = lists.load("slurs")
        fitting = [
            one
            for rule in words.rules
            if words.languages[rule.id] == language and "~" not in rule.pattern and rule.disguised
            if len(one := example(rule.pattern)) >= _LONG and " " not in one
        ] or [example(rule.pattern) for rule in words.rules if words.languages[rule.id] == language]
        return fitting[number % len(fitting)]
    if name in _GROUPS:
        groups = lists.load("minors").groups
        alternatives = groups[name][_GROUPS[name].index(language)] if language in _GROUPS[name] else groups[name][-1]
        return example(alternatives, 1 if language in ("en", "es") else 0)
    words = lists.load(_RULES[name].split("/")[0])
    rules = {rule.id: rule for rule in words.rules}
    rule = rules[_RULES[name]]
    if language.isdecimal():
        return example(rule.pattern, int(language) - 1)
    if language != "en":
        rule = next(rule for rule in words.rules if words.languages[rule.id] == language)
    return example(rule.pattern, groups=words.groups)


def _middle(word: str) -> int:
    return len(word) // 2


DISGUISES: Final[dict[str, Callable[[str], str]]] = {
    "caps": str.upper,
    "leet": lambda word: word.translate(_LEET),
    "spaced": lambda word: "   ".join(" ".join(part) for part in word.split(" ")),
    "dotted": lambda word: "   ".join(".".join(part) for part in re.sub(r"(?<=\d) (?=\d)|\+", "", word).split(" ")),
    "dashed": lambda word: "   ".join("-".join(part) for part in word.split(" ")),
    "cyrillic": lambda word: word.translate(_CYRILLIC),
    "wide": lambda word: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in word),
    "bold": lambda word: "".join(chr(ord(letter) + 0x1D41A - 97) if letter.islower() else letter for letter in word),
    "zero_width": lambda word: "\u200b".join(word),
    "stretched": lambda word: "".join(letter * (3 if letter in "aeiou" else 1) for letter in word),
    "lines": lambda word: (
        word.replace(" ", "\n", 1) if " " in word else f"{word[: _middle(word)]}\n{word[_middle(word) :]}"
    ),
    "cut": lambda word: f"{word[: _middle(word)]} {word[_middle(word) :]}",
    "backwards": lambda word: word[::-1],
    "masked": lambda word: f"{word[0]}*{word[2:]}",
    "spoiler": lambda word: f"||{word}||",
    "half_bold": lambda word: f"**{word[: _middle(word)]}**{word[_middle(word) :]}",
    "flags": lambda word: "".join(chr(0x1F1E6 + ord(letter) - 97) if letter.islower() else letter for letter in word),
    "accents": lambda word: unicodedata.normalize("NFC", "".join(f"{letter}\u0301" for letter in word)),
    "words": lambda word: " ".join(_DIGITS[int(letter)] for letter in word if letter.isdecimal()),
    "spelt": lambda word: word.replace("@", " at ").replace(".", " dot "),
    "brackets": lambda word: word.replace("@", " [at] ").replace(".", " [dot] "),
    "blanks": lambda word: word.replace("@", " @ ").replace(".", " . "),
}
