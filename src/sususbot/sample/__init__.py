"""The sample history: a small fictional server, "The Leaky Kettle", to try the bot on without any data of one's own.

All of it is invented and written by hand by the sususbot project: no person, place, game or message in it is real.
It carries the project's own licence, MIT.

- `general.json`, `projects.json`, `gaming.json`: one file per channel, September 2024 to February 2025, laid out as
  DiscordChatExporter writes its JSON (times in UTC), so the ordinary importer reads them.
- `questions.json`: twelve questions about that history, each with the ids of the messages that hold the answer
  (`evidence`, best first) and a short `answer`. The first three are the showcase that the demo asks by itself.
"""

from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import orjson

_QUESTIONS: Final = "questions.json"


class Question(NamedTuple):
    """A question about the history, the ids of the messages that answer it, best first, and the answer in short."""

    text: str
    evidence: tuple[int, ...]
    answer: str


def exports() -> list[Path]:
    """The files of the channels."""
    return sorted(path for path in _folder().glob("*.json") if path.name != _QUESTIONS)


def questions() -> list[Question]:
    items = orjson.loads((_folder() / _QUESTIONS).read_bytes())
    return [Question(item["question"], tuple(map(int, item["evidence"])), item["answer"]) for item in items]


def _folder() -> Path:
    return Path(str(resources.files("sususbot") / "sample"))
