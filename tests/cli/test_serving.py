"""Settings read anew while a bot runs: in effect at once, or named as needing a restart; a mistake changes nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.bot.answering import Answering
from sususbot.cli import build, folder
from sususbot.cli.main import Place
from sususbot.cli.serving import AT_ONCE, Serving
from sususbot.errors import SettingsError
from sususbot.messages import Turn
from sususbot.settings import Settings
from tests.memory.chat import EVE, HOUR, MIA, TOM, Chat


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
