"""What a memory is shown with: what it answers and what answers it, or, where that is not known, what is around it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sususbot.archive.archive import Archive
from sususbot.messages import Message


@dataclass(frozen=True, slots=True)
class Hit:
    """A remembered message, why it was found, and what stood around it (itself included), oldest first.

    The score is the sum of its parts.
    """

    message: Message
    score: float
    parts: Mapping[str, float]
    around: tuple[Message, ...]


class Surroundings:
    """Finds what belongs to a hit: only what may be remembered, and nothing that the reader sees anyway."""

    def __init__(self, archive: Archive, *, neighbours: int, minutes: float) -> None:
        """At most `neighbours` before and after; without links, none beyond a silence of so many minutes."""
        self._archive = archive
        self._reach = neighbours
        self._gap_ms = minutes * 60_000

    def placed(self, hits: Iterator[Hit], limit: int, exclude: Collection[int]) -> Iterator[Hit]:
        """Hits with what belongs to them: what they answer and what answers them where that is known."""
        while some := list(islice(hits, max(1, limit))):
            linked = self._archive.links.around([hit.message.id for hit in some], self._reach)
            messages = self._archive.messages({id_ for ids in linked.values() for id_ in ids})
            for hit in some:
                placed = self._among(hit, linked.get(hit.message.id, []), messages, exclude)
                placed = placed or self._with_neighbours(hit, exclude)
                if placed is not None:
                    yield placed

    def _among(
        self, hit: Hit, ids: Sequence[int], messages: Mapping[int, Message], exclude: Collection[int]
    ) -> Hit | None:
        """The hit among these; None where it is not one of them, and where nothing else is: then the nearest do."""
        here = hit.message.channel_id
        others = [messages[id_] for id_ in ids if id_ in messages and id_ not in exclude]
        around = [message for message in others if message.channel_id == here]
        if len(around) < 2 or hit.message.id not in {message.id for message in around}:
            return None
        place = next(place for place, message in enumerate(around) if message.id == hit.message.id)
        first = max(0, place - self._reach)
        return Hit(hit.message, hit.score, hit.parts, tuple(around[first : place + self._reach + 1]))

    def _with_neighbours(self, hit: Hit, exclude: Collection[int]) -> Hit | None:
        """The hit with what was said around it, as far as no silence lies between.

        None when it may not be remembered: an index does not know who opted out since it was filled.
        """
        around = self._archive.around(hit.message, reach=self._reach)
        places = [place for place, message in enumerate(around) if message.id == hit.message.id]
        if not places:
            return None
        first = last = places[0]
        while first > 0 and self._joined(around[first - 1], around[first], exclude):
            first -= 1
        while last + 1 < len(around) and self._joined(around[last], around[last + 1], exclude):
            last += 1
        return Hit(hit.message, hit.score, hit.parts, tuple(around[first : last + 1]))

    def _joined(self, earlier: Message, later: Message, exclude: Collection[int]) -> bool:
        seen = earlier.id in exclude or later.id in exclude
        return not seen and later.created_at - earlier.created_at <= self._gap_ms
