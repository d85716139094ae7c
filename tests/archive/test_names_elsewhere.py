"""Where names and words of the forgotten stand beside their messages: in titles, and in lines that Discord makes."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.nameless import NOBODY
from sususbot.messages import Channel
from tests.archive.making import GUILD, MIA, NOON, SUSU, TOM, filled, message
from tests.archive.test_erasure import AT, everything


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_lines_that_were_made_of_their_name_lose_their_text(
    archive: Archive, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Exporters write names into system lines without a sign, and not always those that are known."""
    lines = [
        message(1, "Added Mia K to the group.", TOM, type=1, mentions=(MIA.id,)),
        message(2, "Removed mia.account from the group.", TOM, type=2, mentions=(MIA.id,)),
        message(3, "Added Ann to the group.", TOM, type=1, mentions=(5,)),
        message(4, "", TOM, type=1, mentions=(MIA.id,)),
        # What an application answered to a command is said, not made.
        replace(message(5, "<@1> has 3 cups", SUSU, type=20, mentions=(MIA.id,)), rendered="@Mia has 3 cups"),
    ]
    events: list[Callable[[], object]] = [
        lambda: archive.erase(MIA.id, at=AT),
        lambda: filled(archive, *lines, fetched_at=NOON + 1),
        lambda: filled(archive, message(9, "hello")),
    ]
    for event in (*order, 1):
        events[event]()
    texts = {id_: (one.content, one.rendered) for id_, one in archive.messages(range(9)).items()}
    assert texts == {
        1: (f"@{NOBODY}", f"@{NOBODY}"),
        2: (f"@{NOBODY}", f"@{NOBODY}"),
        3: ("Added Ann to the group.",) * 2,
        4: ("", ""),
        5: ("<@1> has 3 cups", f"@{NOBODY} has 3 cups"),
    }
    assert archive.check() == []
    archive.erasure.finish([MIA.id], at=AT)
    assert re.search(rb"Mia|mia\.account", everything(tmp_path)) is None


def expired(archive: Archive) -> None:
    archive.erasure.expire(NOON + 1500)


def taken_away(archive: Archive) -> None:
    archive.delete([1], at=AT)


@pytest.mark.parametrize("bury", [expired, taken_away])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0), (0, 2, 1, 2)])
def test_the_title_of_a_post_goes_with_its_first_message(
    archive: Archive, tmp_path: Path, bury: Callable[[Archive], None], order: tuple[int, ...]
) -> None:
    post = Channel(1, GUILD.id, "my kettle whistles", type="PublicThread", topic="kettle")
    seen = iter(range(1, 9))
    events: list[Callable[[], object]] = [
        lambda: filled(archive, message(1, "it does"), message(2, "tea", TOM)),
        lambda: bury(archive),
        lambda: archive.add_channel(GUILD, post, origin="export", seen_at=next(seen)),
    ]
    for event in (*order, 1):
        events[event]()
    assert [channel.name for channel in archive.channels()] == [NOBODY, "kitchen", "garden"]
    archive.erasure.finish([], at=AT)
    assert b"kettle" not in everything(tmp_path)
