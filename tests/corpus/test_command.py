"""`sususbot build` as a user runs it."""

import re
from pathlib import Path

import orjson
import pytest

from sususbot.corpus.manifest import load
from tests.corpus.talk import DATA, MIA, TOM, archive_of, small_talk
from tests.support.commands import refusal
from tests.support.commands import run_here as run
from tests.support.consents import agree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    archive_of(tmp_path / "data", small_talk()).close()
    return tmp_path


def test_it_reports_what_became_of_every_message(folder: Path) -> None:
    done = run("build", folder=folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"200\s+messages read", done.stdout)
    assert "4 members are learned from" in done.stdout
    load(folder / "data" / "corpora" / "default")


def test_samples_are_shown_with_their_weights_without_a_terminal(folder: Path) -> None:
    done = run("build", "tea", "--show", "3", folder=folder, BOT_NAME="susu")
    shown = done.stdout.split("--- ")[1:]
    assert len(shown) == 3
    assert "\x1b" not in done.stdout
    assert all("This is the chat of Tea house. susu is one of its members" in one for one in shown)
    assert all(re.search(r"^ *\d\.\d\d  susu: \w", one, re.MULTILINE) for one in shown)


def test_json_is_the_manifest_alone(folder: Path) -> None:
    done = run("build", "--json", "--show", "1", folder=folder)
    value = orjson.loads(done.stdout)
    assert value["name"] == "default"
    assert value["from_api"] == 0
    assert value["files"]["train.jsonl"]["samples"] > 20
    assert "--- " in done.stderr


def test_rule_21_is_said_for_what_came_through_the_api(folder: Path) -> None:
    assert "rule 21" not in run("build", folder=folder).stderr
    archive_of(folder / "other", small_talk(), origin="export").close()
    told = run("--data", "other", "build", folder=folder).stderr
    assert "200 messages of this corpus came through Discord's API" in told
    assert "rule 21" in told
    allowed = run("--data", "other", "build", folder=folder, TRAINING_PERMISSION_CONFIRMED="true")
    assert "rule 21" not in allowed.stderr


def test_persona_by_id_needs_a_yes(folder: Path) -> None:
    assert "2 has not agreed to be learned from" in refusal(run("build", "--persona", "2", folder=folder).stderr)
    with archive_of(folder / "data", []) as archive:
        agree(archive, TOM)
    done = run("build", "--persona", "2", "--json", folder=folder)
    assert orjson.loads(done.stdout)["recipe"]["persona"] == [2]
    assert MIA.id != TOM.id


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (["build"], {"CLEAN_OFF": "linsk"}, "CLEAN_OFF: linsk is no rule: choose from"),
        (["build"], {"CLEAN_OFF": "bots"}, "CLEAN_OFF: bots cannot be switched off"),
        (["build"], {"PERSONA": "You are a pirate"}, "BOT_DESCRIPTION"),
        (["build", "--persona", "mia"], {}, "PERSONA: write server, or ids of members"),
        (["build", "--persona", "1,99999999999999999999"], {}, "PERSONA: write server, or ids of members"),
        (["build"], {"BOT_DESCRIPTION": "word " * 900}, "of the 1,024 tokens of a sample"),
        (["build"], {"CONSENT": "opt-in"}, "nobody has agreed to be learned from"),
        (["--data", "empty", "build"], {}, "is empty: run  sususbot backfill"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    folder: Path, arguments: list[str], settings: dict[str, str], told: str
) -> None:
    done = run(*arguments, folder=folder, **settings)
    assert done.returncode == 1
    assert told in refusal(done.stderr)


def test_a_name_is_no_path(folder: Path) -> None:
    assert run("build", "../elsewhere", folder=folder).returncode == 2


def test_switching_off_what_protects_is_said(folder: Path) -> None:
    assert "careful: with CLEAN_OFF=secrets" in run("build", folder=folder, CLEAN_OFF="secrets, links").stderr
    assert "careful: with CLEAN_OFF=quotes" in run("build", folder=folder, CLEAN_OFF="quotes").stderr


@pytest.mark.skipif(not (DATA / "gitter").is_dir(), reason=f"the real chat is not at {DATA}/gitter")
def test_real_chat(tmp_path: Path) -> None:
    exports = [str(DATA / "gitter" / f"{name}.json.gz") for name in ("python", "contributors")]
    assert run("import", *exports, folder=tmp_path).returncode == 0
    done = run("build", "--json", folder=tmp_path)
    value = orjson.loads(done.stdout)
    assert value["largest_share"] <= 0.25
    corpus = load(tmp_path / "data" / "corpora" / "default")
    samples = [*corpus.train(), *corpus.valid()]
    assert len(samples) > 300
    for sample in samples:
        assert sample.tokens <= 1024
        learned = " ".join(turn.text for turn in sample.turns if turn.weight)
        assert not re.search(r"https?://\w|\[link\]|\[code\]|<@\d|```", learned), learned
        assert any(turn.own and turn.weight > 0.5 for turn in sample.turns)
