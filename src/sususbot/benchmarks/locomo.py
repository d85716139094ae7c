"""LoCoMo (Maharana and others, ACL 2024; CC BY-NC 4.0): long talks of two people, and questions with what answers them.

A file is a list of conversations, each with dated sessions of turns and questions that name the turns which hold the
answer. Recall at k: the share of these turns among the first k found, averaged over the questions that name any
(`task_eval/evaluation.py` there); a name of a turn that does not exist is never found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from sususbot.archive.archive import Archive
from sususbot.errors import NotAnExport
from sususbot.messages import Author, Channel, Guild, Message

CATEGORIES: Final = {4: "single_hop", 1: "multi_hop", 2: "temporal", 3: "open_domain", 5: "adversarial"}
CUTS: Final = (5, 10, 25, 50)

_GUILD: Final = Guild(1, "LoCoMo")
# Between two turns of a session, which all have one date.
_TURN_MS: Final = 30_000
_IDS_A_TALK: Final = 100_000
_RESAMPLES: Final = 2000
_SEED: Final = 20_261_125


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the ids of the messages that answer it; None for one that does not exist."""

    text: str
    category: str
    evidence: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation as messages of one channel, and what is asked of it."""

    name: str
    channel: Channel
    messages: tuple[Message, ...]
    asked: tuple[Asked, ...]
    session_of: Mapping[int, int]

    def write(self, archive: Archive) -> None:
        archive.add_channel(_GUILD, self.channel, origin="export", seen_at=1)
        archive.add(self.messages, source=archive.add_source("export", self.name), fetched_at=1)


def read_talks(path: Path) -> list[Talk]:
    """The conversations of a file. Raises NotAnExport."""
    try:
        talks = [_talk(number, item) for number, item in enumerate(orjson.loads(path.read_bytes()), 1)]
        if not any(talk.asked for talk in talks) or not all(talk.messages for talk in talks):
            raise ValueError("nothing is said or asked")
        return talks
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotAnExport(f"{path} is no LoCoMo file ({error}): give one like locomo10.json") from error


def recall(found: Sequence[int], asked: Asked) -> list[float]:
    """At each of CUTS, the share of the evidence among the first found."""
    return [sum(id_ in set(found[:cut]) for id_ in asked.evidence) / len(asked.evidence) for cut in CUTS]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over questions."""
    array = np.asarray(values)
    draws = np.random.default_rng(_SEED).integers(0, len(array), (_RESAMPLES, len(array)))
    low, high = np.percentile(array[draws].mean(1), (2.5, 97.5))
    return float(low), float(high)


def _talk(number: int, item: dict[str, Any]) -> Talk:
    conversation = item["conversation"]
    channel = Channel(number, _GUILD.id, str(item["sample_id"]), "text", None)
    names = (conversation["speaker_a"], conversation["speaker_b"])
    authors = {name: Author(10 * number + place, name, name) for place, name in enumerate(names)}
    places: dict[str, int] = {}
    messages: list[Message] = []
    session_of: dict[int, int] = {}
    for session, at, turns in _sessions(conversation):
        for place, turn in enumerate(turns):
            id_ = number * _IDS_A_TALK + len(messages)
            places[turn["dia_id"]] = id_
            session_of[id_] = session
            text = turn["text"] + (f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else "")
            messages.append(
                Message(
                    id=id_,
                    channel_id=channel.id,
                    author=authors[turn["speaker"]],
                    created_at=at + place * _TURN_MS,
                    content=text,
                    rendered=text,
                )
            )
    asked = [
        Asked(one["question"], CATEGORIES[one["category"]], tuple(places.get(name) for name in one["evidence"]))
        for one in item["qa"]
        if one.get("evidence")
    ]
    return Talk(str(item["sample_id"]), channel, tuple(messages), tuple(asked), session_of)


def _sessions(conversation: dict[str, Any]) -> Iterator[tuple[int, int, list[dict[str, Any]]]]:
    session = 1
    while f"session_{session}_date_time" in conversation:
        at = datetime.strptime(conversation[f"session_{session}_date_time"], "%I:%M %p on %d %B, %Y").replace(
            tzinfo=UTC
        )
        yield session, int(at.timestamp() * 1000), conversation.get(f"session_{session}", [])
        session += 1
