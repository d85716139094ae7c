"""Settings read anew while a bot runs: in effect at once, or named as needing a restart; a mistake changes nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.artifacts import write_manifest
from sususbot.bot.answering import Answering
from sususbot.bot.health import Health
from sususbot.bot.metrics import Metrics
from sususbot.cli import build, folder
from sususbot.cli.main import Place
from sususbot.cli.serving import AT_ONCE, Serving
from sususbot.errors import BackendFailed, SettingsError
from sususbot.messages import Turn
from sususbot.model.backend import Deadline, Request
from sususbot.settings import Settings
from tests.memory.chat import EVE, HOUR, MIA, TOM, Chat
from tests.support import tiny_gguf, tiny_hf


@dataclass
class Running:
    env: Path
    parts: build.Assembly
    answering: Answering
    serving: Serving

    def write(self, text: str) -> None:
        self.env.write_text(f"EMBEDDER=static\nSUMMARIZER=off\n{text}", encoding="utf-8")

    def ask(self, text: str) -> str:
        asked = Turn("eve", text, 1_800_000_000_000, author_id=EVE.id)
        return asyncio.run(self.parts.responder.reply(asked, recent=[])).text


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    place = Place(data=tmp_path / "data", env=tmp_path / ".env", debug=False)
    with Archive(place.data) as archive:
        chat = Chat(archive)
        chat.say(MIA, "who broke the printer?", after=HOUR)
        chat.say(TOM, "gerald did, with a spoon")
        chat.say(MIA, "where is the tea?", after=HOUR)
        chat.say(TOM, "behind the bread, as always")
        env = tmp_path / ".env"
        env.write_text("EMBEDDER=static\nSUMMARIZER=off\n", encoding="utf-8")
        settings = folder.load_settings(place)
        parts = build.build(settings, place, archive)
        with closing(parts.inference), closing(parts.long_term):
            answering = Answering(parts.responder, settle=lambda _ids, _how: None)
            yield Running(env, parts, answering, Serving(place, settings, parts, answering))


def test_nothing_changed(running: Running) -> None:
    assert running.serving.reload() == "Nothing has changed in the settings."


def test_what_must_not_be_said_is_not_said_from_now_on(running: Running) -> None:
    assert running.ask("who broke the printer?") == "gerald did, with a spoon"
    assert running.ask("where is the tea?") == "behind the bread, as always"
    running.write("BLOCKED_WORDS=gerald\nDEFLECT_LINES=no names here\n")
    assert running.serving.reload() == "In effect: BLOCKED_WORDS, DEFLECT_LINES."
    assert running.ask("who broke the printer?") == "no names here"
    running.write("")
    running.serving.reload()
    assert running.ask("where is the tea?") == "behind the bread, as always"
    assert running.ask("who broke the printer?") == "gerald did, with a spoon"


def test_limits_are_those_of_the_new_settings(running: Running) -> None:
    assert running.answering.limits.check(1, 2, now=0.0) is None
    running.write("BLOCKED_MEMBERS=1")
    running.serving.reload()
    sign = running.answering.limits.check(1, 2, now=0.0)
    assert sign is not None
    assert sign.cause == "blocked"


def test_limits_that_stay_forget_nobody(running: Running) -> None:
    running.write("MEMBER_RATE=1\nTEMPERATURE=0.5")
    running.serving.reload()
    assert running.answering.limits.check(1, 2, now=0.0) is None
    running.write("MEMBER_RATE=1\nTEMPERATURE=0.6")
    assert running.serving.reload() == "In effect: TEMPERATURE."
    assert running.answering.limits.check(1, 2, now=1.0) is not None


def test_what_needs_a_restart_is_named_and_stays_as_it_is(running: Running) -> None:
    running.write("BACKEND=openai\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\nTEMPERATURE=0.5")
    said = running.serving.reload()
    assert said == "In effect: TEMPERATURE. A restart is needed for BACKEND, OPENAI_BASE_URL."
    assert running.ask("who broke the printer?") == "gerald did, with a spoon"
    assert "A restart is needed for BACKEND, OPENAI_BASE_URL." in running.serving.reload()


def test_a_mistake_changes_nothing(running: Running) -> None:
    running.write("BLOCKED_WORDS=gerald\nTEMPERATURE=hot")
    with pytest.raises(SettingsError, match="TEMPERATURE"):
        running.serving.reload()
    assert running.ask("who broke the printer?") == "gerald did, with a spoon"
    running.write("")
    assert running.serving.reload() == "Nothing has changed in the settings."


def test_there_is_no_adapter_to_let_go_of(running: Running) -> None:
    assert running.serving.unlearn() is None


def test_what_takes_effect_at_once_are_settings() -> None:
    assert Settings.model_fields.keys() >= AT_ONCE


@contextmanager
def model_of_ours(tmp_path: Path, backend: str, *, allow_stale: bool) -> Iterator[tuple[Serving, build.Assembly]]:
    """A base that was made here of Mia's words, with an adapter of Tom's; Eve is in both, and said no before."""
    place = Place(data=tmp_path / "data", env=tmp_path / ".env", debug=False)
    own, first = place.data / "runs" / "own", place.data / "runs" / "first"
    if backend == "transformers":
        setting, base = "BASE_MODEL", tiny_hf.write_base(own / "model")
        adapter = tiny_hf.write_adapter(first / "adapter")
    else:
        for run in (own, first):
            run.mkdir(parents=True)
        setting, base = "MODEL_PATH", tiny_gguf.write_model(own / "model.gguf")
        adapter = tiny_gguf.write_adapter(first / "adapter.gguf")
    write_manifest(own, {"authors": [str(MIA.id), *([str(EVE.id)] if allow_stale else [])]})
    write_manifest(first, {"authors": [str(TOM.id), *([str(EVE.id)] if allow_stale else [])]})
    text = f"EMBEDDER=static\nSUMMARIZER=off\nBACKEND={backend}\n{setting}={base}\nADAPTER_PATH={adapter}\n"
    place.env.write_text(text, encoding="utf-8")  # type: ignore[union-attr]
    with Archive(place.data) as archive:
        chat = Chat(archive)
        chat.say(MIA, "who broke the printer?", after=HOUR)
        chat.say(TOM, "gerald did, with a spoon")
        archive.consents.say(EVE.id, by="owner", way="told me", at=1, learn=False)
        settings = folder.load_settings(place)
        parts = build.build(settings, place, archive, allow_stale=allow_stale)
        with closing(parts.inference), closing(parts.long_term):
            answering = Answering(parts.responder, settle=lambda _ids, _how: None)
            yield Serving(place, settings, parts, answering, allow_stale=allow_stale), parts


# Which backend it is makes no difference to what was insisted on, and transformers takes seconds to load.
@pytest.mark.parametrize(("backend", "allow_stale"), [("transformers", False), ("llamacpp", False), ("llamacpp", True)])
def test_weights_that_became_stale_are_let_go_of_whoever_said_so(
    tmp_path: Path, backend: str, allow_stale: bool
) -> None:
    ours = model_of_ours(tmp_path, backend, allow_stale=allow_stale)
    with ours as (serving, parts), Archive(tmp_path / "data") as other:
        assert serving.unlearn() is None
        # What is asked every half minute reads no file.
        for run in ("own", "first"):
            (tmp_path / "data" / "runs" / run / "manifest.json").unlink()
        other.consents.say(TOM.id, by="owner", way="told me", at=2, learn=False)
        said = str(serving.unlearn())
        assert said.startswith("the adapter of run first is stale")
        assert said.endswith("The bot speaks without it from now on.")
        assert parts.inference.facts()["state"] == "running"
        assert serving.unlearn() is None
        other.consents.say(MIA.id, by="owner", way="told me", at=3, learn=False)
        said = str(serving.unlearn())
        assert said.startswith("the adapter of run own is stale")
        assert said.endswith("The bot answers without the model from now on, until it is started with another one.")
        assert serving.unlearn() is None
        reply = asyncio.run(parts.inference.submit(lambda: Request("x", (Turn("eve", "who broke the printer?", 9),))))
        assert (reply.backend, [one.backend for one in reply.fallbacks][:1]) == ("recall", [backend])
        with pytest.raises(BackendFailed, match="is stale"):
            list(parts.inference.aside(Request("x", ()), Deadline(9.0)))
        health = Metrics()
        health.watch_engine(parts.inference.facts)
        assert any("run own is stale" in line and "train it anew" in line for line in Health(health, int).problems())


def test_where_an_adapter_cannot_be_taken_off_the_model_is_let_go_of(tmp_path: Path) -> None:
    """llama.cpp loads its model anew without it, and the file is gone."""
    place = Place(data=tmp_path / "data", env=tmp_path / ".env", debug=False)
    model = tiny_gguf.write_model(tmp_path / "model.gguf")
    run = place.data / "runs" / "first"
    run.mkdir(parents=True)
    adapter = tiny_gguf.write_adapter(run / "adapter.gguf")
    write_manifest(run, {"authors": [str(TOM.id)]})
    text = f"EMBEDDER=static\nSUMMARIZER=off\nBACKEND=llamacpp\nMODEL_PATH={model}\nADAPTER_PATH={adapter}\n"
    place.env.write_text(text, encoding="utf-8")  # type: ignore[union-attr]
    with Archive(place.data) as archive:
        settings = folder.load_settings(place)
        parts = build.build(settings, place, archive)
        with closing(parts.inference), closing(parts.long_term):
            serving = Serving(place, settings, parts, Answering(parts.responder, settle=lambda _ids, _how: None))
            model.unlink()
            archive.consents.say(TOM.id, by="owner", way="told me", at=2, learn=False)
            assert "The bot answers without the model from now on" in str(serving.unlearn())
            assert "run first is stale" in str(parts.inference.facts()["state"])
            assert serving.unlearn() is None
