"""The sample community, from its sources to the package's files: DiscordChatExporter's JSON, always the same bytes.

    python tools/community/build.py [FOLDER]        # without one: src/sususbot/sample

A source file (`src/*.txt`, `src/threads/*.txt`) is talk as it is read, with little signs for what Discord adds:

    # channel general            the channel; of a thread also  # slug trip  and  # name summer trip
    == 2025-03-08 18:41          a scene begins, in UTC; lines follow at a natural pace
    lou: text                    a line; \\n is a line break
    +35 lou: text                ... 35 minutes later
    {key} lou: text              ... with a name for replies and evidence
    > lou: text                  reply to the line before;  >2 the one before that;  >key to a named one
    >#745281 lou: text           reply to a message of `src/first`, by the end of its id
    >gone lou: text              reply to a message that was deleted: to an id that no file has, which is all that an
                                 export can hold of it
    * join otto                  somebody joins
    // text                      a remark
    ... ~ 😂3 :gerald:2 pin edit=14 att=cake.jpg thread=slug     marks at the end: reactions (whose, is drawn), pinned
                                 (by whom: pin=dee), edited so many minutes later, a file, the start of a thread

`src/first/*.json` are the first 309 messages, which were written as exports; they are taken as they are, and with them
how their authors look. `src/people.json` says who else is there and since when, `src/questions.json` what is asked.
Pauses, ids and who reacts are drawn by chance that is seeded by the scene, so a change stays within its scene.
Not here: how an export looks (`exported.py`); whether it holds what it should (`tests/test_sample.py`).
"""

import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from exported import GUILD, Json, author, export, iso, look, message, ms_of, read_json, reference, snowflake, write_json

SOURCE: Final = Path(__file__).parent / "src"
PACKAGE: Final = Path(__file__).parents[2] / "src" / "sususbot" / "sample"
ORGANISERS: Final = "organisers"
ORGANISERS_CHANNEL: Final = {
    "id": "1348590000000114698",
    "type": "GuildTextChat",
    "categoryId": "820019346041473094",
    "category": "upstairs",
    "name": ORGANISERS,
    "topic": "if your name is Percival you took a wrong turn on the stairs",
}
# Who may read the private channel.
INSIDE: Final = ("lou", "ravi", "kasia", "dee", "wren", "gaz", "mika", "ines")
# They come and go, and react to nothing.
NO_MEMBERS: Final = frozenset({"tumbler", "spam"})
THREAD_STARTED: Final = "21"
LINE: Final = re.compile(r"^(?:\+(\d+)\s+)?(?:\{(\w+)\}\s+)?(?:(>)(gone|#\d+|\d+|\w+)?\s+)?(\w+): (.*)$")
JOIN: Final = re.compile(r"^\* join (\w+)$")
# Milliseconds between lines: of one who goes on, at once, after some thought, after a while.
GOES_ON: Final = (500, 9_000)
PAUSES: Final = ((0.5, (1_500, 30_000)), (0.87, (30_000, 90_000)), (1.0, (90_000, 250_000)))
LONGEST_TYPED_MS: Final = 120_000
LAST_BEFORE: Final = 6


class Wrong(Exception):
    """A source says something that cannot be; where, and what."""


@dataclass
class Said:
    """A message, with what only its source knows of it: who said it where, what it answers, what it pins."""

    json: Json
    place: str
    key: str = ""
    answers: str | None = None
    before: list["Said"] = field(default_factory=list)
    pins: "Said | None" = None

    @property
    def id(self) -> int:
        return int(self.json["id"])

    @property
    def at(self) -> int:
        return ms_of(self.json["timestamp"])


class Kettle:
    """All that was read: people, emoji, messages by the channel or thread they stand in."""

    def __init__(self) -> None:
        self.first = {path.stem: read_json(path) for path in sorted((SOURCE / "first").glob("*.json"))}
        self.people: list[Json] = read_json(SOURCE / "people.json")
        self.emoji: dict[str, Json] = {}
        self.authors = self._authors()
        self.said: dict[str, list[Said]] = {}
        self.heads: dict[str, dict[str, str]] = {}
        self.named: dict[str, Said] = {}
        self.threads: dict[str, Said] = {}

    def _authors(self) -> dict[str, Json]:
        """Those of the first messages as they were first seen, then those who came later."""
        key_of = {person["name"]: person["key"] for person in self.people}
        authors: dict[str, Json] = {}
        for said in (one for file in self.first.values() for one in file["messages"]):
            authors.setdefault(key_of[said["author"]["name"]], said["author"])
            for emoji in [*said["inlineEmojis"], *(one["emoji"] for one in said["reactions"])]:
                self.emoji[emoji["name"]] = emoji
        return authors | {person["key"]: author(person) for person in self.people if person["key"] not in authors}

    def there(self, key: str, day: str, channel: str) -> bool:
        """Whether somebody could write or react that day."""
        (person,) = (one for one in self.people if one["key"] == key)
        inside = channel != ORGANISERS or key in INSIDE
        return inside and key not in NO_MEMBERS and person.get("from", "") <= day < person.get("until", "9")

    def message(self, ms: int, low: int, key: str, text: str, type_: str = "Default") -> Json:
        others = {author["nickname"]: author for author in self.authors.values()}
        return message(ms, low, self.authors[key], text, type_, others, self.emoji)

    def channel_id(self, place: str) -> str:
        if place in self.threads:
            return str(self.threads[place].json["id"])
        return str(ORGANISERS_CHANNEL["id"] if place == ORGANISERS else self.first[place]["channel"]["id"])

    def in_order(self) -> Iterator[Said]:
        for said in self.said.values():
            yield from said


class Reader:
    """Reads one source file into a Kettle, line by line."""

    def __init__(self, kettle: Kettle, path: Path) -> None:
        self._kettle = kettle
        self._head: dict[str, str] = {}
        self._chance = random.Random()
        self._ms = 0
        self._begins = True
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                self._read(line.rstrip())
            except (KeyError, ValueError) as error:
                raise Wrong(f"{path.name}:{number} {type(error).__name__} {error}: {line[:60]}") from error

    @property
    def _place(self) -> str:
        return self._head.get("slug") or self._head["channel"]

    @property
    def _said(self) -> list[Said]:
        return self._kettle.said.setdefault(self._place, [])

    def _read(self, line: str) -> None:
        if not line or line.startswith("//"):
            return
        if line.startswith("# "):
            name, value = line[2:].split(" ", 1)
            self._head[name] = value.strip()
        elif line.startswith("== "):
            self._scene(line)
        elif join := JOIN.match(line):
            self._ms += self._chance.randrange(1_000, 9_000)
            self._add(self._chance.randrange(1, 4_000), join[1], "Joined the server.", "GuildMemberJoin")
        else:
            self._line(line)

    def _scene(self, line: str) -> None:
        self._kettle.heads[self._place] = self._head
        begun = datetime.strptime(line[3:].strip(), "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        self._chance = random.Random(f"{self._place} {line}")
        self._ms = int(begun.timestamp() * 1000) + self._chance.randrange(1_000, 50_000)
        self._begins = True

    def _line(self, line: str) -> None:
        if not (found := LINE.match(line)):
            raise ValueError("no line")
        minutes, label, reply, target, key, text = found.groups()
        text, _, marks = text.rpartition(" ~ ") if " ~ " in text else (text, "", "")
        text = text.replace("\\n", "\n").strip()
        if not self._begins or minutes:
            self._wait(key, text, int(minutes or 0))
        self._begins = False
        before = self._said[-LAST_BEFORE:]
        one = self._add(self._chance.randrange(1, 1 << 21), key, text)
        one.key, one.before, one.answers = key, before, (target or "1") if reply else None
        if label:
            if label in self._kettle.named:
                raise ValueError("a name twice")
            self._kettle.named[label] = one
        for mark in marks.split():
            self._mark(one, mark)

    def _wait(self, key: str, text: str, minutes: int) -> None:
        if key == "tumbler":
            self._ms += self._chance.randrange(450, 1_300)
            return
        typed = min(2_500 + len(text) * self._chance.randrange(90, 190), LONGEST_TYPED_MS)
        drawn = self._chance.random()
        pause = next(span for most, span in PAUSES if drawn < most)
        span = GOES_ON if self._said and self._said[-1].key == key else pause
        self._ms += typed + self._chance.randrange(*span) + minutes * 60_000

    def _add(self, low: int, key: str, text: str, type_: str = "Default", later: int = 0) -> Said:
        one = Said(self._kettle.message(self._ms + later, low, key, text, type_), self._place)
        if type_ == "Default" and key not in NO_MEMBERS and key not in self._present():
            raise ValueError(f"{key} is not there")
        self._said.append(one)
        return one

    def _present(self) -> list[str]:
        day = iso(self._ms)[:10]
        return [key for key in self._kettle.authors if self._kettle.there(key, day, self._head["channel"])]

    def _mark(self, one: Said, mark: str) -> None:
        name, _, value = mark.partition("=")
        match name:
            case "pin":
                one.json["isPinned"] = True
                later = self._chance.randrange(20_000, 70_000)
                low = self._chance.randrange(1, 1 << 21)
                self._add(low, value or "lou", "Pinned a message.", "ChannelPinnedMessage", later).pins = one
            case "edit":
                edited = self._ms + int(value or 2) * 60_000 + self._chance.randrange(-30_000, 30_000)
                one.json["timestampEdited"] = iso(edited)
            case "att":
                one.json["attachments"].append(self._attachment(one, value))
            case "thread":
                self._kettle.threads[value] = one
            case _:
                one.json["reactions"].append(self._reaction(one, mark))

    def _attachment(self, one: Said, name: str) -> Json:
        id_ = str(one.id - self._chance.randrange(1 << 22, 1 << 24))
        url = f"https://cdn.example.com/attachments/{self._kettle.channel_id(self._place)}/{id_}/{name}"
        return {"id": id_, "url": url, "fileName": name, "fileSizeBytes": self._chance.randrange(90_000, 3_900_000)}

    def _reaction(self, one: Said, mark: str) -> Json:
        if not (found := re.match(r"^(\D+?)(\d+)$", mark)):
            raise ValueError(f"no mark: {mark}")
        pool = [key for key in self._present() if key != one.key]
        users = self._chance.sample(pool, min(int(found[2]), len(pool)))
        plain = [{name: value for name, value in self._kettle.authors[key].items() if name != "roles"} for key in users]
        return {"emoji": look(found[1], self._kettle.emoji), "count": len(users), "users": plain}


# -- what refers to what


def refer(kettle: Kettle) -> None:
    """Give each reply and each pin what it is about."""
    chance = random.Random("gone")
    known = [one["id"] for file in kettle.first.values() for one in file["messages"]]
    for one in kettle.in_order():
        if one.pins is not None:
            one.json["reference"] = reference(one.pins.json["id"], kettle.channel_id(one.place))
        elif one.answers is not None:
            one.json["type"] = "Reply"
            one.json["reference"] = reference(answered(kettle, one, known, chance), kettle.channel_id(one.place))


def answered(kettle: Kettle, one: Said, known: list[str], chance: random.Random) -> str:
    """The id of the message that this one answers."""
    target = str(one.answers)
    if target == "gone":
        at = one.at - chance.randrange(40_000, 200_000)
        return snowflake(at, chance.randrange(1, 1 << 21))
    if target.startswith("#"):
        found = [id_ for id_ in known if id_.endswith(target[1:])]
    elif target.isdigit():
        talk = [other for other in one.before if other.json["type"] in ("Default", "Reply")]
        found = [str(other.id) for other in talk[-int(target) :][:1]]
    else:
        other = kettle.named[target]
        found = [str(other.id)] if other.place == one.place and other.id < one.id else []
    if len(found) != 1:
        raise Wrong(f"{one.json['content'][:40]!r} answers {target}, which fits {len(found)}")
    return found[0]


# -- files


def files(kettle: Kettle) -> Iterator[tuple[str, Json, list[Json]]]:
    """Name, channel and messages of each export."""
    for place, head in kettle.heads.items():
        said = [one.json for one in kettle.said[place]]
        if "slug" in head:
            yield f"thread-{place}", thread(kettle, place, head), [opening(kettle, place, head["channel"]), *said]
        elif place == ORGANISERS:
            yield place, ORGANISERS_CHANNEL, said
        else:
            yield place, kettle.first[place]["channel"], [*kettle.first[place]["messages"], *said]


def thread(kettle: Kettle, place: str, head: dict[str, str]) -> Json:
    return {
        "id": kettle.channel_id(place),
        "type": "GuildPublicThread",
        "categoryId": kettle.channel_id(head["channel"]),
        "category": head["channel"],
        "name": head["name"],
        "topic": None,
    }


def opening(kettle: Kettle, place: str, parent: str) -> Json:
    """A thread's first message names the one that it was begun on."""
    begun_on = kettle.threads[place]
    first = kettle.message(begun_on.at + 31_000, 77, begun_on.key, "", THREAD_STARTED)
    return first | {"reference": reference(begun_on.json["id"], kettle.channel_id(parent))}


def who(kettle: Kettle, channels: dict[str, Json]) -> Json:
    """The people and the channels."""
    told = ("id", "name", "display_name", "status", "voice", "said_only_by_them")
    members = [{name: person[name] for name in told if name in person} for person in kettle.people]
    rooms = [room(kettle, name, channel) for name, channel in sorted(channels.items())]
    return {"guild_id": GUILD["id"], "members": members, "channels": rooms}


def room(kettle: Kettle, name: str, channel: Json) -> Json:
    told = {"id": channel["id"], "name": channel["name"], "file": f"{name}.json", "type": channel["type"]}
    told["private"] = channel["name"] == ORGANISERS
    if "Thread" in channel["type"]:
        told["parent_id"] = channel["categoryId"]
    if told["private"]:
        told["members"] = [kettle.authors[key]["id"] for key in INSIDE]
    return told


def questions(kettle: Kettle) -> list[Json]:
    """With ids for the names of messages."""
    asked: list[Json] = read_json(SOURCE / "questions.json")
    known = {one["id"] for file in kettle.first.values() for one in file["messages"]}
    for one in asked:
        one["evidence"] = [name if name in known else str(kettle.named[name].id) for name in one["evidence"]]
    return asked


def build(folder: Path) -> None:
    """Write everything into a folder. Raises Wrong."""
    kettle = Kettle()
    for path in (*sorted(SOURCE.glob("*.txt")), *sorted((SOURCE / "threads").glob("*.txt"))):
        Reader(kettle, path)
    refer(kettle)
    channels = {}
    for name, channel, messages in files(kettle):
        channels[name] = channel
        write_json(folder / f"{name}.json", export(channel, messages), 1)
    write_json(folder / "questions.json", questions(kettle), 2)
    write_json(folder / "who.json", who(kettle, channels), 2)


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
    except Wrong as error:
        sys.exit(str(error))
