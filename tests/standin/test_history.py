"""Paging: every page is newest first, bounds leave out the id given, and a bounded history forgets its oldest."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.standin.history import History
from sususbot.standin.server import StandIn
from sususbot.standin.snowflake import created_at
from tests.standin.clients import Rest
from tests.standin.conftest import Place


@dataclass
class Item:
    id: int


def filled(ids: list[int], keep: int | None = None) -> History[Item]:
    history: History[Item] = History(keep)
    for id_ in ids:
        history.add(Item(id_))
    return history


@given(st.lists(st.integers(1, 100), unique=True), st.integers(0, 101), st.integers(1, 20))
def test_pages_agree_with_a_plain_filter(ids: list[int], pivot: int, limit: int) -> None:
    history = filled(ids)
    falling = sorted(ids, reverse=True)
    older = [id_ for id_ in falling if id_ < pivot]
    newer = [id_ for id_ in falling if id_ > pivot]
    assert [item.id for item in history.newest(limit)] == falling[:limit]
    assert [item.id for item in history.before(pivot, limit)] == older[:limit]
    assert [item.id for item in history.after(pivot, limit)] == newer[-limit:]
    around = [item.id for item in history.around(pivot, limit)]
    assert around == sorted(around, reverse=True)
    assert len(around) <= limit
    if pivot in ids:
        assert pivot in around


def test_a_bound_keeps_the_newest() -> None:
    history = filled(list(range(1, 1001)), keep=10)
    assert 10 <= len(history) < 20
    assert history.last_id == 1000
    assert history.get(1) is None
    assert [item.id for item in history] == list(range(1001 - len(history), 1001))


def test_removal() -> None:
    history = filled([1, 2, 3])
    assert history.remove(2) is not None
    assert history.remove(2) is None
    assert [item.id for item in history] == [1, 3]


@pytest.mark.parametrize("direction", ["before", "after"])
async def test_paging_over_http_meets_every_message_once(
    server: StandIn, place: Place, rest: Rest, direction: str
) -> None:
    sent = [server.say(place.general, place.ada, str(number)).id for number in range(25)]
    pivot, found = (str(2**63) if direction == "before" else "0"), []
    while True:
        page = (await rest("GET", f"/channels/{place.general.id}/messages?limit=10&{direction}={pivot}")).json
        if not page:
            break
        ids = [int(message["id"]) for message in page]
        assert ids == sorted(ids, reverse=True)
        found += ids
        pivot = str(ids[-1] if direction == "before" else ids[0])
    assert sorted(found) == sent


async def test_history_can_be_dated_back(place: Place) -> None:
    ids = [place.world.post(place.general, place.ada, "old", at=1_600_000_000 + n // 2).id for n in range(4)]
    assert ids == sorted(set(ids))
    assert int(created_at(ids[0])) == 1_600_000_000
    assert [message.id for message in place.general.history] == ids
