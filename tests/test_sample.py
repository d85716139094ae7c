"""The sample community is what it says it is: told by counting, and by what is left of it once it is settled."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
import pytest

from sususbot import sample
from sususbot.archive.archive import Archive
from sususbot.corpus.build import build
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.tokens import Estimate
from sususbot.evaluation.community import settle, spoken
from sususbot.memory.long_term import LongTerm
from sususbot.messages import DISCORD_EPOCH_MS
from sususbot.sources.ingest import ingest
from tests.support.kettle import small_exports

Json = dict[str, Any]

SOURCE: Final = Path(__file__).parents[1] / "tools" / "community"
TALK: Final = ("Default", "Reply")
EMOJI: Final = re.compile("[\U0001f000-\U0001faff☀-➿⭐]")
# What is told again and again, and in how many of the months.
JOKES: Final = {
    "gerald": 10, "tuesday": 10, "invoice": 9, "grażyna": 8, "parchment": 8, "boot": 7, "towel": 6, "bell": 5,
    "hexharbour": 4, "keith": 4, "kevin": 4, "wontfix": 4, "migrat": 4,
}  # fmt: skip
# What somebody minds, and the words by which it is good again.
QUARRELS: Final = (
    ("swapping isn't a button ravi", "I forgive him at about 80%"),
    ("Who made a hole in the table.", "You find the place now only if you know."),
    ("it's not a hobby gaz", "we're fine btw"),
    ("its only clay", "mika and me are FINE"),
)
# A plan, and what became of it.
PLANS: Final = (
    ("every Thursday, half past seven", "the Salt Road convenes on Tuesdays"),
    ("the Salt Road convenes on Tuesdays", "game night is on Mondays"),
    ("Friday 25 July to Sunday 27", "It is decided. Friday 15 August"),
    ("moving board game night to Friday the 18th", "new plan: Sunday 20 October"),
    ("kasia's shed, 18 nov", "Then six o'clock. Bakery, not shed"),
)
EVENTS: Final = (
    "TRICK OR TREAT COUNT", "SHOW DONE", "substation by the harbour tripped", "blew out 31 candles",
    "THIRD OF NINETEEN", "sunburnt on one side only", "sixty for some hours", "mika's show is OPEN",
    "museum of jobs was UNREAL", "0-4",
)  # fmt: skip


@cache
def rooms() -> dict[str, Json]:
    return {path.name: orjson.loads(path.read_bytes()) for path in sample.exports()}


@cache
def messages() -> list[Json]:
    return sorted((one for file in rooms().values() for one in file["messages"]), key=lambda one: int(one["id"]))


@cache
def said_by() -> dict[str, list[str]]:
    """Display name -> what they said."""
    said = defaultdict(list)
    for one in messages():
        if one["type"] in TALK:
            said[one["author"]["nickname"]].append(one["content"])
    return dict(said)


def places(*wanted: str) -> list[int]:
    """Where each of these was first said, in the order of time."""
    return [next(at for at, one in enumerate(messages()) if text in one["content"]) for text in wanted]


# -- how much there is


def test_fourteen_months_and_more_than_fifteen_hundred_messages_in_four_channels() -> None:
    assert len(messages()) >= 1500
    months = Counter(one["timestamp"][:7] for one in messages())
    assert len(months) >= 14
    assert min(months.values()) > 50
    channels = [room for room in sample.channels() if room.parent_id is None]
    assert len(channels) == 4
    (private,) = [room for room in channels if room.private]
    everybody = {person.id for person in sample.people()}
    assert set(private.members) < everybody
    assert sample.public_channels() == {room.id for room in sample.channels()} - {private.id}
    assert all(len(rooms()[room.file]["messages"]) > 100 for room in channels)


def test_threads_stand_below_their_channels() -> None:
    threads = [room for room in sample.channels() if room.parent_id is not None]
    assert len(threads) >= 5
    assert {room.parent_id for room in threads} <= {room.id for room in sample.channels() if room.parent_id is None}
    begun = {int(one["id"]) for one in messages()}
    # A public thread has the id of the message that it was begun on.
    assert all(room.id in begun for room in threads)


def test_everything_that_discord_has_is_there() -> None:
    types = Counter(one["type"] for one in messages())
    assert types["Reply"] > 200
    assert types["ChannelPinnedMessage"] >= 10
    assert types["GuildMemberJoin"] >= 4
    assert sum(bool(one["reactions"]) for one in messages()) > 200
    assert sum(one["isPinned"] for one in messages()) >= 10
    assert sum(bool(one["timestampEdited"]) for one in messages()) > 20
    assert sum(bool(one["attachments"]) for one in messages()) > 10
    assert sum(bool(one["mentions"]) for one in messages()) > 15
    assert sum(bool(emoji["id"]) for one in messages() for emoji in one["inlineEmojis"]) >= 2


def test_what_was_deleted_is_answered_and_not_there() -> None:
    known = {one["id"] for one in messages()}
    answered = [one["reference"]["messageId"] for one in messages() if one["type"] == "Reply"]
    assert len(set(answered) - known) >= 5


# -- who is there


def test_nine_members_and_more_of_whom_one_said_no_one_left_and_one_is_a_bot() -> None:
    people = sample.people()
    statuses = Counter(person.status for person in people)
    assert statuses["owner"] + statuses["member"] >= 9
    assert (statuses["opted_out"], statuses["erased"], statuses["bot"], people[0].status) == (1, 1, 1, "owner")
    assert {str(person.id) for person in people} == {one["author"]["id"] for one in messages()}
    assert {person.display_name for person in people} == set(said_by())
    talkers = {person.display_name for person in people if person.status not in ("bot", "banned")}
    shares = {name: len(lines) / len(messages()) for name, lines in said_by().items() if name in talkers}
    assert min(shares.values()) > 0.03
    assert max(shares.values()) < 0.25


def share(name: str, pattern: str) -> float:
    lines = said_by()[name]
    return sum(re.search(pattern, line) is not None for line in lines) / len(lines)


def test_each_has_a_voice_of_their_own() -> None:
    assert len({person.voice for person in sample.people()}) == len(sample.people())
    assert share("mika", r"[A-Z.,;!?]") < 0.06
    assert share("Percival", r"[;(]") > 5 * max(share(name, r"[;(]") for name in ("Lou", "Gaz", "Bram", "Dee", "Wren"))
    assert share("Lou", EMOJI.pattern) > 0.3 > 0.05 > share("Gaz", EMOJI.pattern)
    assert share("Wren", r"[?!]{2}") > 0.3 > share("Ravi", r"[?!]{2}")
    assert share("Dee", r"\b[A-Z]{3,}\b") > 0.2
    assert share("nico", r" x$") > 0.4 > share("Otto", r" x$")
    assert share("Kasia", r"\b[Tt]he\b") < 0.5 * share("Percival", r"\b[Tt]he\b")
    assert median(len(line.split()) for line in said_by()["Bram"]) <= 4


def test_hardly_a_line_is_said_twice() -> None:
    lines = [line.casefold() for name, some in said_by().items() for line in some if name not in machines()]
    told = Counter(line for line in lines if len(line.split()) > 4)
    assert [line for line, count in told.items() if count > 1] == []
    assert len(set(lines)) > 0.95 * len(lines)


def machines() -> set[str]:
    return {person.display_name for person in sample.people() if person.status in ("bot", "banned")}


def test_what_only_they_say_is_said_by_them_alone() -> None:
    gone = [person for person in sample.people() if person.status in ("opted_out", "erased")]
    assert all(len(person.said_only_by_them) >= 3 for person in gone)
    for person in gone:
        for phrase in person.said_only_by_them:
            by = {
                name for name, some in said_by().items() if any(phrase.casefold() in line.casefold() for line in some)
            }
            assert by == {person.display_name}, phrase


# -- what happens


def test_jokes_run_through_the_months() -> None:
    for joke, least in JOKES.items():
        months = {one["timestamp"][:7] for one in messages() if joke in one["content"].casefold()}
        assert len(months) >= least, joke


@pytest.mark.parametrize("pair", [*QUARRELS, *PLANS])
def test_quarrels_end_and_plans_change(pair: tuple[str, str]) -> None:
    begun, ended = places(*pair)
    assert begun < ended


def test_things_happen_all_through_the_year() -> None:
    months = {messages()[at]["timestamp"][:7] for at in places(*EVENTS)}
    assert len(months) >= 8


# -- whether it is an export as they are


def test_ids_and_times_agree_and_every_reference_is_to_something_earlier() -> None:
    channel_of = {one["id"]: file["channel"]["id"] for file in rooms().values() for one in file["messages"]}
    assert len(channel_of) == len(messages())
    for file in rooms().values():
        ids = [int(one["id"]) for one in file["messages"]]
        assert ids == sorted(ids)
        assert file["messageCount"] == len(ids)
    for one in messages():
        at = datetime.fromisoformat(one["timestamp"]).timestamp() * 1000
        assert abs((int(one["id"]) >> 22) + DISCORD_EPOCH_MS - at) <= 1
        assert one["timestampEdited"] is None or one["timestampEdited"] > one["timestamp"]
        assert all(reaction["count"] == len(reaction["users"]) for reaction in one["reactions"])
        if one["type"] == "Reply" and (answered := one["reference"]["messageId"]) in channel_of:
            assert int(answered) < int(one["id"])
            assert channel_of[answered] == one["reference"]["channelId"]


def test_nothing_in_it_leads_anywhere() -> None:
    hosts = {host for one in messages() for host in re.findall(r"https?://([^/\s]+)", one["content"])}
    assert hosts
    assert all(host == "example.com" or host.endswith(".example.com") for host in hosts)


def test_the_importer_takes_all_of_it(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        done = [ingest(archive, path) for path in sample.exports()]
        assert [fault for one in done for fault in one.faults] == []
        assert archive.counts().messages == len(messages())
        assert {channel.id: channel.name for channel in archive.channels()} == {
            room.id: room.name for room in sample.channels()
        }
        parents = {channel.id: channel.parent_id for channel in archive.channels() if channel.parent_id is not None}
        assert {room.id for room in sample.channels() if room.parent_id} <= set(parents)


# -- what is asked


def test_sixty_questions_of_every_kind_are_answered_by_messages_that_may_answer_them() -> None:
    questions = sample.questions()
    assert len({one.text for one in questions}) == 60
    kinds = Counter(one.kind for one in questions)
    assert set(kinds) == set(sample.KINDS)
    assert min(kinds.values()) >= 6
    channel_of = {int(one["id"]): int(file["channel"]["id"]) for file in rooms().values() for one in file["messages"]}
    author_of = {int(one["id"]): int(one["author"]["id"]) for one in messages()}
    willing = {person.id for person in sample.people() if person.status in ("owner", "member")}
    for one in questions:
        assert one.text.endswith("?")
        assert one.answer
        assert bool(one.evidence) == (one.kind != "never_said"), one.text
        assert {author_of[id_] for id_ in one.evidence} <= willing, one.text
        public = [channel_of[id_] in sample.public_channels() for id_ in one.evidence]
        assert not any(public) if one.kind == "private" else all(public), one.text
        assert one.kind != "changed" or len(one.evidence) > 1, one.text


# -- settled


def test_settled_nothing_is_left_of_who_said_no_and_who_left(tmp_path: Path) -> None:
    phrases = [phrase for person in sample.people() for phrase in person.said_only_by_them]
    with Archive(tmp_path) as archive:
        settled = settle(archive, tmp_path)
        assert settled.new == len(messages())
        assert (settled.opted_out, settled.erased) == tuple(
            sum(one["author"]["nickname"] == name for one in messages()) for name in ("Otto", "nico")
        )
        assert settle(archive, tmp_path) == (0, 0, 0)
        corpus = build(archive, tmp_path / "corpora" / "all", Recipe("susu", "Hello."), Estimate()).corpus
        learned = "\n".join(turn.text for one in (*corpus.train(), *corpus.valid()) for turn in one.turns)
        memory = LongTerm(archive, None, None)
        found = [hit for phrase in phrases for hit in memory.search(phrase, limit=20).hits]
        memory.close()
        shown = "\n".join(one.rendered for hit in found for one in hit.around)
    assert found
    assert len(learned) > 50_000
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("archive.db*")).decode(errors="replace")
    for phrase in phrases:
        for text in (shown, learned, kept, "\n".join(spoken())):
            assert phrase.casefold() not in text.casefold()


def test_an_interrupted_settling_is_ended_by_the_next(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        for path in sample.exports()[:2]:
            ingest(archive, path)
        first = settle(archive, tmp_path)
        assert 0 < first.new < len(messages())
        assert settle(archive, tmp_path) == (0, 0, 0)


def test_settling_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with Archive(tmp_path) as archive:
        settle(archive, tmp_path, lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == sum(path.stat().st_size for path in sample.exports())


# -- where it comes from


def test_its_source_gives_the_bytes_of_the_package(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SOURCE / "build.py", tmp_path], check=True)
    package = Path(sample.__file__).parent
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in package.glob("*.json")
    }


def test_the_first_messages_stand_in_it_as_they_were() -> None:
    first = [one for path in small_exports() for one in orjson.loads(path.read_bytes())["messages"]]
    whole = {one["id"]: one for one in messages()}
    assert len(first) > 300
    assert [one["content"] for one in first if whole[one["id"]] != one] == []
