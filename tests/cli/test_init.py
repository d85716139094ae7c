"""`sususbot init`: settings that load, kept private; a notice and a policy; and nothing overwritten unasked."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sususbot import env_file
from sususbot.notice import Facts, notice, policy
from sususbot.settings import Settings
from tests.cli.terminal import typed_at
from tests.support.commands import refusal
from tests.support.commands import run_here as run

TOKEN = "MTIz.abc.def-ghi"
FLAGS = (
    "--channel",
    "123",
    "--guild",
    "45",
    "--consent",
    "opt-in",
    "--retention-days",
    "90",
    "--contact",
    "@lou (mod)",
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes and pseudo-terminals are POSIX")


def test_a_complete_env_is_written_that_loads_as_it_was_given(tmp_path: Path) -> None:
    done = run("init", "--yes", "--token", TOKEN, *FLAGS, "--bot-name", "Su'su #1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / ".env"
    loaded = env_file.load(path)
    assert loaded == Settings(
        _env_file=None,
        discord_token=TOKEN,
        channel_id=123,
        guild_id=45,
        consent="opt-in",
        retention_days=90,
        contact="@lou (mod)",
        bot_name="Su'su #1",
    )
    names = {
        line.lstrip("#").split("=")[0]
        for line in path.read_text().splitlines()
        if "=" in line and " " not in line.split("=")[0]
    }
    assert names == {name.upper() for name in Settings.model_fields}
    assert TOKEN not in done.stdout + done.stderr
    assert done.stdout == notice(Facts("Su'su #1", "opt-in", "@lou (mod)", 90))
    assert (tmp_path / "PRIVACY.md").read_text() == policy(Facts("Su'su #1", "opt-in", "@lou (mod)", 90))
    # The settings are those that other commands go by.
    assert json.loads(run("consent", "list", "--json", folder=tmp_path).stdout)["mode"] == "opt-in"


@posix
def test_env_and_data_are_for_the_owners_eyes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run("init", "--yes", folder=tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_again_changes_nothing_and_prints_the_notice_again(tmp_path: Path) -> None:
    first = run("init", "--yes", *FLAGS, folder=tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for arguments in (["init"], ["init", "--yes"], ["init", *FLAGS]):
        again = run(*arguments, folder=tmp_path)
        assert (again.returncode, again.stdout) == (0, first.stdout)
        assert ".env is there and stays as it is" in again.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == files


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    run("init", "--yes", "--channel", "1", folder=tmp_path)
    (tmp_path / "PRIVACY.md").write_text("my own words")
    before = (tmp_path / ".env").read_bytes()
    done = run("init", "--channel", "2", "--consent", "all", folder=tmp_path)
    assert refusal(done.stderr) == (
        ".env is there already with another CHANNEL_ID, CONSENT: change it there, or write it anew with --force"
    )
    assert (tmp_path / ".env").read_bytes() == before
    assert "stays so" in run("init", folder=tmp_path).stderr
    assert (tmp_path / "PRIVACY.md").read_text() == "my own words"
    assert run("init", "--yes", "--channel", "2", "--force", folder=tmp_path).returncode == 0
    assert env_file.load(tmp_path / ".env").channel_id == 2
    assert (tmp_path / ".env.old").read_bytes() == before
    assert (tmp_path / "PRIVACY.md").read_text() == policy(Facts("sususbot"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--channel", "abc", "--retention-days", "0"], "CHANNEL_ID: write the number that Copy ID in Discord gives"),
        (["--retention-days", "0"], "RETENTION_DAYS: write 1 or more: give it again"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = run("init", "--yes", *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert sentence in refusal(done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_another_place_for_the_settings(tmp_path: Path) -> None:
    done = run("--env", "conf/my.env", "--data", "there/data", "init", "--yes", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "conf/my.env",
        "conf/PRIVACY.md",
    }
    (tmp_path / "file").write_text("")
    done = run("--env", "file/my.env", "init", "--yes", folder=tmp_path)
    assert "cannot be written" in refusal(done.stderr)


def test_a_token_that_looks_wrong_is_remarked_upon(tmp_path: Path) -> None:
    assert "does not look like Discord's" in run("init", "--yes", "--token", "12345", folder=tmp_path).stderr
    assert "next: put CHANNEL_ID into .env" in run("init", folder=tmp_path).stderr


@posix
def test_on_a_terminal_it_asks_and_asks_again_for_what_is_wrong(tmp_path: Path) -> None:
    answers = [
        ("not shown): ", TOKEN),
        ("Copy Channel ID): ", "general"),
        ("Copy Channel ID): ", "123"),
        ("Copy Server ID): ", ""),
        ("[opt-out]: ", "perhaps"),
        ("[opt-out]: ", "all"),
        ("kept): ", "30"),
        ("on Discord: ", "@lou"),
        ("[sususbot]: ", ""),
    ]
    code, shown = typed_at("init", folder=tmp_path, answers=answers)
    assert code == 0, shown
    assert TOKEN not in shown
    loaded = env_file.load(tmp_path / ".env")
    assert (loaded.discord_token, loaded.channel_id, loaded.guild_id) == (TOKEN, 123, None)
    assert (loaded.consent, loaded.retention_days, loaded.contact, loaded.bot_name) == ("all", 30, "@lou", "sususbot")


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (
            "NVIDIA RTX 2080 Ti, 11264\nNVIDIA T400, 2048\n",
            "Ti, 11 GB: room for all layers of a model that talks (mistral-7b-q6_k",
        ),
        ("NVIDIA GTX 1660, 6144\n", "GTX 1660, 6 GB: room for all layers of a model that talks (mistral-7b-q4_k_m: "),
        ("NVIDIA GTX 1660, 6144\n", "but it is too small to train one on"),
        ("NVIDIA GeForce RTX 3050, 8192\n", "fetches it), and to train one"),
        ("NVIDIA T400, 2048\n", "T400, 2 GB: room for some of the layers of a model"),
        ("no devices were found\n", "no graphics card found"),
        ("", "no graphics card found"),
    ],
)
@posix
def test_it_says_what_the_graphics_card_means(tmp_path: Path, card: str, sentence: str) -> None:
    """`nvidia-smi` is any program of that name on the path."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'end'\n{card}end\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    assert sentence in run("init", "--yes", folder=tmp_path, PATH=path).stderr


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=30)


@hypothesis_settings(max_examples=150)
@given(PRINTABLE)
def test_any_value_comes_back_from_a_file_as_it_was_given(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.env"
    path.write_text(env_file.filled({"contact": value}), encoding="utf-8")
    assert dotenv_values(path, encoding="utf-8")["CONTACT"] == value


@pytest.mark.parametrize("consent", ["opt-out", "opt-in", "all"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("server", [None, "http://127.0.0.1:8000/v1"])
def test_notice_and_policy_say_what_members_need_to_know(consent: str, training: bool, server: str | None) -> None:
    facts = Facts("Susu", consent, "@lou", 30, training, server)
    silence = {"opt-out": "counts as a yes", "opt-in": "not used, unless you say yes", "all": "has agreed"}[consent]
    for text in (notice(facts), policy(facts)):
        for needed in (
            "Susu",
            "@lou",
            "30 days",
            silence,
            "Forget me",
            "no reason is needed",
            "say no",
        ):
            assert needed in text, needed
        assert (server in text) if server else ("http" not in text)
        assert ("learn how" in text or "Learning" in text) == training
    # One message on Discord.
    assert len(notice(facts)) <= 2000
    assert not [line for line in policy(facts).splitlines() if line.endswith(" ")]
