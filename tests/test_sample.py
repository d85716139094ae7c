"""The sample community: its questions are answered by messages that are in it."""

from pathlib import Path

from sususbot import sample
from sususbot.archive.archive import Archive
from sususbot.sources.ingest import ingest


def test_every_answer_is_a_message_of_the_sample(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        for path in sample.exports():
            ingest(archive, path)
        questions = sample.questions()
        assert len(questions) == 60
        wanted = {id_ for one in questions for id_ in one.evidence}
        assert set(archive.messages(wanted)) == wanted
        assert all(one.text.endswith("?") and one.answer for one in questions)
