"""The messages of one channel in id order, with Discord's paging.

Pages are newest first in every case, also after an id. A bound may be set; the oldest messages then fall out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Identified(Protocol):
    id: int


T = TypeVar("T", bound=Identified)


class History(Generic[T]):
    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep
        self._ids: list[int] = []
        self._by_id: dict[int, T] = {}
        self.last_id: int | None = None
        """The newest ever added, there or not any more: as Discord has it."""

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[T]:
        """Oldest first."""
        return (self._by_id[id_] for id_ in self._ids)

    def get(self, id_: int) -> T | None:
        return self._by_id.get(id_)

    def add(self, item: T) -> None:
        if self._ids and item.id <= self._ids[-1]:
            self._ids.insert(bisect_left(self._ids, item.id), item.id)
        else:
            self._ids.append(item.id)
        self._by_id[item.id] = item
        self.last_id = max(item.id, self.last_id or 0)
        # Trimming in bulk keeps the cost of an addition constant.
        if self._keep is not None and len(self._ids) >= 2 * self._keep:
            self._forget(len(self._ids) - self._keep)

    def remove(self, id_: int) -> T | None:
        item = self._by_id.pop(id_, None)
        if item is not None:
            del self._ids[bisect_left(self._ids, id_)]
        return item

    def _forget(self, count: int) -> None:
        for id_ in self._ids[:count]:
            del self._by_id[id_]
        del self._ids[:count]

    def newest(self, limit: int) -> list[T]:
        return self._page(len(self._ids) - limit, len(self._ids))

    def before(self, id_: int, limit: int) -> list[T]:
        end = bisect_left(self._ids, id_)
        return self._page(end - limit, end)

    def after(self, id_: int, limit: int) -> list[T]:
        start = bisect_right(self._ids, id_)
        return self._page(start, start + limit)

    def around(self, id_: int, limit: int) -> list[T]:
        middle = bisect_left(self._ids, id_)
        start = max(0, middle - limit // 2)
        return self._page(start, start + limit)

    def _page(self, start: int, end: int) -> list[T]:
        return [self._by_id[id_] for id_ in reversed(self._ids[max(0, start) : end])]
