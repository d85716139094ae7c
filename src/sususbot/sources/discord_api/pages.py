"""Pages of a channel's history as Discord shows them, looked at with suspicion.

A page may hold what was not asked for, or what is no message; all words may be missing from it, or all of it, without
an error. Here each of these is told apart from what it looks like.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

from sususbot.sources.discord_api.api_message import MALFORMED, hides_words, int64
from sususbot.sources.discord_api.channels import Place
from sususbot.sources.discord_api.client import Client, Refused
from sususbot.sources.discord_api.preflight import Unreadable, check_history, check_intent, refusal

Json = dict[str, Any]

FULL: Final = 100
# Below and above every id.
OLDEST: Final = -(1 << 63)
NEWEST: Final = (1 << 63) - 1
_ROUTE: Final = "/channels/{channel_id}/messages"
# For how many seconds the intent is believed to be on after it was asked for.
_BELIEVED: Final = 60.0


@dataclass(frozen=True, slots=True)
class Page:
    """Messages by id, newest first, as Discord showed them at `fetched_at` (ms)."""

    items: tuple[tuple[int, Json], ...]
    fetched_at: int

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def newest(self) -> int:
        return self.items[0][0]

    @property
    def oldest(self) -> int:
        return self.items[-1][0]

    @property
    def short(self) -> bool:
        """Fewer than asked for: a sign, no proof, of the history's end."""
        return len(self.items) < FULL

    def since(self, floor: int) -> "Page":
        return Page(tuple(item for item in self.items if item[0] >= floor), self.fetched_at)


class Pages:
    """Asks for pages of any channel."""

    def __init__(self, client: Client, own_id: int) -> None:
        self._client = client
        self._own_id = own_id
        self._intent_seen_at = float("-inf")

    async def page(self, place: Place, *, rank: float, before: int = NEWEST, after: int = OLDEST) -> Page:
        """The page next to an id, or the newest; lower ranks go first.

        Raises Unreadable, IntentMissing and other errors of Discord's.
        """
        query = {"limit": str(FULL)}
        if before != NEWEST:
            query["before"] = str(before)
        elif after != OLDEST:
            query["after"] = str(after)
        fetched_at = time.time_ns() // 1_000_000
        try:
            answer = (await self._client.get(_ROUTE, query, rank=rank, channel_id=place.id)).json
        except Refused as refused:
            raise Unreadable(refusal(place.name, refused)) from refused
        # What lies on the wrong side of the id was not asked for, and a reading would never come to its end.
        items = {id_: item for id_, item in _by_id(answer) if after < id_ < before}
        page = Page(tuple(sorted(items.items(), key=lambda item: item[0], reverse=True)), fetched_at)
        await self._check_words(page)
        return page

    async def there(self, place: Place, message_id: int) -> bool:
        """Whether a message is there, which also proves that the history may be read. Raises Unreadable."""
        return await check_history(self._client, place.id, place.name, message_id)

    async def _check_words(self, page: Page) -> None:
        """Where no message has any words, ask whether the intent was taken away."""
        hidden = [hides_words(item, self._own_id) for _, item in page.items]
        now = time.monotonic()
        if True in hidden and False not in hidden and now - self._intent_seen_at > _BELIEVED:
            await check_intent(self._client)
            self._intent_seen_at = now


def _by_id(answer: object) -> list[tuple[int, Json]]:
    """The objects of a page that have an id at all."""
    found: list[tuple[int, Json]] = []
    for item in answer if isinstance(answer, list) else ():
        try:
            found.append((int64(item["id"]), item))
        except MALFORMED:
            continue
    return found
