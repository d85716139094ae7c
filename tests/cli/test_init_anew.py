"""`sususbot init --force`: a settings file written anew loses nothing, tells nobody's token and breaks no promise."""

import stat
import sys
from pathlib import Path

import pytest

from sususbot import env_file
from tests.support.commands import refusal
from tests.support.commands import run_here as run

TOKEN = "MTIz.abc.def-ghi"
CHANNEL = "1213800000000000000"
posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes and links are POSIX")


def test_written_anew_it_keeps_what_was_answered(tmp_path: Path) -> None:
    run("init", "--yes", "--token", TOKEN, "--channel", CHANNEL, "--consent", "opt-in", folder=tmp_path)
    more = {"blocked_members": "7, 8", "web_password": "a long one", "training_permission_confirmed": "true"}
    env_file.set_values(tmp_path / ".env", {"top_k": "7", "base_model": "own/base", "backend": "openai", **more})
    done = run("init", "--yes", "--force", "--contact", "@mia", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "kept from .env: DISCORD_TOKEN, CHANNEL_ID" in done.stderr
    assert "BACKEND=openai was kept; for this machine it would now be" in " ".join(done.stderr.split())
    loaded = env_file.load(tmp_path / ".env")
    assert (loaded.discord_token, loaded.channel_id, loaded.consent, loaded.contact) == (
        TOKEN,
        int(CHANNEL),
        "opt-in",
        "@mia",
    )
    assert (loaded.top_k, loaded.base_model, loaded.blocked_members) == (7, "own/base", (7, 8))
    assert (loaded.web_password, loaded.training_permission_confirmed) == ("a long one", True)


@pytest.mark.parametrize(
    "wrong", [b"CONSENT=opt_in", b"CONCENT=opt-in", b"CONSENT opt-in", b"RETENTION_DAYS=x", b"\xff\xff"]
)
def test_written_anew_it_breaks_no_promise_that_it_cannot_read(tmp_path: Path, wrong: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before := f"DISCORD_TOKEN={TOKEN}\nCHANNEL_ID=123\n".encode() + wrong + b"\n")
    done = run("init", "--yes", "--force", folder=tmp_path)
    assert (done.returncode, path.read_bytes()) == (1, before)
    assert "mend it there, or give --" in refusal(done.stderr)
    assert [file.name for file in tmp_path.iterdir()] == [".env"]
    flags = ("--consent", "opt-in", "--retention-days", "30")
    assert run("init", "--yes", "--force", *flags, folder=tmp_path).returncode == 0
    loaded = env_file.load(path)
    assert (loaded.consent, loaded.retention_days) == ("opt-in", 30)
    assert loaded.discord_token == (None if wrong == b"\xff\xff" else TOKEN)
    assert (tmp_path / ".env.old").read_bytes() == before


def test_written_anew_it_names_what_it_cannot_keep(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\nTOP_P=many\nTOPK=7\nno setting\n", encoding="utf-8")
    # What is wrong in the environment is not the file's fault, and nothing is written by it.
    done = run("init", "--yes", "--force", folder=tmp_path, TOP_K="many")
    assert (done.returncode, [file.name for file in tmp_path.iterdir()]) == (1, [".env"])
    done = run("init", "--yes", "--force", folder=tmp_path)
    told = " ".join(done.stderr.split())
    assert "kept from .env: DISCORD_TOKEN" in told
    assert "! not kept: TOP_P: write a number" in told
    assert "! not kept: TOPK is no setting (did you mean TOP_K?)" in told
    assert "! not kept: line 4 is no setting" in told
    assert env_file.load(tmp_path / ".env").discord_token == TOKEN


def test_written_anew_time_and_again_nothing_older_is_overwritten(tmp_path: Path) -> None:
    """The oldest may be the only one that still has the token."""
    written = []
    for text in (f"DISCORD_TOKEN={TOKEN}\n", "TOP_K=5\n", "TOP_K=6\n"):
        (tmp_path / ".env").write_text(text, encoding="utf-8")
        assert run("init", "--yes", "--force", folder=tmp_path).returncode == 0
        written.append(text)
    olds = [tmp_path / name for name in (".env.old", ".env.old.2", ".env.old.3")]
    assert [old.read_text(encoding="utf-8") for old in olds] == written
    # The same once more needs no copy of its own.
    (tmp_path / ".env").write_text(written[0], encoding="utf-8")
    assert run("init", "--yes", "--force", folder=tmp_path).returncode == 0
    assert not (tmp_path / ".env.old.4").exists()


def test_where_the_new_one_cannot_be_put_in_place_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\n", encoding="utf-8")

    def refuse(aside: Path, place: Path) -> Path:
        if place.name == ".env":
            raise PermissionError(13, "it is open")
        return aside.replace(place)

    monkeypatch.setattr("sususbot.cli.initializing.put", refuse)
    done = run("init", "--yes", "--force", folder=tmp_path)
    assert ".env cannot be written (it is open)" in refusal(done.stderr)
    assert env_file.load(tmp_path / ".env").discord_token == TOKEN


@posix
def test_a_file_that_others_may_read_gets_no_token(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(env_file.example(), encoding="utf-8")
    path.chmod(0o644)
    env_file.set_values(path, {"top_k": "7"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert run("init", "--yes", "--token", TOKEN, folder=tmp_path).returncode == 0
    assert TOKEN in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert run("init", "--yes", "--force", folder=tmp_path).returncode == 0
    modes = [stat.S_IMODE(file.stat().st_mode) for file in (path, tmp_path / ".env.old")]
    assert modes == [0o600, 0o600]


@posix
def test_a_link_to_the_settings_stays_one(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("TOP_K=7\n", encoding="utf-8")
    (tmp_path / ".env").symlink_to(tmp_path / "kept")
    assert run("init", "--yes", "--force", folder=tmp_path).returncode == 0
    assert (tmp_path / ".env").is_symlink()
    assert env_file.load(tmp_path / "kept").top_k == 7


@pytest.mark.parametrize("typed", [(TOKEN,), ("--yes", TOKEN, "more"), ("--application", TOKEN)])
def test_a_token_in_the_wrong_place_is_not_repeated(tmp_path: Path, typed: tuple[str, ...]) -> None:
    done = run("init", *typed, folder=tmp_path)
    assert done.returncode == 2
    assert "may be the token" in done.stderr or "Application ID" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_password_of_a_model_server_is_published(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BACKEND=openai\nOPENAI_BASE_URL=http://me:sekret@gpu:8000/v1\n", encoding="utf-8")
    done = run("init", "--yes", folder=tmp_path)
    told = done.stdout + done.stderr + (tmp_path / "PRIVACY.md").read_text(encoding="utf-8")
    assert "http://gpu:8000/v1" in told
    assert "sekret" not in told
