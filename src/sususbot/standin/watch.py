"""Waiting for a condition without polling: each predicate is asked again at every change of state, never on a timer.

A state that holds only for a moment is not missed, because predicates run inside the change itself.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Watch:
    def __init__(self) -> None:
        self._waiters: list[Callable[[], bool]] = []

    def notify(self) -> None:
        """To be called after every change. Costs nothing while nobody waits."""
        if self._waiters:
            self._waiters = [waiter for waiter in self._waiters if not waiter()]

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 10.0) -> T:  # noqa: ASYNC109
        """The predicate's first true value. TimeoutError when none comes; its own exception if it raises one."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def attempt() -> bool:
            if future.done():
                return True
            try:
                value = predicate()
            except Exception as error:  # noqa: BLE001
                future.set_exception(error)
                return True
            if value:
                future.set_result(value)
            return bool(value)

        if not attempt():
            self._waiters.append(attempt)
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            if attempt in self._waiters:
                self._waiters.remove(attempt)
