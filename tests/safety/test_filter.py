"""The filter: what it stops, in which disguises, and what it leaves alone. Slurs are taken from the list by number."""

import gzip
import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import orjson
import pytest

from sususbot import env_file, sample
from sususbot.safety import lists
from sususbot.safety.filter import CATEGORIES, Hit, OutputFilter, Verdict
from sususbot.safety.patterns import Patterns, Rule, example
from sususbot.safety.reading import read
from sususbot.safety.red_team import DISGUISES
from sususbot.settings import FILTERS

FILTER: Final = OutputFilter()
GITTER: Final = Path(__file__).parents[3] / "shared" / "data" / "gitter"
# Disguises of numbers and of addresses, and those that only long words are found in.
OF_CONTACTS: Final = {"words", "spelt", "brackets", "blanks"}
LONG_WORDS: Final = {"lines", "cut", "backwards", "masked"}


def hit(text: str, output: OutputFilter = FILTER) -> str | None:
    found = output.check(text).hit
    return found.rule if found else None


def plain_words(name: str) -> dict[str, str]:
    """Rules of one plain word, and the word."""
    rules = [rule for rule in lists.load(name).rules if rule.disguised and not set(rule.pattern) & set("~?{ ")]
    return {rule.id: example(rule.pattern) for rule in rules if " " not in example(rule.pattern)}


@pytest.mark.parametrize("name", lists.LISTS)
def test_every_rule_finds_its_own_example_in_a_sentence(name: str) -> None:
    words = lists.load(name)
    patterns = lists.compiled(name)
    for rule in words.rules:
        for choice in range(3):
            text = example(rule.pattern, choice, words.groups)
            assert patterns.find(read(f"well, {text}! ok?")), (rule.id, choice)


def test_numbers_of_rules_are_each_given_once() -> None:
    for name in lists.LISTS:
        ids = [rule.id for rule in lists.load(name).rules]
        assert len(ids) == len(set(ids)) > 5
        assert lists.load(name).languages.keys() == set(ids)


def test_a_list_is_turned_and_turned_back() -> None:
    for line in ("17 en own  uryyb", "= minor n|o", "- uryyb jbeyq"):
        assert lists.plain(lists.plain(line)) == line


@pytest.mark.parametrize("disguise", sorted(DISGUISES.keys() - OF_CONTACTS))
def test_slurs_are_found_in_every_disguise(disguise: str) -> None:
    tried = 0
    for word in plain_words("slurs").values():
        if not word.isascii() or (disguise in LONG_WORDS and len(word) < 6) or len(word) < 4:
            continue
        tried += 1
        text = f"you are a {DISGUISES[disguise](word)}, you know"
        found = FILTER.check(text).hit
        assert found, text
        assert found.category == "slurs"
    assert tried > 15


def test_more_digits_stand_for_letters_where_they_are_no_colour() -> None:
    word = plain_words("slurs")["slurs/1"]
    assert hit(f"you {word.replace('g', '9')}") == "slurs/1"
    assert hit(f"you {word.replace('g', '6')}") == "slurs/1"
    assert hit("color: #fa9; background: #fa6") is None


@pytest.mark.parametrize("mark", ["|", "/", "_", "~", " . ", "👏", "\n"])
def test_whatever_stands_between_letters(mark: str) -> None:
    for rule in ("slurs/1", "slurs/19"):
        assert hit(mark.join(plain_words("slurs")[rule])) == rule


@pytest.mark.parametrize("style", ["~~", "||", "__", "`", "**"])
def test_a_word_half_in_a_style_is_one_word(style: str) -> None:
    word = plain_words("slurs")["slurs/19"]
    assert hit(f"{style}{word[:2]}{style}{word[2:]}") == "slurs/19"


FINE = [
    "Scunthorpe, Penistone, Lightwater and Clitheroe are towns", "a classic assessment of the class",
    "the cockpit of a peacock", "snigger, sniggering, niggle, niggardly, Niger and Nigeria", "Montenegro is lovely",
    "raccoons, cocoon, tycoon", "spic and span", "a maine coon is a cat", "a chink in the armour", "a chink of light",
    "he is en retard", "Pakistan", "fire retardant foam", "the tranny fluid of my truck", "kaffir lime leaves",
    "a pack of fags", "fag end of the day", "Japan, japanese, japes", "gobbledygook", "hey go ok",
    "Pollack and Pollock painted", "read the api key docs", "grol, d-link", "less boo.out",
    "let it regen", "example.org/en", "only 600k of it", "woops, woop", "C F A G", "play F, A, G",
    "a*b + c*d",
    "x = f*g", "he said, a bean errand", "dike, dyke and Van Dyke", "don't kill yourself over it",
    "please never hurt yourself", "I killed it", "you'll shoot yourself in the foot", "kill the process yourself",
    "kill -9 yourself? no, use kill 1234", "end of life", "end your sentence with a dot",
    "you better die trying", "you need to die three times", "you will kill yourself with that workload",
    "end your life sentence", "ich bring dich um 8 Uhr zum Bahnhof", "hang yourself a nice picture",
    "a minor character, sexy outfit", "I'm 16% done with porn", "noir sur blanc, sale noir sur blanc",
    "a chink in her defense", "spic n span", "coon hunting",
    "we all die one day",
    "jump off the stack", "he drank bleach in that film, awful", "cut yourself a slice",
    "how to die in style: a musical", "a lethal weapon", "overdose of coffee", "you should diet", "dying of laughter",
    "sex education for kids", "the kids are asleep", "a minor update", "kind of sexy", "she is 24 years old and sexy",
    "sexual abuse of children is a crime", "I'm 15 minutes late and naked under the coat", "child process",
    "naked eye", "version 1.2.3.4 of 2024-01-02", "v10.15.7 and 192.168.0.1", "$12.99, 1,299.00 € or 100%",
    "issue #12345 and PR 6789", "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "18:30-19:45 on 24.12.2025",
    "call me at 5", "1 2 3 4 5 6 7 8 9 10", "one two three four five six seven eight nine", "0 1 1 0 1 0 0 1",
    "look at github.com", "at one point it asks me",
    "from flask import request\n@app.route('/x/')",
    "at once. It was", "@mia @tom ok", "password: ?", "what's the password?",
    "the password is wrong", "token = getToken()", "apartment 12 is nice", "9.8.7.6.5.4.3.2.1.0 liftoff",
    "123456789012345678", "<@123456789012345678> hi", "2 bedrooms, 3 baths, 1200 sqft",
]  # fmt: skip


@pytest.mark.parametrize("text", FINE)
def test_what_only_looks_like_it_is_let_through(text: str) -> None:
    assert FILTER.check(text) == Verdict(text)


STOPPED = {
    "please kill yourself": "self_harm", "#killyourself": "self_harm", "k*ll yourself": "self_harm",
    "k y s": "self_harm",
    "c.h.i.l.d p.o.r.n": "minors", "m i a @ e x a m p l e . o r g": "doxxing", "81[.]2[.]69[.]142": "doxxing",
    "I don't care, kill yourself": "self_harm", "never mind. kill yourself": "self_harm",
    "why don't you kill yourself": "self_harm", "kys": "self_harm",
    "k.y.s": "self_harm", "KILL... YOURSELF": "self_harm", "kill\nyourself": "self_harm", "go and die": "self_harm",
    "she is 14 and sexy": "minors", "a 15-year-old, so horny": "minors", "sexy seventeen year old": "minors",
    "mia@example.org": "doxxing", "MIA @ EXAMPLE.ORG": "doxxing", "mia at example dot org": "doxxing",
    "+44 20 7946 0958": "doxxing", "12 Elm Street": "doxxing", "４１１１ １１１１ １１１１ １１１１": "doxxing",
    "his ip is 81.2.69.142": "doxxing", "password=hunter2!": "secrets", "AKIA" + "A1B2" * 4: "secrets",
    "the pin is 4711": "secrets", "zero two zero seven nine four six zero nine five eight": "doxxing",
}  # fmt: skip


@pytest.mark.parametrize(("text", "category"), STOPPED.items())
def test_what_must_not_be_said_is_stopped(text: str, category: str) -> None:
    found = FILTER.check(text).hit
    assert found is not None
    assert found.category == category
    assert found.rule.startswith(f"{category}/")


def test_a_hit_tells_the_rule_and_no_word() -> None:
    verdict = FILTER.check("write to mia@example.org")
    assert verdict.hit == Hit("doxxing", "doxxing/mail")


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_can_be_left_out(category: str) -> None:
    examples = {
        "slurs": plain_words("slurs")["slurs/19"],
        "minors": "sexy schoolgirl",
        "self_harm": "kill yourself",
        "doxxing": "mia@example.org",
        "secrets": "password=hunter2!",
    }
    assert OutputFilter([category]).check(examples[category]).hit is not None
    assert OutputFilter(set(CATEGORIES) - {category}).check(examples[category]).hit is None


def test_categories_are_those_of_the_settings() -> None:
    assert FILTERS == CATEGORIES == env_file.checked({}).filter
    assert env_file.checked({"filter": "off"}).filter == ()
    with pytest.raises(ValueError, match="there is no category manners"):
        OutputFilter(["manners"])


def test_the_lines_instead_may_be_said() -> None:
    lines = env_file.checked({}).deflect_lines + env_file.checked({}).fallback_lines
    assert FILTER.check(lines) == Verdict(lines)


# -- the owner's words


def test_words_of_the_owner_are_stopped_with_their_number() -> None:
    output = OutputFilter((), ["grumbl*", "purple llama", "ass", "*wort", "été"])
    assert hit("so GRUMBLING, that", output) == "blocked/1"
    assert hit("a purple   llama", output) == "blocked/2"
    assert hit("a purple-llama", output) == "blocked/2"
    assert hit("a purplellama", output) == "blocked/2"
    assert hit("p.u.r.p.l.e llama", output) == "blocked/2"
    assert hit("you 4ss", output) == "blocked/3"
    assert hit("it is ribwort", output) == "blocked/4"
    assert hit("l'ete est la: ete", output) == "blocked/5"
    for fine in ("class", "as", "crumbling", "purple alpaca", "worthog"):
        assert hit(fine, output) is None, fine


def test_what_is_fine_on_a_server_can_be_allowed() -> None:
    word = plain_words("slurs")["slurs/19"]
    assert hit(f"our {word} of the town", OutputFilter(["slurs"], allowed_words=[f"{word} of the town"])) is None
    assert hit(f"you {word}", OutputFilter(["slurs"], allowed_words=[f"{word} of the town"])) == "slurs/19"
    assert hit(f"you {word}", OutputFilter(["slurs"], allowed_words=[word])) is None


@pytest.mark.parametrize("pattern", ["", "?", "* ?", "~3 a", "a? b", "{nothing} a"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        Patterns([Rule("x", pattern)])


def test_patterns_have_endings_gaps_and_optional_words() -> None:
    patterns = Patterns(
        [Rule("1", "big|large ~2 {thing} now?"), Rule("2", "hat(s|ter)")], groups={"thing": ["dog|cat(s)"]}
    )
    for text in ("big dog", "large old grey cats now", "BIG 3 cat!"):
        assert patterns.find(read(text)) == "1", text
    for text in ("hat", "hats", "hatter", "h4ts", "h-a-t-t-e-r"):
        assert patterns.find(read(text)) == "2", text
    for text in ("big", "big one two three dog", "bigdog", "hate", "that"):
        assert patterns.find(read(text)) is None, text


# -- links and invites


SAID = ["look: https://example.org/a?b=c.", "and <https://example.com>"]
LINKS = {
    "see https://example.org/a?b=c": ("see", "see https://example.org/a?b=c"),
    "see HTTPS://EXAMPLE.org/a?b=c!": ("see !", "see HTTPS://EXAMPLE.org/a?b=c!"),
    "https://example.com/": ("", "https://example.com/"),
    "https://example.org/A?b=c": ("", ""),
    "https://example.org/a?b=c&d": ("", ""),
    "https://other.example": ("", ""),
    "<https://other.example> ok": ("ok", "ok"),
    "[words](https://other.example) ok": ("words ok", "words ok"),
    "[words](https://example.com) ok": ("words ok", "[words](https://example.com) ok"),
    "[https://example.com](https://other.example)": ("", "https://example.com"),
    "(https://other.example) ok": ("ok", "ok"),
    "ht\u200btps://other.example ok": ("ok", "ok"),
    "http://other.example/a_(b) ok": ("ok", "ok"),
    "no link: just words": ("no link: just words", "no link: just words"),
    "é ok": ("é ok", "é ok"),
}


@pytest.mark.parametrize(("text", "left"), LINKS.items())
def test_links_go_out_as_set(text: str, left: tuple[str, str]) -> None:
    assert OutputFilter(links="none").check(text, said=SAID).text == left[0]
    assert OutputFilter(links="said").check(text, said=SAID).text == left[1]
    assert OutputFilter(links="all").check(text, said=SAID).text == text


INVITES = [
    "discord.gg/abc", "https://discord.gg/abc", "HTTPS://DISCORD.GG/ABC", "discord.com/invite/abc",
    "www.discordapp.com/invite/abc", "<https://discord.gg/abc>", "discord . gg / abc", "d.i.s.c.o.r.d.gg/abc",
    "discord(dot)gg/abc", "discord[.]gg/abc", "dіscord.gg/abc", "disc\u200bord.gg/abc", "ｄｉｓｃｏｒｄ．ｇｇ／ａｂｃ",
    "discord.gg/\nabc", "discord.gg\\abc", "disc0rd.gg/abc", "dsc.gg/abc", "discord.me/abc", "invite.gg/abc",
    "discord.gg/invite/abc", "**discord.gg/**abc", "discord.gg/a discord.gg/b", "discord.discord.gg/xgg/y",
]  # fmt: skip


@pytest.mark.parametrize("invite", INVITES)
def test_invites_are_taken_out(invite: str) -> None:
    said = [invite]
    left = FILTER.check(f"come {invite}", said=said)
    assert left.hit is None
    assert "gg" not in left.text.lower()
    assert left.text.startswith("come")
    assert FILTER.check(invite).text in ("", "<>", "**", "discord.")
    assert OutputFilter(invites=True, links="all").check(f"come {invite}").text == f"come {invite}"


@pytest.mark.parametrize(
    "text", ["discord is down", "discord.py 2.7", "an invite to my party", "a bigger egg/ham", "gg wp"]
)
def test_talk_of_discord_is_no_invite(text: str) -> None:
    assert FILTER.check(text).text == text


def test_what_is_taken_out_joins_no_ping_and_no_word() -> None:
    word = plain_words("slurs")["slurs/19"]
    assert FILTER.check("@[every](https://x.example)one").text == "everyone"
    assert FILTER.check(f"{word[:2]}[](https://x.example){word[2:]}").hit is not None


# -- as a whole


def test_the_longest_message_and_odd_ones_are_read() -> None:
    chance = random.Random(1)
    for text in (
        "",
        " ",
        "a " * 2000,
        "a." * 2000,
        "*" * 4000,
        "@" * 4000,
        "\u200b" * 4000,
        "\ud800",
        "1 " * 2000,
        "🇦" * 1000,
    ):
        FILTER.check(text)
    for _ in range(200):
        FILTER.check("".join(chr(chance.randrange(0x110000)) for _ in range(50)))


def test_threads_share_it() -> None:
    texts = [f"{example} {number}" for number in range(50) for example in ("kill yourself", "mia@example.org", "hello")]
    expected = [FILTER.check(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(FILTER.check, texts)] == expected


def test_the_sample_community_may_be_said() -> None:
    texts = [
        message["content"]
        for path in sample.exports()
        for message in json.loads(path.read_text(encoding="utf-8"))["messages"]
    ]
    assert len(texts) > 2000
    assert [text for text in texts if FILTER.check(text).hit] == []


@pytest.mark.skipif(not GITTER.is_dir(), reason=f"the real chat is not at {GITTER}")
def test_hardly_a_line_of_a_real_chat_is_stopped() -> None:
    texts = [
        message["content"]
        for name in ("casual", "helpcontributors", "datascience")
        for message in orjson.loads(gzip.decompress((GITTER / f"{name}.json.gz").read_bytes()))["messages"]
        if message["content"]
    ]
    chosen = random.Random(6).sample(texts, 2000)
    assert sum(FILTER.check(text).hit is not None for text in chosen) <= 10
