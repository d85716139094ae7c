"""That no summarizer is there is told to whom it concerns: where a model answers, which reads summaries."""

from pathlib import Path

import pytest

from sususbot.cli.build import build
from sususbot.cli.folder import open_archive
from sususbot.cli.main import Place
from sususbot.env_file import checked

TOLD = "the talk before the window is told by its most telling lines: "


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, False),
        ({"summarizer": "chat"}, True),
        ({"backend": "openai", "openai_base_url": "http://127.0.0.1:9/v1"}, True),
    ],
)
def test_a_missing_summarizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, str], told: bool
) -> None:
    place = Place(tmp_path / "data", None, debug=False)
    settings = checked({"summarization_model": str(tmp_path / "none"), "embedding_model": "none", **values})
    with open_archive(place) as archive:
        parts = build(settings, place, archive, live=True)
        parts.short_term.close()
        parts.inference.close()
        parts.long_term.close()
    assert (TOLD in capsys.readouterr().err) is told
