"""The sample community taken in as its people wish: the ordinary import, then one member's no and one's farewell.

In: an archive and its data folder. Out: the archive, with what may be remembered of the sample.
Who said no and who left stands in the sample's list of people; on a real server it comes from `/opt-out` and
`/forget-me`. What carries such wishes out there does so here (`forgetting`). Doing it again changes nothing.
`spoken` are their lines without an archive, for who only needs some chat.
Not here: the vectors of it, and what is asked about it (`facts`).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from sususbot import sample
from sususbot.archive.archive import Archive
from sususbot.archive.consents import Statement
from sususbot.forgetting import Forgetting
from sususbot.sources.ingest import ingest

# Told after each transaction: bytes of all files read so far, bytes of all files.
Told = Callable[[int, int], None]

_WAY: Final = "asked in #general"


def _ms(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, 12, tzinfo=UTC).timestamp() * 1000)


# The days on which they ask for it, in the sample.
_SAID_NO_AT: Final = _ms(2025, 2, 6)
_LEFT_AT: Final = _ms(2025, 9, 21)


class Settled(NamedTuple):
    """What was done just now; all noughts where it had been done before."""

    new: int
    """Messages that came in."""
    opted_out: int
    """Of these and earlier ones, those that lost their words since their author said no."""
    erased: int
    """And those whose author is forgotten."""


def settle(archive: Archive, folder: Path, told: Told | None = None) -> Settled:
    """Take the sample in, and away what its people do not want in it. Raises what an import and a forgetting raise."""
    new = _taken_in(archive, told or (lambda _done, _of: None))
    forgetting = Forgetting(archive, folder)
    refusing = [
        Statement(id_, "member", _WAY, _SAID_NO_AT, learn=False, remember=False, quote=False)
        for id_ in _whose("opted_out")
    ]
    _, gone = forgetting.answer(refusing, at=_SAID_NO_AT)
    leaving = [id_ for id_ in _whose("erased") if id_ not in archive.erasure.forgotten([id_])]
    erased = sum(forgetting.forget(id_, at=_LEFT_AT).messages for id_ in leaving)
    return Settled(new, gone.messages, erased)


def spoken() -> list[str]:
    """What those said who may be learned from, where everybody could read it; oldest first."""
    willing = {str(person.id) for person in sample.people() if person.status in ("owner", "member")}
    said = [one for one in _public() if one["author"]["id"] in willing and one["type"] in ("Default", "Reply")]
    return [one["content"] for one in sorted(said, key=lambda one: int(one["id"])) if one["content"].strip()]


def _public() -> list[dict[str, Any]]:
    public = sample.public_channels()
    rooms = [path for room, path in zip(sample.channels(), sample.exports(), strict=True) if room.id in public]
    return [message for path in rooms for message in orjson.loads(path.read_bytes())["messages"]]


def _taken_in(archive: Archive, told: Told) -> int:
    files = sample.exports()
    sizes = [path.stat().st_size for path in files]
    new = 0
    for place, path in enumerate(files):
        before = sum(sizes[:place])
        done = ingest(archive, path, lambda _messages, read, before=before: told(before + read, sum(sizes)))  # type: ignore[misc]
        new += done.added.new
    return new


def _whose(status: sample.Status) -> list[int]:
    return [person.id for person in sample.people() if person.status == status]
