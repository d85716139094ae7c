"""`sususbot init`: settings that load, kept private; a notice and a policy; and nothing overwritten unasked."""

import asyncio
import json
import os
import re
import stat
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sususbot import env_file
from sususbot.doctor.choice import choose, this_machine
from sususbot.notice import Facts, notice, policy
from sususbot.settings import Settings
from sususbot.sources.discord_api.permissions import NEEDED, lacking
from sususbot.standin.ratelimit import RateLimits
from sususbot.standin.server import StandIn
from tests.cli.terminal import typed_at
from tests.sources.discord_api.town import empty_town
from tests.support.commands import refusal
from tests.support.commands import run as run_apart
from tests.support.commands import run_here as run
from tests.support.ready import AT_API

TOKEN = "MTIz.abc.def-ghi"
CHANNEL, GUILD = "1213800000000000000", "1213700000000000000"
FLAGS = (
    "--channel",
    CHANNEL,
    "--guild",
    GUILD,
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
    values = {
        "discord_token": TOKEN,
        "channel_id": CHANNEL,
        "guild_id": GUILD,
        "consent": "opt-in",
        "retention_days": "90",
        "contact": "@lou (mod)",
        "bot_name": "Su'su #1",
    }
    chosen = choose(this_machine(), Path("data/models")).values
    assert loaded == env_file.checked({**chosen, **values})
    names = {
        line.lstrip("#").split("=")[0]
        for line in path.read_text(encoding="utf-8").splitlines()
        if "=" in line and " " not in line.split("=")[0]
    }
    assert names == {name.upper() for name in Settings.model_fields}
    assert TOKEN not in done.stdout + done.stderr
    assert done.stdout == notice(Facts("Su'su #1", "opt-in", "@lou (mod)", 90))
    assert (tmp_path / "PRIVACY.md").read_text(encoding="utf-8") == policy(
        Facts("Su'su #1", "opt-in", "@lou (mod)", 90)
    )
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


def test_what_was_left_out_is_added_and_nothing_else_changes(tmp_path: Path) -> None:
    run("init", "--yes", "--contact", "@lou", folder=tmp_path)
    before = (tmp_path / ".env").read_text(encoding="utf-8")
    done = run("init", "--yes", "--token", f'"Bot {TOKEN}"', "--channel", CHANNEL, "--contact", "@lou", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "added: DISCORD_TOKEN, CHANNEL_ID" in done.stderr
    after = (tmp_path / ".env").read_text(encoding="utf-8")
    assert after == before.replace("#DISCORD_TOKEN=", f"DISCORD_TOKEN={TOKEN}").replace(
        "#CHANNEL_ID=", f"CHANNEL_ID={CHANNEL}"
    )


@posix
def test_the_token_comes_by_standard_input_or_the_environment_and_is_shown_nowhere(tmp_path: Path) -> None:
    by_input, by_environment, nothing = (tmp_path / name for name in ("input", "environment", "nothing"))
    for folder in (by_input, by_environment, nothing):
        folder.mkdir()
    done = run_apart("init", "--yes", "--token", "-", folder=by_input, typed=f"{TOKEN}\n")
    other = run("init", "--yes", folder=by_environment, DISCORD_TOKEN=TOKEN)
    for folder, told in ((by_input, done), (by_environment, other)):
        assert told.returncode == 0, told.stderr
        assert dotenv_values(folder / ".env")["DISCORD_TOKEN"] == TOKEN
        assert TOKEN not in told.stdout + told.stderr
    done = run("init", "--yes", "--token", "-", folder=nothing)
    assert refusal(done.stderr).startswith("no token came by standard input: ")
    assert list(nothing.iterdir()) == []


def test_the_invite_link_asks_for_what_the_bot_needs_ready_to_click(tmp_path: Path) -> None:
    for number, flags in enumerate((["--token", TOKEN], ["--application", CHANNEL])):
        folder = tmp_path / str(number)
        folder.mkdir()
        told = run("init", "--yes", *flags, folder=folder).stderr
        (link,) = [line for line in told.splitlines() if line.startswith("https://")]
        asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        assert asked["client_id"] == ("123", CHANNEL)[number]
        assert asked["scope"] == "bot applications.commands"
        rights = int(asked["permissions"])
        assert rights == sum(NEEDED)
        assert lacking(rights) == lacking(rights, thread=True) == []
        assert urlsplit(link)[:3] == ("https", "discord.com", "/oauth2/authorize")


def test_without_a_token_the_steps_on_discord_are_told(tmp_path: Path) -> None:
    # Whoever has the ports that are the default.
    told = run("init", "--yes", folder=tmp_path, METRICS_PORT="0", WEB_PORT="0").stderr
    for step in ("discord.com/developers/applications", "Message Content Intent on", "Public Bot off", "Reset Token"):
        assert step in told
    assert max(map(len, told.splitlines())) < 80
    assert "not yet set: DISCORD_TOKEN, CHANNEL_ID; all else is well" in " ".join(told.split())
    assert told.endswith(f"Next\n   {'sususbot init':31} adds DISCORD_TOKEN and CHANNEL_ID\n")


def test_it_ends_in_what_the_doctor_finds_and_has_done_its_work_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "archive.db").write_bytes(b"overwritten" * 1000)
    done = run("init", "--yes", "--token", "12345", folder=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / ".env").is_file()
    assert "WRONG    token: DISCORD_TOKEN does not look like Discord's" in done.stderr
    assert "WRONG    archive: " in done.stderr
    assert "ok       " not in done.stderr


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    run("init", "--yes", "--channel", GUILD, folder=tmp_path)
    (tmp_path / "PRIVACY.md").write_text("my own words", encoding="utf-8")
    before = (tmp_path / ".env").read_bytes()
    done = run("init", "--channel", CHANNEL, "--consent", "all", folder=tmp_path)
    assert refusal(done.stderr) == (
        ".env is there already with another CHANNEL_ID, CONSENT: change it there, or write it anew with --force"
    )
    assert (tmp_path / ".env").read_bytes() == before
    assert "stays so" in run("init", folder=tmp_path).stderr
    assert (tmp_path / "PRIVACY.md").read_text(encoding="utf-8") == "my own words"
    assert run("init", "--yes", "--channel", CHANNEL, "--force", folder=tmp_path).returncode == 0
    assert env_file.load(tmp_path / ".env").channel_id == int(CHANNEL)
    assert (tmp_path / ".env.old").read_bytes() == before
    assert (tmp_path / "PRIVACY.md").read_text(encoding="utf-8") == policy(Facts("sususbot"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
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


@pytest.mark.parametrize("flag", ["--channel", "--guild", "--application"])
@pytest.mark.parametrize("typed", ["abc", "12", "1" * 21])
def test_what_is_no_id_is_refused_and_not_repeated(tmp_path: Path, flag: str, typed: str) -> None:
    done = run("init", "--yes", "--force", flag, typed, folder=tmp_path)
    assert done.returncode == 2
    assert f"{flag} is no id, ids have 17 to 20 digits: " in done.stderr
    assert typed not in done.stderr.replace("17 to 20", "")
    assert list(tmp_path.iterdir()) == []


def test_another_place_for_the_settings(tmp_path: Path) -> None:
    done = run("--env", "conf/my.env", "--data", "there/data", "init", "--yes", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "conf/my.env",
        "conf/PRIVACY.md",
    }
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run("--env", "file/my.env", "init", "--yes", folder=tmp_path)
    assert "cannot be written" in refusal(done.stderr)


def test_a_folder_of_that_name_is_told_of(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert refusal(run("init", "--yes", folder=tmp_path).stderr).startswith(
        ".env is a folder, and the settings are a file"
    )


ANSWERS = [
    ("Token (not shown): ", "nonsense"),
    ("Token (not shown): ", "abc.def.ghi"),
    ("Token (not shown): ", f"'Bot {TOKEN}' "),
    ("Channel ID: ", "general"),
    ("Channel ID: ", "12"),
    ("Channel ID: ", CHANNEL),
    ("channel above): ", ""),
    ("[opt-out]: ", "perhaps"),
    ("[opt-out]: ", "all"),
    ("kept): ", "30"),
    ("@mia: ", "@lou"),
    ("[sususbot]: ", ""),
    ("[Y/n]: ", "n"),
]


@posix
def test_on_a_terminal_it_asks_and_asks_again_for_what_is_wrong(tmp_path: Path) -> None:
    code, shown = typed_at("init", folder=tmp_path, answers=ANSWERS, COLUMNS="80")
    assert code == 0, shown
    assert TOKEN not in shown
    loaded = env_file.load(tmp_path / ".env")
    assert (loaded.discord_token, loaded.channel_id, loaded.guild_id) == (TOKEN, int(CHANNEL), None)
    assert (loaded.consent, loaded.retention_days, loaded.contact, loaded.bot_name) == ("all", 30, "@lou", "sususbot")
    lines = shown.replace("\r", "").partition("The notice for your server")[0].splitlines()
    assert [line for line in lines if len(line) > 79 and not line.startswith("https://")] == []


@posix
async def test_once_the_bot_is_invited_discord_is_asked_whether_all_is_right(tmp_path: Path) -> None:
    made = empty_town()
    made.world.message_content_allowed = False
    async with StandIn(made.world, rate=RateLimits.fast()) as server:
        code, shown = await asyncio.to_thread(
            typed_at,
            *("init", "--token", made.world.token, "--channel", str(made.square.id)),
            folder=tmp_path,
            answers=[
                ("later): ", ""),
                ("above): ", ""),
                ("out]: ", ""),
                ("kept): ", ""),
                ("mia: ", ""),
                ("sususbot]: ", ""),
                ("N]: ", "y"),
            ],
            program=("-c", AT_API, server.http_url),
        )
    assert code == 0, shown
    assert "discord intent: Discord hides the words of all messages" in " ".join(shown.split())
    assert (tmp_path / ".env").is_file()


@posix
@pytest.mark.parametrize("questions", [1, 4])
def test_interrupted_at_a_question_nothing_is_written(tmp_path: Path, questions: int) -> None:
    code, shown = typed_at("init", folder=tmp_path, answers=[*ANSWERS[:questions], (ANSWERS[questions][0], "\x04")])
    assert code == 130
    assert shown.rstrip().endswith("sususbot: stopped, and nothing was written: run  sususbot init  again")
    assert list(tmp_path.iterdir()) == []


@posix
def test_without_a_token_the_link_is_made_of_the_application_and_discord_is_not_asked(tmp_path: Path) -> None:
    answers = [("not shown): ", ""), ("later): ", "12"), ("later): ", GUILD), ("Channel ID: ", CHANNEL)]
    more = [("above): ", ""), ("out]: ", ""), ("kept): ", ""), ("mia: ", ""), ("sususbot]: ", "")]
    code, shown = typed_at("init", folder=tmp_path, answers=answers + more)
    assert code == 0, shown
    assert f"client_id={GUILD}" in shown
    assert "Is the bot on your server now?" not in shown
    assert "not yet set: DISCORD_TOKEN" in shown


@posix
def test_again_on_a_terminal_it_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    run("init", "--yes", "--token", TOKEN, "--contact", "@lou", folder=tmp_path)
    code, shown = typed_at("init", folder=tmp_path, answers=[("Channel ID: ", CHANNEL), ("[Y/n]: ", "n")])
    assert code == 0, shown
    assert "Token (not shown)" not in shown
    loaded = env_file.load(tmp_path / ".env")
    assert (loaded.discord_token, loaded.channel_id, loaded.contact) == (TOKEN, int(CHANNEL), "@lou")


@pytest.mark.parametrize(
    ("card", "told", "chosen"),
    [
        (
            "NVIDIA RTX 2080 Ti, 11264, 580.65.06\nNVIDIA T400, 2048, 580.65.06\n",
            ["RTX 2080 Ti, 11 GB, driver 580.65.06", "mistral-7b-q6_k", "whole on the card", "VRAM_PRESET=11"],
            {"VRAM_PRESET": "11", "CONTEXT_TOKENS": "4096", "MODEL_PATH": "data/models/Mistral-7B-v0.3.Q6_K.gguf"},
        ),
        (
            "NVIDIA GTX 1660, 6144, 550.1\n",
            ["mistral-7b-q4_k_m", "to train: not on this card, which takes 8 GB and has 6"],
            {"VRAM_PRESET": None, "BASE_MODEL": "mistralai/Mistral-7B-v0.3"},
        ),
        (
            "no devices were found\n",
            ["no graphics card"],
            {"BACKEND": "recall", "CONTEXT_TOKENS": None, "MODEL_PATH": None, "BASE_MODEL": None},
        ),
        ("", ["no graphics card"], {"BACKEND": "recall"}),
    ],
)
@posix
def test_it_finds_the_graphics_card_and_chooses_for_it(
    tmp_path: Path, card: str, told: list[str], chosen: dict[str, str | None]
) -> None:
    """`nvidia-smi` is any program of that name on the path."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'end'\n{card}end\n", encoding="utf-8")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    shown = " ".join(run("init", "--yes", folder=tmp_path, PATH=path).stderr.split())
    assert [sentence for sentence in told if sentence not in shown] == []
    written = dotenv_values(tmp_path / ".env")
    assert {name: written.get(name) for name in chosen} == chosen
    lines = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    for name in (name for name, value in chosen.items() if value is not None and name != "KV_TYPE"):
        before = lines[[line.startswith(f"{name}=") for line in lines].index(True) - 1]
        assert before.startswith("# Chosen"), name


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=30)


@hypothesis_settings(max_examples=150, deadline=None)
@given(PRINTABLE)
def test_any_value_comes_back_from_a_file_as_it_was_given(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.env"
    path.write_text(env_file.filled({"contact": value}), encoding="utf-8")
    assert dotenv_values(path, encoding="utf-8")["CONTACT"] == value


@pytest.mark.parametrize("consent", ["opt-out", "opt-in", "all"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("server", [None, "http://127.0.0.1:8000/v1"])
@pytest.mark.parametrize("vectors", [None, "http://10.0.0.2:8001"])
def test_notice_and_policy_say_what_members_need_to_know(
    consent: str, training: bool, server: str | None, vectors: str | None
) -> None:
    facts = Facts("Susu", consent, "@lou", 30, training, server, vectors)
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
        assert [each for each in (vectors, server) if each] == re.findall(r"http://[\d.:]+\d(?:/v1)?", text)
        assert ("othing leaves" in text or "Nobody but" in text) == (server is None and vectors is None)
        assert ("learn how" in text or "Learning" in text) == training
    # One message on Discord.
    assert len(notice(facts)) <= 2000
    assert not [line for line in policy(facts).splitlines() if line.endswith(" ")]
