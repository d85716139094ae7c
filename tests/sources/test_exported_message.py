"""The exporter's objects, with the quirks of its versions, as messages."""

from typing import Any

import pytest

from sususbot.archive.archive import Archive
from sususbot.messages import Attachment, Message, Reaction
from sususbot.sources.exported_message import MALFORMED, MessageReader
from tests.archive.making import GUILD, KITCHEN
from tests.sources.exports import NOON_MS, Json, item, time, user


def read(content: str = "hello", **changes: Any) -> Message:
    return MessageReader(20).message(item(1, content, **changes))


def without(message: Json, *keys: str) -> Json:
    return {key: value for key, value in message.items() if key not in keys}


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("Default", 0),
        ("Reply", 19),
        ("RecipientAdd", 1),
        ("Call", 3),
        ("ChannelPinnedMessage", 6),
        ("GuildMemberJoin", 7),
        ("ThreadCreated", 18),
        ("0", 0),
        ("19", 19),
        ("20", 20),
        ("46", 46),
        (46, 46),
        ("255", 255),
        ("99999", 255),
        ("SomethingNew", 255),
        ("-1", 255),
        ("", 255),
        (None, 255),
    ],
)
def test_types_are_names_or_numbers_and_unknown_ones_are_system_text(name: object, type_: int) -> None:
    assert read(type=name).type == type_


def test_only_what_members_write_is_remembered(archive: Archive) -> None:
    names = ("Default", "GuildMemberJoin", "Reply", "20", "SomethingNew")
    reader = MessageReader(KITCHEN.id)
    messages = [reader.message(item(number, "hi", type=name)) for number, name in enumerate(names)]
    archive.add_channel(GUILD, KITCHEN, origin="export", seen_at=1)
    archive.add(messages, source=archive.add_source("export", "x"), fetched_at=NOON_MS)
    assert [message.type for message in archive.window(KITCHEN.id, limit=9)] == [0, 19]


def test_an_old_exporters_message_lacks_what_came_later() -> None:
    old = without(
        item(1, "hi", author=without(user(), "nickname", "roles", "isBot", "color")),
        *("timestampEdited", "callEndedTimestamp", "isPinned", "attachments", "embeds", "stickers"),
        *("reactions", "mentions", "inlineEmojis"),
    )
    message = MessageReader(20).message(old)
    assert (message.author.name, message.author.display_name, message.author.is_bot) == ("mia", "mia", False)
    assert (message.edited_at, message.pinned, message.mentions) == (None, False, ())
    assert (message.reactions, message.attachments) == ((), ())


def test_null_is_as_good_as_missing() -> None:
    nulls: Json = dict.fromkeys(("timestampEdited", "isPinned", "attachments", "reactions", "mentions", "reference"))
    assert read(type="Reply", **nulls) == read(type="Reply")


def test_members_are_known_by_the_name_that_others_read() -> None:
    reader = MessageReader(20)
    authors = [
        user(1, "mia", "Mia"),
        user(1, "mia", "Mia the Elder"),
        user(2, "Deleted User", nickname="Deleted User"),
        user(1, "mia", "Mia"),
    ]
    read = [reader.message(item(n, author=author)).author for n, author in enumerate(authors)]
    assert [(author.id, author.display_name) for author in read] == [
        (1, "Mia"),
        (1, "Mia the Elder"),
        (2, "Deleted User"),
        (1, "Mia"),
    ]


@pytest.mark.parametrize(
    ("text", "mentions", "content"),
    [
        ("hi @Mia!", {1: "Mia"}, "hi <@1>!"),
        ("@Mia @Mia_K @Mia", {1: "Mia", 2: "Mia_K"}, "<@1> <@2> <@1>"),
        ("@Mia K, @Mia", {1: "Mia", 2: "Mia K"}, "<@2>, <@1>"),
        ("@Mia's cup", {1: "Mia"}, "<@1>'s cup"),
        ("@Tom (x) [.*] and @$1", {1: "Tom (x) [.*]", 2: "$1"}, "<@1> and <@2>"),
        ("@a@b and @a", {1: "a@b", 2: "a"}, "<@1> and <@2>"),
        ("tea@home, @ and @", {1: "Mia"}, "tea@home, @ and @"),
        ("hi @Tom 🫖", {1: "Tom 🫖"}, "hi <@1>"),
        # Not what was put in a moment ago: 1 stands in 123, and 123 is a name as well.
        ("@Mia and @1 and @123", {123: "Mia", 9: "1", 8: "123"}, "<@123> and <@9> and <@8>"),
        # Nobody can tell which of two is meant, not even where the beginning of the name is another's.
        ("@Mia and @Tom", {1: "Mia", 2: "Mia", 3: "Tom"}, "@Mia and <@3>"),
        ("@Mia_K", {1: "Mia", 2: "Mia_K", 3: "Mia_K"}, "@Mia_K"),
        ("a @ b", {1: ""}, "a @ b"),
        ("@Unknown", {}, "@Unknown"),
    ],
)
def test_names_become_mentions_again(text: str, mentions: dict[int, str], content: str) -> None:
    people = [{**user(id_, "account"), "nickname": name, "name": name} for id_, name in mentions.items()]
    message = read(text, mentions=people)
    assert message.content == content
    assert message.rendered == text
    assert message.mentions == tuple(mentions)


@pytest.mark.parametrize(
    ("text", "mentions", "rendered"),
    [
        ("hi <@1> and <@!2>", {1: "Mia", 2: "Tom"}, "hi @Mia and @Tom"),
        ("hi <@1> and <@3>", {1: "Mia"}, "hi @Mia and <@3>"),
        ("<@1><@11>", {1: "Mia", 11: "Tom"}, "@Mia@Tom"),
        ("<@5123>", {5123: "Mia", 9: "5"}, "@Mia"),
        ("<@1>", {1: "<@2>", 2: "Tom"}, "@<@2>"),
        ("<@&7> in <#20> at <t:1700000000:R>", {1: "Mia"}, "<@&7> in <#20> at <t:1700000000:R>"),
        ("see <:pot:77> <a:dance:78> <b:x:1> <:no>", {}, "see :pot: :dance: <b:x:1> <:no>"),
        ("<@1> <:pot:77>", {1: "Mia"}, "@Mia :pot:"),
    ],
)
def test_raw_text_is_rendered_as_members_read_it(text: str, mentions: dict[int, str], rendered: str) -> None:
    message = read(text, mentions=[user(id_, name, name) for id_, name in mentions.items()])
    assert message.content == text
    assert message.rendered == rendered


def test_a_reply_refers_and_a_forward_does_not() -> None:
    reference = {"type": "Default", "messageId": "77", "channelId": "20", "guildId": "10"}
    assert read(type="Reply", reference=reference).reply_to == 77
    assert read(type="Reply", reference=without(reference, "type")).reply_to == 77
    assert read(type="19", reference=reference).reply_to == 77
    assert read(type="Reply", reference={**reference, "messageId": None}).reply_to is None
    forwarded: Json = {
        "timestamp": time(0),
        "timestampEdited": None,
        "content": "old news",
        "attachments": [],
        "embeds": [],
    }
    forward = read("", reference={**reference, "type": "Forward"}, forwardedMessage=forwarded)
    assert (forward.reply_to, forward.rendered) == (None, "")
    assert read(type="ChannelPinnedMessage", reference=reference).reply_to is None


def test_reactions_are_named_as_members_see_them() -> None:
    reactions = [
        {"emoji": {"id": "", "name": "🫖", "code": "teapot"}, "count": 3, "users": [user()]},
        {"emoji": {"id": None, "name": "🍰"}, "count": 1},
        {"emoji": {"id": "77", "name": "pot", "isAnimated": True}, "count": 2},
    ]
    assert read(reactions=reactions).reactions == (Reaction("🫖", 3), Reaction("🍰", 1), Reaction(":pot:", 2))


def test_attachments_are_kept_as_what_is_known_of_them() -> None:
    attachment = {"id": "55", "url": "https://e/1.png", "fileName": "1.png", "fileSizeBytes": 9}
    assert read(attachments=[attachment]).attachments == (Attachment(55, "1.png", 9, "https://e/1.png"),)


def test_times_are_moments_whatever_the_exporters_offset() -> None:
    for text in ("2024-03-03T12:00:00+00:00", "2024-03-03T17:30:00.0000000+05:30", "2024-03-03T04:00:00-08:00"):
        message = read(timestamp=text, timestampEdited=text)
        assert message.created_at == message.edited_at == NOON_MS


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "none"},
        {"id": None},
        {"id": str(1 << 63)},
        {"id": "9" * 5000},
        {"id": "0", "timestamp": "9999-01-01T00:00:00+00:00"},
        {"timestamp": "yesterday"},
        {"timestamp": None},
        {"timestamp": 5},
        {"timestampEdited": "later"},
        {"content": None},
        {"content": ["x"]},
        {"content": 5},
        {"author": None},
        {"author": []},
        {"author": {"id": "1"}},
        {"author": {"id": "x", "name": "x"}},
        {"author": {"id": ["1"], "name": "x"}},
        {"type": "9" * 5000},
        {"type": "Reply", "reference": ["77"]},
        {"type": "Reply", "reference": {"messageId": "x"}},
        {"mentions": 5},
        {"mentions": ["1"]},
        {"mentions": [{"id": "1"}]},
        {"mentions": [{"id": "x", "name": "y"}]},
        {"reactions": [{"count": 1}]},
        {"reactions": [{"emoji": "🫖", "count": 1}]},
        {"reactions": [{"emoji": {"name": "🫖"}, "count": float("inf")}]},
        {"attachments": [{"id": "1"}]},
        {"attachments": ["x"]},
    ],
    ids=str,
)
def test_a_malformed_message_is_refused(changes: Json) -> None:
    with pytest.raises(MALFORMED):
        read(**changes)


@pytest.mark.parametrize("key", ["id", "type", "timestamp", "content", "author"])
def test_a_message_without_what_makes_one_is_refused(key: str) -> None:
    with pytest.raises(KeyError, match=key):
        MessageReader(20).message(without(item(1), key))


@pytest.mark.parametrize("thing", [None, 5, "text", [], [item(1)]])
def test_what_is_no_object_is_refused(thing: Any) -> None:
    with pytest.raises(MALFORMED):
        MessageReader(20).message(thing)
