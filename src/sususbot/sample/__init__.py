"""The sample community: "The Leaky Kettle", a small made-up server, to try the bot on without any data of one's own.

All of it is invented and written by hand by the sususbot project: no person, place, game or message in it is real.
It carries the project's own licence, MIT. Its source is `tools/community`; nothing here is edited by hand.

- `general.json`, `gaming.json`, `projects.json`, `organisers.json` (private), `thread-*.json`: a file per channel and
  thread, September 2024 to November 2025, laid out as DiscordChatExporter writes its JSON, so that the ordinary
  importer reads them. Times are in UTC, which that town keeps all year. An export cannot hold what was deleted: of a
  deleted message there is nothing but answers to an id that no file has.
- `questions.json`: sixty questions about it, each with the ids of the messages that hold the answer (`evidence`, best
  first), a short `answer` and its `kind`. The first three are the showcase that the demo asks by itself.
- `who.json`: the people, with what each agreed to, and the channels, with who may read them.

Not here: taking it in as its people wish. Who opted out and who was erased is said in `who.json` alone; the exports
have their words, as a real one would (`evaluation.community`).
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import orjson

Kind = Literal["fact", "person", "time", "joke", "changed", "never_said", "private"]
Status = Literal["owner", "member", "opted_out", "erased", "bot", "banned"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_QUESTIONS: Final = "questions.json"
_WHO: Final = "who.json"


class Question(NamedTuple):
    """A question about the history, the ids of the messages that answer it, best first, and the answer in short.

    `never_said` has no evidence anywhere, `private` none that everybody may read.
    """

    text: str
    evidence: tuple[int, ...]
    answer: str
    kind: Kind


class Person(NamedTuple):
    """Somebody who writes there. `said_only_by_them`: phrases that stand in nobody else's messages."""

    id: int
    name: str
    display_name: str
    status: Status
    voice: str
    said_only_by_them: tuple[str, ...]


class Room(NamedTuple):
    """A channel or thread and its file. `members` of a private one; a thread's `parent_id` is its channel."""

    id: int
    name: str
    file: str
    private: bool
    members: tuple[int, ...]
    parent_id: int | None


def exports() -> list[Path]:
    """The files of all channels and threads, the private one among them."""
    return [_folder() / room.file for room in channels()]


def questions() -> list[Question]:
    items = orjson.loads((_folder() / _QUESTIONS).read_bytes())
    return [Question(one["question"], tuple(map(int, one["evidence"])), one["answer"], one["kind"]) for one in items]


def people() -> list[Person]:
    """Everybody who ever wrote there, the owner first."""
    return [
        Person(
            int(one["id"]),
            one["name"],
            one["display_name"],
            one["status"],
            one["voice"],
            tuple(one.get("said_only_by_them", ())),
        )
        for one in _who()["members"]
    ]


def channels() -> list[Room]:
    """All channels and threads, in the order of their files' names."""
    return [
        Room(
            int(one["id"]),
            one["name"],
            one["file"],
            one["private"],
            tuple(map(int, one.get("members", ()))),
            int(one["parent_id"]) if "parent_id" in one else None,
        )
        for one in _who()["channels"]
    ]


def public_channels() -> frozenset[int]:
    """What everybody may read: the audience of #general."""
    return frozenset(room.id for room in channels() if not room.private)


@cache
def _who() -> dict[str, Any]:
    who: dict[str, Any] = orjson.loads((_folder() / _WHO).read_bytes())
    return who


def _folder() -> Path:
    return Path(str(resources.files("sususbot") / "sample"))
