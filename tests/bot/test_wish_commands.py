"""Members' wishes by command: to be left out, to be forgotten, to leave a note; done at once, whoever is in the way."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sususbot.archive.archive import FILE_NAME, Archive
from sususbot.artifacts import write_manifest
from sususbot.bot.limits import Limits
from sususbot.memory.surroundings import Hit
from sususbot.messages import NOTE_TYPE
from sususbot.model.backend import Request
from sususbot.model.scripted import Scripted
from sususbot.standin.interactions import NotOffered
from sususbot.standin.server import StandIn
from tests.bot.commanding import commanded, ok
from tests.bot.seeded import LORE, locked, seed, until
from tests.standin.conftest import Place
from tests.test_forgetting import corpus


async def test_a_no_holds_at_once_and_a_yes_again(server: StandIn, place: Place, tmp_path: Path) -> None:
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        text = await bot.said(place.bob, "opt-out", what="remembering")
        assert text.startswith("Nothing you wrote or write is looked up, shown to the model or quoted.")
        assert text.endswith("What holds for you now: learned from yes, remembered no, quoted no.")
        assert bot.archive.messages([id_])
        assert bot.controls.long_term.search("printer", limit=3).hits == []
        assert bot.controls.short_term.recent(place.general.id) == []
        assert "remembered yes, quoted yes" in await bot.said(place.bob, "opt-in", what="remembering")
        await until(lambda: bot.controls.long_term.search("printer", limit=3).hits)
        said = bot.archive.consents.statements()
        assert [(one.by, one.way, one.remember) for one in said] == [
            ("member", "/opt-out", False),
            ("member", "/opt-in", True),
        ]


async def test_a_no_to_everything_takes_the_words_away_and_names_what_learned_of_them(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    for name, author in (("mine", place.bob), ("hers", place.ada)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_manifest(tmp_path / "runs" / name, {"authors": [str(author.id)]})
    let_go: list[int] = []

    def unlearn() -> str:
        let_go.append(1)
        return "I answer without it from now on."

    async with commanded(server, place.general, tmp_path, unlearn=unlearn) as bot:
        text = await bot.said(place.bob, "opt-out")
        assert "1 message lost its words" in text
        assert "the adapter of run mine must be trained anew without you" in text
        assert "hers" not in text
        assert "The bot has stopped using it." in text
        assert let_go
        assert bot.archive.messages([id_]) == {}
        assert bot.controls.short_term.recent(place.general.id) == []
        assert "comes back only if the owner imports" in await bot.said(place.bob, "opt-in")
        assert bot.archive.check() == []
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_who_wants_to_be_forgotten_is_asked_once_more(server: StandIn, place: Place, tmp_path: Path) -> None:
    (id_, _) = seed(tmp_path, server, place.general, place.bob, LORE, "and it likes paper")
    async with commanded(server, place.general, tmp_path) as bot:
        asked = await bot.use(place.bob, "forget-me")
        assert "2 messages of yours lose their words" in asked.text
        server.press(asked, "Forget me", user=place.ada)
        server.press(asked, "Keep me")
        await server.wait_for(lambda: asked.text == "Nothing was changed.")
        assert bot.archive.messages([id_])
        asked = await bot.use(place.bob, "forget-me")
        server.press(asked, "Forget me")
        await server.wait_for(lambda: "You are forgotten." in asked.text)
        assert "2 messages lost their words" in asked.text
        assert bot.archive.messages([id_]) == {}
        assert bot.archive.erasure.unfinished() == []
        server.say(place.general, place.bob, "me again")
        assert await bot.ask(place.ada, "printer?") == "ok: printer?"
        assert "bob" not in bot.archive.names().get(place.bob.id, set())
        found = bot.controls.long_term.search("printer paper", limit=3).hits
        # The question about it may be found.
        assert {hit.message.author.id for hit in found} <= {place.ada.id}
        assert "must not remember you" in await bot.said(place.bob, "remember", text="tea is at four")
        assert bot.archive.check() == []
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_a_note_is_found_at_once_and_can_be_taken_back(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(ok)
    async with commanded(server, place.general, tmp_path, [script]) as bot:
        server.say(place.general, place.ada, "good morning all")
        await until(lambda: bot.archive.author(place.ada.id))
        text = f"{place.ada.mention} keeps the key in {place.general.mention} <:key:77>"
        used = await bot.use(place.bob, "remember", text=text)
        assert used.text.startswith("Noted, and I can find it from now on: @Ada keeps the key in #general :key:")

        def noted() -> list[Hit]:
            hits = bot.controls.long_term.search("who keeps the key?", limit=1).hits
            return [hit for hit in hits if hit.message.id == used.id]

        note = (await until(noted))[0].message
        assert (note.id, note.type, note.pinned, note.author.id) == (used.id, NOTE_TYPE, True, place.bob.id)
        assert note.mentions == (place.ada.id,)
        await bot.ask(place.ada, "who keeps the key?")
        request: Request = script.requests[-1]
        assert "keeps the key in #general" in request.prompt
        assert [turn.text for turn in request.turns] == ["good morning all", "who keeps the key?"]
        assert "bob: @Ada keeps the key in #general :key: (a note)" in await bot.said(place.ada, "why")
        server.press(used, "Take it back")
        await server.wait_for(lambda: "do not know it any more" in used.text)
        assert bot.archive.messages([used.id]) == {}
        assert bot.controls.long_term.search("who keeps the key?", limit=9).hits[0].message.id != used.id


async def test_who_may_not_leave_notes(server: StandIn, place: Place, tmp_path: Path) -> None:
    limits = Limits(blocked=[place.ada.id])
    async with commanded(server, place.general, tmp_path, limits=limits) as bot:
        assert "I take no notes of you" in await bot.said(place.ada, "remember", text="tea")
        await bot.said(place.bob, "opt-out", what="remembering")
        assert "must not remember you" in await bot.said(place.bob, "remember", text="tea")
        with pytest.raises(NotOffered):
            await bot.said(place.bob, "remember", text="x" * 501)
        kim = server.world.add_user("kim")
        texts = [await bot.said(kim, "remember", text=f"fact number {number}") for number in range(11)]
        assert all(text.startswith("Noted") for text in texts[:10])
        assert "give me a while" in texts[10]
        assert bot.archive.counts().messages == 10


async def test_a_locked_archive_gets_a_sentence_and_wishes_are_done_later(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.2)
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        with locked(tmp_path):
            sentence = "My memory is in use by another program right now: try again in a minute."
            assert await bot.said(place.bob, "opt-out") == sentence
            asked = await bot.use(place.bob, "forget-me")
            server.press(asked, "Forget me")
            await server.wait_for(lambda: asked.text == sentence)
            assert "as soon as my memory can be written" in await bot.said(place.ada, "remember", text="tea at four")
        assert bot.archive.messages([id_])


async def test_what_another_program_is_in_the_way_of_is_erased_once_it_is_gone(
    server: StandIn, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sususbot.archive.database.BUSY_SECONDS", 0.2)
    seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchall()
            asked = await bot.use(place.bob, "forget-me")
            server.press(asked, "Forget me")
            await server.wait_for(lambda: "It is on record and nothing of yours is used any more" in asked.text)
            assert bot.archive.erasure.unfinished() == [place.bob.id]
            assert bot.controls.long_term.search("printer", limit=3).hits == []
            assert "some words that are to be erased are still on disk" in await bot.said(place.ada, "status")
        await until(lambda: bot.archive.erasure.unfinished() == [])
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_what_the_page_began_and_could_not_end_is_ended_by_the_bot(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    (id_,) = seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path) as bot:
        assert bot.controls.long_term.search("printer", limit=3).hits
        with Archive(tmp_path) as page:
            page.erasure.begin_unsaying([id_])
        await until(lambda: bot.archive.erasure.unsaying() == [])
        assert bot.archive.messages([id_]) == {}
        assert bot.controls.long_term.search("printer", limit=3).hits == []
    assert not any(b"Gerald" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_a_no_by_command_takes_the_chroma_folder_along_as_everywhere(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    seed(tmp_path, server, place.general, place.bob, LORE)
    (tmp_path / "chroma").mkdir()
    async with commanded(server, place.general, tmp_path) as bot:
        await bot.said(place.bob, "opt-out", what="quoting")
        assert (tmp_path / "chroma").exists()
        await bot.said(place.bob, "opt-out", what="remembering")
        assert not (tmp_path / "chroma").exists()


async def test_a_running_bot_looks_for_what_another_program_was_told(
    server: StandIn, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Weights in use may be stale by now, though nothing is left to be erased."""

    def unlearn() -> str | None:
        with Archive(tmp_path) as own:
            return None if own.consents.may_learn([place.bob.id]) else "the adapter is stale"

    seed(tmp_path, server, place.general, place.bob, LORE)
    async with commanded(server, place.general, tmp_path, unlearn=unlearn):
        with Archive(tmp_path) as other:
            other.consents.say(place.bob.id, by="owner", way="told me", at=1, learn=False)
        await until(lambda: "the adapter is stale" in caplog.messages)


async def test_what_is_deleted_on_discord_leaves_corpora_while_the_bot_runs(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    async with commanded(server, place.general, tmp_path) as bot:
        said, other = server.say(place.general, place.bob, LORE), server.say(place.general, place.ada, "tea is ready")
        await until(lambda: len(bot.archive.messages([said.id, other.id])) == 2)
        held, free = (
            corpus(tmp_path, name, [place.bob.id], f'{{"message_ids": [{one.id}]}}\n')
            for name, one in (("held", said), ("free", other))
        )
        server.delete(said)
        await until(lambda: not held.exists())
        await until(lambda: bot.archive.withdrawn.messages() == {})
        assert free.exists()
