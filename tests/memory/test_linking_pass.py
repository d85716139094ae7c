"""Linking an archive: all of it, going on after a stop, and message after message as they come."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sususbot.archive.archive import Archive
from sususbot.linking.network import shipped
from sususbot.memory import linking_pass
from sususbot.memory.linking_pass import LivePass, link_pending
from sususbot.messages import Author, Channel, Guild, Message
from tests.support.links import chains

GUILD = Guild(10, "Tea house")
CHANNELS = (Channel(20, 10, "kitchen"), Channel(21, 10, "garden"))
WHO = [Author(number, name, name) for number, name in enumerate(("mia", "tom", "ana"), start=1)]
MINUTE = 60_000


def talk(count: int = 60) -> list[Message]:
    """Questions and answers with names, half of them in each channel."""
    said = []
    for number in range(count):
        asked, author = WHO[(number - 1) % 3], WHO[number % 3]
        text = f"{asked.name}: about topic{number // 4} I think so" if number % 4 else f"who knows topic{number // 4}?"
        said.append(Message(number + 1, CHANNELS[number % 2].id, author, number * MINUTE, text, text))
    return said


def add(archive: Archive, *messages: Message) -> None:
    for channel in CHANNELS:
        archive.add_channel(GUILD, channel, origin="export", seen_at=1)
    archive.add(messages, source=archive.add_source("export", "test"), fetched_at=1)


def links(archive: Archive) -> dict[int, int | None]:
    return {id_: answers for id_, _, answers in chains(archive)}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "data") as archive:
        yield archive


def test_everything_is_linked_within_its_channel_and_once(archive: Archive) -> None:
    add(archive, *talk())
    steps: list[tuple[int, int]] = []
    assert link_pending(archive, shipped(), "x", lambda *step: steps.append(step)) == 60
    assert steps[-1] == (60, 60)
    channel = {id_: channel for id_, channel, _ in chains(archive)}
    found = {id_: answers for id_, answers in links(archive).items() if answers is not None}
    assert len(found) > 20
    assert all(answers < id_ and channel[answers] == channel[id_] for id_, answers in found.items())
    assert link_pending(archive, shipped(), "x") == 0


def test_a_pass_that_stopped_goes_on_to_the_same_links(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(archive, *talk())
    link_pending(archive, shipped(), "x")
    monkeypatch.setattr(linking_pass, "_BATCH", 7)
    with Archive(tmp_path / "other") as other:
        add(other, *talk())

        def stop(done: int, _all: int) -> None:
            if done >= 21:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            link_pending(other, shipped(), "x", stop)
        assert other.links.count() == 21
        link_pending(other, shipped(), "x")
        assert links(other) == links(archive)


def test_messages_that_come_one_by_one_get_the_links_of_one_pass(archive: Archive, tmp_path: Path) -> None:
    add(archive, *talk())
    link_pending(archive, shipped(), "x")
    with Archive(tmp_path / "live") as live:
        going = LivePass(live, shipped())
        for one in talk():
            add(live, one)
            assert going.link_new([one.id]) == 1
        assert links(live) == links(archive)
        assert going.link_new([]) == 0


def test_a_reply_of_discord_is_the_link_also_far_back(archive: Archive) -> None:
    said = talk()
    reply = Message(99, 20, WHO[0], 70 * MINUTE, "here", "here", type=19, reply_to=1)
    elsewhere = Message(100, 20, WHO[1], 71 * MINUTE, "this", "this", type=19, reply_to=12345)
    add(archive, *said, reply, elsewhere)
    link_pending(archive, shipped(), "x")
    assert (links(archive)[99], links(archive)[100]) == (1, 12345)


def test_an_edit_in_the_middle_links_that_message_alone_anew(archive: Archive) -> None:
    add(archive, *talk())
    link_pending(archive, shipped(), "x")
    before = links(archive)
    changed = talk()[30]
    add(archive, Message(31, changed.channel_id, changed.author, changed.created_at, "hm", "hm", edited_at=99 * MINUTE))
    waiting = {one.id for one in archive.links.pending(99)}
    assert 31 in waiting
    assert link_pending(archive, shipped(), "x") == len(waiting)
    assert {id_: to for id_, to in links(archive).items() if id_ not in waiting} == {
        id_: to for id_, to in before.items() if id_ not in waiting
    }
