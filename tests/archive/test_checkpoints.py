"""Checkpoints: a stretch moves with the page that led there, or not at all."""

from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.archive.checkpoints import Stretch
from sususbot.errors import ArchiveLocked
from tests.archive.making import GARDEN, GUILD, KITCHEN, NOON, message


def test_nothing_is_known_of_a_channel_at_first(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        assert archive.checkpoints.of(KITCHEN.id) is None


def test_a_stretch_is_kept_with_its_page(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add_channel(GUILD, KITCHEN, origin="api", seen_at=NOON)
        source = archive.add_source("api", "test")
        first, second = Stretch(5, 9), Stretch(1, 9, complete=True)
        for before, after, id_ in ((None, first, 5), (first, second, 1)):
            archive.add(
                [message(id_)],
                source=source,
                fetched_at=NOON,
                also=lambda before=before, after=after: archive.checkpoints.move(KITCHEN.id, before, after),  # type: ignore[misc]
            )
            assert archive.checkpoints.of(KITCHEN.id) == after
        assert archive.checkpoints.of(GARDEN.id) is None


@pytest.mark.parametrize("known", [None, Stretch(1, 2)])
def test_a_second_collector_of_the_same_channel_is_refused_and_its_page_too(
    tmp_path: Path, known: Stretch | None
) -> None:
    with Archive(tmp_path) as archive:
        archive.add_channel(GUILD, KITCHEN, origin="api", seen_at=NOON)
        source = archive.add_source("api", "test")
        archive.checkpoints.move(KITCHEN.id, None, Stretch(5, 9))
        with pytest.raises(ArchiveLocked, match="another backfill"):
            archive.add(
                [message(4)],
                source=source,
                fetched_at=NOON,
                also=lambda: archive.checkpoints.move(KITCHEN.id, known, Stretch(4, 9)),
            )
        assert archive.checkpoints.of(KITCHEN.id) == Stretch(5, 9)
        assert archive.counts().messages == 0
