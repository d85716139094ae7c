"""Downloads and disks: room is looked for first, and a disk that fills up all the same keeps what came."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from sususbot.errors import DownloadFailed
from sususbot.model import bases
from sususbot.model.hub import Hub, check_room
from tests.model.test_hub import CONTENT, FILE, NAME, fetched, unseen
from tests.model.test_hub import hub as hub
from tests.model.test_hub import server as server
from tests.support.disk import small_disk
from tests.support.hub import StandInHub


def test_room_is_looked_for_before_anything_comes(hub: Hub, server: StandInHub, tmp_path: Path) -> None:
    server.repos[NAME].sizes[FILE] = 10**18
    with pytest.raises(DownloadFailed, match=r"1000000000.0 GB are to come and the disk .* make room, or .* --data"):
        fetched(hub, tmp_path / "not" / "there")
    assert server.ranges_asked() == []
    assert not list(tmp_path.iterdir())
    check_room(tmp_path / "not" / "there", 1000)


def test_a_disk_that_fills_up_all_the_same_keeps_what_came(server: StandInHub, tmp_path: Path) -> None:
    """Something else took the room meanwhile."""
    # The disk is last: where none can be made the test ends here, and the hub is closed all the same.
    with closing(Hub(server.url, pauses=(0,))) as hub, small_disk(tmp_path / "disk", kilobytes=100) as disk:
        repo = hub.find(NAME)
        (file,) = (file for file in repo.files if file.name == FILE)
        with pytest.raises(DownloadFailed, match=r"the disk of .* is full \(0.0 GB came\): make room and run the same"):
            hub.fetch(repo, file, disk.folder, unseen)
        assert not (disk.folder / FILE).exists()
        disk.resize(1000)
        asked = len(server.ranges_asked())
        assert hub.fetch(repo, file, disk.folder, unseen).read_bytes() == CONTENT
        assert server.ranges_asked()[asked:] != [""]


@pytest.mark.skipif(os.name == "nt", reason="limits on the size of files are POSIX")
def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(hub: Hub, tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    repo = hub.find(NAME)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DownloadFailed, match="is full"):
            bases.fetch(hub, repo, FILE, tmp_path, unseen)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert fetched(hub, tmp_path).read_bytes() == CONTENT


def test_a_place_that_cannot_be_written_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file", encoding="utf-8")
    with pytest.raises(DownloadFailed, match="cannot be written to"):
        fetched(hub, tmp_path / "models")
