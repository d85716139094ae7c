"""Members change their mind, or their words, while the bot runs: it holds at once, and for what is built next."""

import asyncio
from pathlib import Path

from sususbot.archive.archive import Archive, now_ms
from sususbot.bot.keeper import Keeper
from sususbot.bot.pace import Pace
from sususbot.forgetting import Forgetting
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.model.scripted import Scripted
from sususbot.standin.server import StandIn
from tests.archive.making import filled
from tests.archive.making import message as archived
from tests.bot.running import PATIENCE, bot
from tests.bot.test_bot import answers, listening
from tests.memory.chat import WordEmbedder
from tests.standin.conftest import Place
from tests.support.commands import run_here

DAY_MS = 86_400_000


async def gone(archive: Archive, id_: int) -> None:
    while archive.messages([id_]):  # noqa: ASYNC110  (another thread does it, on its own clock)
        await asyncio.sleep(0.01)


def corpora(data: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((data / "corpora").rglob("*.jsonl")))


async def test_who_is_forgotten_leaves_a_running_bot_at_once(server: StandIn, place: Place, tmp_path: Path) -> None:
    script = Scripted(["first", "second", "third"])
    me = server.world.bot.mention
    async with bot(server, place.general, tmp_path, [script], embedder=WordEmbedder()) as running:
        await listening(server)
        server.say(place.general, place.bob, "my zanzibar plan is a secret")
        server.say(place.general, place.ada, f"{me} what is the zanzibar plan?")
        await answers(server, place.general, 1)
        assert "my zanzibar plan" in script.requests[0].prompt
        # Another program erases, as `sususbot forget` does.
        with Archive(tmp_path) as other:
            gone = await asyncio.to_thread(Forgetting(other, tmp_path).forget, place.bob.id, at=now_ms())
            assert gone.messages == 1
        server.say(place.general, place.bob, "my zanzibar plan, once more")
        server.say(place.general, place.ada, f"{me} and the zanzibar plan?")
        await answers(server, place.general, 2)
        assert "my zanzibar plan" not in script.requests[1].prompt
        assert "bob" not in script.requests[1].prompt
        assert running.archive.counts().deleted == 2
        assert running.archive.check() == []
    assert not any(b"my zanzibar" in path.read_bytes() for path in tmp_path.glob("archive.db*"))


async def test_what_is_deleted_or_edited_on_discord_is_in_no_corpus_any_more(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with bot(server, place.general, data, [Scripted(["ok"])]):
        await listening(server)
        for number in range(40):
            server.say(place.general, (place.ada, place.bob)[number % 2], f"we talk about tea and bread, part {number}")
        deleted = server.say(place.general, place.bob, "my zanzibar plan")
        edited = server.say(place.general, place.ada, "the kettel sings quillonda")
        await server.wait_for(lambda: server.connected == 1)
        server.say(place.general, place.ada, f"{server.world.bot.mention} there?")
        await answers(server, place.general, 1)
        run_here("build", folder=tmp_path)
        assert b"zanzibar" in corpora(data)
        assert b"quillonda" in corpora(data)
        server.delete(deleted)
        server.edit(edited, "the kettle sings")
        server.say(place.general, place.ada, f"{server.world.bot.mention} done?")
        await answers(server, place.general, 2)
        # Nor may the one before be learned from.
        assert "there is no finished corpus" in run_here("train", folder=tmp_path).stderr
        assert corpora(data) == b""
        done = run_here("build", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert b"zanzibar" not in corpora(data)
    assert b"quillonda" not in corpora(data)
    assert b"the kettle sings" in corpora(data)


async def test_what_is_past_its_time_goes_while_the_bot_runs(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    old, young = archived(1, "old words"), archived((now_ms() - 1_700_000_000_000) // 1000, "young words")
    with Archive(tmp_path) as archive:
        filled(archive, old, young)
        memory = LongTerm(archive, embedder, ExactIndex(embedder.dimensions))
        memory.learn()
        (tmp_path / "corpora" / "default").mkdir(parents=True)
        keeper = Keeper(
            archive, memory, retention_days=1, forgetting=Forgetting(archive, tmp_path), pace=Pace(tidy=0.01)
        )
        task = asyncio.create_task(keeper.tidy())
        async with asyncio.timeout(PATIENCE):
            await gone(archive, old.id)
            late = archived(2, "late words")
            filled(archive, late)
            await gone(archive, late.id)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        keeper.close()
        assert list(archive.messages([1, 2, young.id])) == [young.id]
        assert not (tmp_path / "corpora" / "default").exists()
        assert [hit.message.id for hit in memory.search("old young words", limit=9).hits] == [young.id]


async def test_without_retention_nothing_expires(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, archived(1, "old words"))
        keeper = Keeper(archive, LongTerm(archive, None, None), pace=Pace(tidy=0))
        task = asyncio.create_task(keeper.tidy())
        await keeper.delete([2])
        await keeper.delete([3])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        keeper.close()
        assert archive.messages([1])
