"""Who the page waits for: whoever comes is not missed; nobody, and who cannot come, is."""

import asyncio
import threading

from sususbot.web.server import Visitor


async def test_nobody_is_waited_for_without_end() -> None:
    visitor = Visitor(0.0)
    await visitor.awaited()
    assert visitor.missed


async def test_who_came_is_not_missed() -> None:
    visitor = Visitor(60.0)
    waiting = asyncio.create_task(visitor.awaited())
    await asyncio.sleep(0)
    visitor.come()
    await waiting
    assert not visitor.missed


async def test_who_cannot_come_is_given_up_at_once_from_any_thread() -> None:
    visitor = Visitor(60.0)
    waiting = asyncio.create_task(visitor.awaited())
    await asyncio.sleep(0)
    other = threading.Thread(target=visitor.give_up)
    other.start()
    async with asyncio.timeout(60):
        await waiting
    other.join()
    assert visitor.missed


async def test_giving_up_after_the_end_changes_nothing() -> None:
    visitor = Visitor(60.0)
    visitor.give_up()
    visitor.come()
    await visitor.awaited()
    assert not visitor.missed


async def test_who_comes_is_greeted_once_and_a_page_without_patience_stays() -> None:
    greeted: list[str] = []
    visitor = Visitor(None, lambda: greeted.append("hello"))
    waiting = asyncio.create_task(visitor.awaited())
    await asyncio.sleep(0)
    assert not waiting.done()
    visitor.come()
    visitor.come()
    await waiting
    assert greeted == ["hello"]
    assert not visitor.missed
