"""Settings: `.env.example` is what the code says, all faults come together in one sentence, and nothing is ignored."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import time
from pathlib import Path

import pytest

from sususbot import env_file
from sususbot.errors import SettingsError
from sususbot.settings import Settings
from tests.support.systems import link as make_link

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests, and no `.env` of the folder it runs in."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def env(folder: Path, text: str) -> Path:
    path = folder / "settings.env"
    path.write_bytes(text.encode())
    return path


def test_the_example_is_made_from_the_settings() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_file.example()


def test_the_example_uncommented_changes_nothing(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") for line in env_file.example().splitlines() if line.startswith("#") and "=" in line]
    values = "\n".join(line for line in lines if line[0].isupper())
    assert "=True" not in values
    assert "=False" not in values
    assert env_file.load(env(tmp_path, values)) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_NAME", "gerald")
    assert env_file.load(env(tmp_path, "BOT_NAME=kettle\nTOP_K=7")).bot_name == "gerald"


@pytest.mark.parametrize(
    "text",
    [
        "DISCORD_TOKEN=abc\r\nCHANNEL_ID=12\r\n",
        "DISCORD_TOKEN='abc'\nCHANNEL_ID=12",
        '\ufeffDISCORD_TOKEN="abc"\nCHANNEL_ID=12',
    ],
)
def test_files_as_people_make_them_are_read(tmp_path: Path, text: str) -> None:
    loaded = env_file.load(env(tmp_path, text))
    assert (loaded.discord_token, loaded.channel_id) == ("abc", 12)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_whatever_windows_writes_is_read_and_changed(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "settings.env"
    path.write_bytes(f"# für uns{end}CONTACT=Zoë{end}CHANNEL_ID=12{end}".encode(encoding))
    loaded = env_file.load(path)
    assert (loaded.contact, loaded.channel_id) == ("Zoë", 12)
    env_file.set_values(path, {"channel_id": "13"})
    assert path.read_bytes().decode("utf-8") == f"# für uns{end}CONTACT=Zoë{end}CHANNEL_ID=13{end}"


def test_what_is_no_unicode_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "settings.env"
    for content in ("CONTACT=Zoë".encode("cp1252"), "CONTACT=Zoë".encode("utf-16") + b"\0"):
        path.write_bytes(content)
        for doing in (lambda: env_file.load(path), lambda: env_file.set_values(path, {"channel_id": "13"})):
            with pytest.raises(SettingsError, match=r"is not UTF-8 text: save it as UTF-8 \(Notepad"):
                doing()
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    "pasted",
    ['"{}"', "'{}'", " {} ", "Bot {}", "bot  {}", '"Bot {}"', "“{}”", "`{}`", "DISCORD_TOKEN={}", "\ufeff{}", "{}\n"],
)
def test_a_token_is_taken_out_of_what_came_with_it(pasted: str) -> None:
    assert env_file.checked({"discord_token": pasted.format("abc.def.ghi")}).discord_token == "abc.def.ghi"
    assert env_file.checked({"discord_token": pasted.format("abc.de\n f.ghi")}).discord_token == "abc.def.ghi"


@pytest.mark.parametrize("nothing", ['""', "Bot ", "''", " "])
def test_of_a_token_that_is_nothing_nothing_is_made(nothing: str) -> None:
    assert env_file.checked({"discord_token": nothing}).discord_token in (None, "Bot")


def test_ids_are_a_list(tmp_path: Path) -> None:
    assert env_file.load(env(tmp_path, "CHANNELS=1, 2 3")).channels == (1, 2, 3)


def test_all_faults_are_told_together_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        env_file.load(env(tmp_path, "DISCORD_TOKN=secret\nTOP_P=7\nCHANNEL_ID=general\nBACKEND=gpt"))
    sentence = str(caught.value)
    for part in ("DISCORD_TOKN is no setting (did you mean DISCORD_TOKEN?)", "TOP_P", "CHANNEL_ID", "BACKEND"):
        assert part in sentence
    assert "secret" not in sentence
    assert "\n" not in sentence


def test_a_missing_or_unreadable_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--env"):
        env_file.load(tmp_path / "none.env")
    (tmp_path / "latin.env").write_bytes("BOT_NAME=Jörg".encode("latin-1"))
    with pytest.raises(SettingsError, match="UTF-8"):
        env_file.load(tmp_path / "latin.env")


def test_no_default_env_file_is_no_fault() -> None:
    assert env_file.load(None) == Settings()


def test_a_line_that_is_no_setting_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"line 2 of .* NAME=value"):
        env_file.load(env(tmp_path, "TOP_K=7\nOPTED_OUT 77 = \n"))


def test_quiet_hours_are_read_as_people_write_them(tmp_path: Path) -> None:
    night = (time(23), time(7))
    for text in ("23:00-07:00", "23-7", " 23:00 – 7:00 "):
        assert env_file.load(env(tmp_path, f"QUIET_HOURS='{text}'")).quiet_hours == (night,)
    several = env_file.load(env(tmp_path, "QUIET_HOURS=23:00-07:00,12:30-13:00,20-24:00"))
    assert several.quiet_hours == (night, (time(12, 30), time(13)), (time(20), time(0)))


@pytest.mark.parametrize("text", ["23:00", "23:00-25:00", "23:60-07:00", "late", "7-7", "00:00-24:00", "23-7,,"])
def test_quiet_hours_that_are_none_are_told_with_an_example(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"QUIET_HOURS: .*23:00-07:00"):
        env_file.load(env(tmp_path, f"QUIET_HOURS={text}"))


@pytest.mark.parametrize("text", ["Europe", "Berlin", "../etc/passwd", "UTC+1", "/etc/localtime", "CET "])
def test_a_time_zone_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TIMEZONE: there is no time zone"):
        env_file.load(env(tmp_path, f"TIMEZONE='{text}'"))


def test_a_time_zone_and_who_is_blocked_are_read(tmp_path: Path) -> None:
    loaded = env_file.load(env(tmp_path, "TIMEZONE=Europe/Berlin\nBLOCKED_MEMBERS=1, 2 3"))
    assert (loaded.timezone, loaded.blocked_members) == ("Europe/Berlin", (1, 2, 3))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("MEMBER_RATE=many", "MEMBER_RATE: write a whole number"),
        ("MEMBER_RATE=-1", "MEMBER_RATE: write 0 or more"),
        ("COOLDOWN_SECONDS=10s", "COOLDOWN_SECONDS: write a number"),
        ("LOG_FILE_MB=0", "LOG_FILE_MB: write more than 0"),
        ("METRICS_PORT=99999", "METRICS_PORT: write 65535 or less"),
        ("LOG_CONTENT=maybe", "LOG_CONTENT: write true or false"),
        ("LOG_LEVEL=loud", "LOG_LEVEL: choose DEBUG, INFO, WARNING or ERROR"),
        ("BLOCKED_MEMBERS=@mia, tom", "BLOCKED_MEMBERS: write the number that Copy ID in Discord gives"),
        ("OWNER_IDS=99999999999999999999", "OWNER_IDS: write the number that Copy ID in Discord gives"),
        ("TIMEZONE=berlin", "TIMEZONE: there is no time zone berlin: write Europe/Berlin"),
        ("TIMEZONE='new york'", "TIMEZONE: there is no time zone new york: write America/New_York"),
    ],
)
def test_what_is_wrong_is_told_in_words_for_people(line: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        env_file.load(env(tmp_path, line))
    assert str(caught.value).startswith(told)
    assert str(caught.value).count(":") == told.count(":") + 1 + str(tmp_path).count(":")


def test_a_level_may_be_written_small(tmp_path: Path) -> None:
    assert env_file.load(env(tmp_path, "LOG_LEVEL=debug")).log_level == "DEBUG"


FILE = "# mine\n\nCONTACT='a b'\n# rules\n#CLEAN_OFF=\nTOP_K=7\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_setting_is_changed_and_every_other_line_kept(tmp_path: Path, end: str) -> None:
    path = env(tmp_path, FILE.replace("\n", end))
    env_file.set_values(path, {"clean_off": "floods, urls", "top_k": "9", "bot_name": "o'malley"})
    changed = FILE.replace("#CLEAN_OFF=", "CLEAN_OFF='floods, urls'").replace("TOP_K=7", "TOP_K=9")
    changed = f"{changed}BOT_NAME='o\\'malley'\n"
    assert path.read_bytes().decode() == changed.replace("\n", end)
    loaded = env_file.load(path)
    assert (loaded.clean_off, loaded.top_k, loaded.bot_name) == (("floods", "urls"), 9, "o'malley")
    assert loaded.contact == "a b"


def test_the_last_of_two_lines_counts_and_is_changed(tmp_path: Path) -> None:
    path = env(tmp_path, "TOP_K=1\n\nTOP_K=2")
    env_file.set_values(path, {"top_k": "3"})
    assert path.read_text(encoding="utf-8") == "TOP_K=1\n\nTOP_K=3\n"


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.set_values(path, {"top_k": "3"})
    assert path.read_text(encoding="utf-8") == "TOP_K=3\n"
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_changed_to_what_is_wrong_or_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = env(tmp_path, FILE)
    with pytest.raises(SettingsError, match="TOP_K: write 0 or more"):
        env_file.set_values(path, {"top_k": "-3"})
    monkeypatch.setenv("TOP_K", "5")
    with pytest.raises(SettingsError, match="TOP_K is set in the environment"):
        env_file.set_values(path, {"top_k": "3"})
    assert path.read_text(encoding="utf-8") == FILE
    assert list(tmp_path.iterdir()) == [path]


def test_changes_at_once_all_come_through_and_a_link_stays_one(tmp_path: Path) -> None:
    path = env(tmp_path, FILE)
    link = tmp_path / "link.env"
    make_link(link, path)
    names = ["top_k", "seed", "slots", "memories", "threads", "lora_rank", "epochs", "queue_size"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: env_file.set_values(link, {name: "5"}), names * 5))
    loaded = env_file.load(link)
    assert [getattr(loaded, name) for name in names] == [5] * len(names)
    assert link.is_symlink()
