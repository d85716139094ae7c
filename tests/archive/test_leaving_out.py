"""What one archive leaves out comes into no other that is made of the same files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.leaving_out import leave_out
from sususbot.messages import Author
from tests.archive.making import MIA, NOON, TOM, filled, message

EVE = Author(3, "eve", "Eve")
SAID = (
    message(1, "mia one"),
    message(2, "tom two", TOM),
    message(3, "eve three", EVE),
    message(4, "> mia one\nhi", TOM, mentions=(MIA.id,), reply_to=1),
    message(5, "tom five", TOM),
)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Archive]:
    """Mia is forgotten, Eve said no to everything, Tom to learning; one message was deleted, another before it came."""
    with Archive(tmp_path / "data") as archive:
        filled(archive, *SAID)
        archive.erase(MIA.id, at=NOON)
        archive.consents.say(EVE.id, by="member", way="x", at=NOON, learn=False, remember=False)
        archive.erasure.begin(EVE.id, at=NOON, may_return=True)
        archive.erasure.carry_out(EVE.id)
        archive.consents.say(TOM.id, by="member", way="x", at=NOON, learn=False)
        archive.delete([2, 6], at=NOON)
        yield archive


def shown(archive: Archive) -> dict[int, str]:
    return {one.id: one.rendered for one in archive.history()}


@pytest.mark.parametrize("filled_before", [False, True])
def test_nothing_comes_in_that_the_other_leaves_out(owner: Archive, tmp_path: Path, filled_before: bool) -> None:
    with Archive(tmp_path / "bench") as archive:
        if filled_before:
            filled(archive, *SAID)
        for _ in range(2):
            leave_out(archive, owner)
            filled(archive, *SAID, message(6, "tom six", TOM), message(7, "tom seven", TOM))
            assert shown(archive) == {**shown(owner), 7: "tom seven"}
        assert archive.consents.statements() == owner.consents.statements()
        assert archive.consents.may_learn([MIA.id, TOM.id, EVE.id]) == set()
        assert archive.check() == []
        # A yes lets back in who may return; the forgotten come only with their own.
        owner.consents.say(EVE.id, by="member", way="x", at=NOON + 1, remember=True)
        leave_out(archive, owner)
        filled(archive, *SAID)
        assert shown(archive)[3] == "eve three"


def test_what_silence_means_is_each_archives_own(owner: Archive, tmp_path: Path) -> None:
    owner.consents.set_mode("opt-in")
    with Archive(tmp_path / "bench") as archive:
        leave_out(archive, owner)
        assert archive.consents.mode == "opt-out"
