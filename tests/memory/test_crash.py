"""Killed at any moment, memory finds exactly what the archive holds."""

import random
import subprocess
import sys
from pathlib import Path

from sususbot.archive.archive import Archive
from sususbot.archive.links import Found
from sususbot.memory.long_term import LongTerm
from sususbot.memory.terms import words
from sususbot.memory.vector_index import ExactIndex
from tests.archive.making import raw
from tests.memory.chat import WordEmbedder

_KILLS = 4


def killed(folder: Path, turn: int, lines: int) -> None:
    """Let it tell of so many steps, then kill it in whatever it does next."""
    command = [sys.executable, "-m", "tests.memory.changing", str(folder), str(turn)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline(), "it ended by itself"
        process.kill()


def test_after_each_kill_exactly_what_the_archive_holds_is_found(tmp_path: Path) -> None:
    chance = random.Random(7)
    for turn in range(1, _KILLS + 1):
        killed(tmp_path, turn, chance.randrange(20, 160))
        with Archive(tmp_path) as archive:
            assert archive.check() == []
            memory = LongTerm(archive, WordEmbedder(), ExactIndex(64))
            while memory.learn():
                pass
            waiting = archive.links.pending(1000)
            archive.links.put([Found(one.id, one.text, None, 0.5) for one in waiting])
            held = dict(raw(tmp_path, "SELECT id, rendered FROM messages WHERE deleted_at IS NULL"))
            assert len(held) > 5
            for id_, text in held.items():
                (hit,) = memory.search(words(text)[0], limit=1).hits
                assert (hit.message.id, hit.message.rendered) == (id_, text)
            for (id_,) in raw(tmp_path, "SELECT id FROM messages WHERE deleted_at IS NOT NULL"):
                assert id_ not in {hit.message.id for hit in memory.search("spoon", limit=1000).hits}
            for room in (archive.terms, archive.vectors, archive.links):
                assert room.count_pending() == 0
            for table in ("terms", "vectors", "links"):
                ids = {id_ for (id_,) in raw(tmp_path, f"SELECT message_id FROM {table}")}
                assert ids == held.keys()
            memory.close()
