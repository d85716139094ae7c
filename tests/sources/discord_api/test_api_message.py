"""API objects to messages: whose words they are, names for ids, and shapes that nobody expects."""

from typing import Any

import pytest

from sususbot.messages import Attachment, Author, Message, Reaction
from sususbot.sources.discord_api.api_message import MALFORMED, MessageReader, hides_words

READER = MessageReader({5: "crew"}, {20: "kitchen"})
MIA = {"id": "1", "username": "mia", "global_name": "Mia"}


def item(**more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": "100", "channel_id": "20", "author": MIA, "content": "hi",
        "timestamp": "2024-01-02T03:04:05.678000+00:00",
        "edited_timestamp": None, "type": 0, "mentions": [], "attachments": [], "pinned": False,
    }  # fmt: skip
    return plain | more


def read(**more: Any) -> Message:
    return READER.message(item(**more))


def test_a_plain_message() -> None:
    assert read() == Message(100, 20, Author(1, "mia", "Mia"), 1_704_164_645_678, "hi", "hi")


def test_edit_pin_reactions_attachments() -> None:
    message = read(
        edited_timestamp="2024-01-02T03:05:00+00:00",
        pinned=True,
        reactions=[
            {"emoji": {"id": None, "name": "👍"}, "count": 2},
            {"emoji": {"id": "9", "name": "party"}, "count": 1},
            {"emoji": {"id": "9", "name": None}, "count": 1},
        ],
        attachments=[{"id": "7", "filename": "a.png", "size": 3, "url": "https://cdn.invalid/a.png"}],
    )
    assert message.edited_at == 1_704_164_700_000
    assert message.pinned
    assert message.reactions == (Reaction("👍", 2), Reaction(":party:", 1), Reaction(":?:", 1))
    assert message.attachments == (Attachment(7, "a.png", 3, "https://cdn.invalid/a.png"),)


@pytest.mark.parametrize(
    ("raw", "rendered"),
    [
        ("<@2> <@!2>", "@Tom @Tom"),
        ("<@3>", "<@3>"),
        ("<@&5> and <@&6>", "@crew and <@&6>"),
        ("in <#20>, not <#21>", "in #kitchen, not <#21>"),
        ("<:tea:123><a:spin:124>", ":tea::spin:"),
        ("<t:1700000000:R> or <t:-5>", "(a time) or (a time)"),
        ("</play song:12345>", "/play song"),
        ("a < b <@> <@x> <", "a < b <@> <@x> <"),
    ],
)
def test_names_for_ids(raw: str, rendered: str) -> None:
    message = read(content=raw, mentions=[{"id": "2", "username": "tom", "global_name": "Tom"}])
    assert message.content == raw
    assert message.rendered == rendered
    assert message.mentions == (2,)


@pytest.mark.parametrize(
    "more",
    [{"webhook_id": "1"}, {"author": MIA | {"bot": True}}, {"author": MIA | {"system": True}}],
)
def test_what_machines_post_was_written_by_no_member(more: dict[str, Any]) -> None:
    assert read(**more).author.is_bot


def test_a_reply_and_what_looks_like_one() -> None:
    reference = {"message_id": "50", "channel_id": "20"}
    assert read(type=19, message_reference=reference).reply_to == 50
    assert read(type=19, message_reference=reference, referenced_message=None).reply_to == 50
    assert read(type=19, message_reference={"channel_id": "20"}).reply_to is None
    assert read(type=19).reply_to is None
    assert read(type=21, message_reference=reference).reply_to is None


def test_the_words_of_a_forward_are_not_given_to_who_forwarded_them() -> None:
    snapshot = {"message": {"type": 0, "content": "another's words", "attachments": [{"id": "1"}], "embeds": []}}
    reference = {"type": 1, "message_id": "50", "channel_id": "30"}
    message = read(content="", message_reference=reference, message_snapshots=[snapshot])
    assert (message.content, message.rendered, message.reply_to, message.attachments) == ("", "", None, ())


def test_a_type_that_nobody_knows_keeps_its_number() -> None:
    assert read(type=4711).type == 4711


def test_a_name_that_was_never_chosen_and_half_a_surrogate_pair() -> None:
    message = read(author={"id": "3", "username": "tom", "global_name": None}, content="a \ud83d b")
    assert message.author.display_name == "tom"
    assert message.content == "a ? b"


@pytest.mark.parametrize(
    "broken",
    [
        {"id": "x"}, {"id": None}, {"id": str(1 << 64)}, {"author": None}, {"author": {}}, {"timestamp": "yesterday"},
        {"content": None}, {"type": None}, {"mentions": [{}]}, {"reactions": [{}]}, {"attachments": [5]},
    ],
)  # fmt: skip
def test_what_is_no_message_says_so(broken: dict[str, Any]) -> None:
    with pytest.raises(MALFORMED):
        read(**broken)


@pytest.mark.parametrize(
    ("more", "hidden"),
    [
        ({"content": ""}, True),
        ({}, False),
        ({"content": "", "attachments": [{}]}, False),
        ({"content": "", "sticker_items": [{}]}, False),
        ({"content": "", "type": 7}, None),
        ({"content": "", "author": {"id": "8"}}, None),
        ({"content": "", "mentions": [{"id": "8"}]}, None),
        ({"content": "", "author": None}, None),
    ],
)
def test_what_the_missing_intent_looks_like(more: dict[str, Any], hidden: bool | None) -> None:
    assert hides_words(item(**more), own_id=8) is hidden
