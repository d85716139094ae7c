"""Settings as they should be, and not; of a token nothing is shown."""

import os
import socket
from pathlib import Path

import pytest

from sususbot.doctor import checks_settings
from sususbot.env_file import checked, load
from sususbot.settings import Settings


def test_settings_that_can_be_read_and_that_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPERATURE", raising=False)
    env = tmp_path / ".env"
    env.write_text("TEMPERATURE=0.5\n", encoding="utf-8")
    settings, finding = checks_settings.read(lambda: load(env))
    assert settings is not None
    assert (settings.temperature, finding.state) == (0.5, "ok")
    env.write_text("TEMPERATURE=hot\nTEMPERATUR=1\n", encoding="utf-8")
    settings, finding = checks_settings.read(lambda: load(env))
    assert settings is None
    assert finding.state == "wrong"
    assert "did you mean TEMPERATURE" in finding.sentence
    assert finding.step.startswith("mend this in")


@pytest.mark.parametrize(
    ("token", "state"),
    [
        ("", "skipped"),
        ("MTIz.def.ghi", "ok"),
        ("abc.def.ghi", "wrong"),
        ("abcdefghi", "wrong"),
        ("abc.def", "wrong"),
        ("abc..d", "wrong"),
    ],
)
def test_the_form_of_a_token(token: str, state: str) -> None:
    finding = checks_settings.token(checked({"discord_token": token} if token else {}))
    assert finding.state == state
    assert not token or token not in f"{finding.sentence}{finding.step}"


def test_the_way_to_discord(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    assert checks_settings.proxy("https://discord.com").state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as there:
        address = f"127.0.0.1:{there.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{address}")
        finding = checks_settings.proxy("https://discord.com")
        assert (finding.state, finding.sentence) == ("ok", f"Discord is reached by the proxy http://{address}")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")
    finding = checks_settings.proxy("https://discord.com")
    assert finding.state == "wrong"
    assert "does not answer" in finding.sentence
    assert "secret" not in f"{finding}"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://there:1")
    finding = checks_settings.proxy("https://discord.com")
    assert (finding.state, finding.sentence) == ("wrong", "the proxy socks5://there:1 cannot be used")


def test_channel_and_retention() -> None:
    assert checks_settings.channel(Settings()).state == "skipped"
    assert checks_settings.channel(checked({"channel_id": "1213800000000000000"})).state == "ok"
    assert checks_settings.channel(checked({"channel_id": "42"})).state == "warning"
    assert "kept until they are forgotten" in checks_settings.retention(Settings()).sentence
    assert "older than 30 days" in checks_settings.retention(checked({"retention_days": "30"})).sentence


def test_a_log_that_forgetting_reaches_and_one_that_it_does_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    inside, outside = (str(folder / "bot.jsonl") for folder in (data / "logs", tmp_path))
    for values, states in (
        ({}, ["ok"]),
        ({"log_file": inside}, ["ok"]),
        ({"log_file": outside}, ["warning"]),
        ({"log_file": inside, "log_content": "true"}, ["ok", "warning"]),
    ):
        assert [finding.state for finding in checks_settings.log(checked(values), data)] == states


def test_what_the_settings_need(tmp_path: Path) -> None:
    nothing = checked({"summarizer": "off"})
    assert checks_settings.needs(nothing, tmp_path) == []
    (tmp_path / "runs" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "manifest.json").write_text("{}", encoding="utf-8")
    wanted = checked({"backend": "transformers", "vector_db": "chroma"})
    needs = {need.what: need for need in checks_settings.needs(wanted, tmp_path)}
    assert list(needs) == ["BACKEND=transformers", "VECTOR_DB=chroma", "SUMMARIZER=bart", "training"]
    assert not needs["BACKEND=transformers"].else_
    assert needs["SUMMARIZER=bart"].else_


def test_the_embedder(tmp_path: Path) -> None:
    lost = checked({"embedding_model": str(tmp_path / "nowhere")})
    finding = checks_settings.embedder(lost, None, tmp_path)
    assert finding.state == "warning"
    assert "search goes by words alone" in finding.sentence
    (tmp_path / "static-x.npz").write_bytes(b"")
    assert checks_settings.embedder(lost, "static-1-x", tmp_path).state == "ok"
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    assert checks_settings.embedder(checked({"embedding_model": str(folder)}), None, tmp_path).state == "ok"
