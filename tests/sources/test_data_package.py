"""Discord's own data package: known by content, one member's words only, and a zip that nobody trusts."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sususbot.errors import NotAnExport
from sususbot.messages import DISCORD_EPOCH_MS, Attachment, Author, Channel, Guild
from sususbot.sources import zip_file
from sususbot.sources.data_package import DataPackage
from sususbot.sources.source import ChannelSeen
from tests.sources.exports import imported, messages_of
from tests.sources.formats import made, package_csv, zipped

MIA = Author(101, "mia", "Mia")
ACCOUNT = {"id": "101", "username": "mia", "global_name": "Mia", "email": "mia@example.org"}
KITCHEN = {"id": "20", "type": 0, "name": "kitchen", "guild": {"id": "10", "name": "Tea house"}}
ID = 1_213_818_156_343_099_392
ROW = {"ID": ID, "Timestamp": "2024-03-03 12:00:00", "Contents": "hello", "Attachments": ""}


def opened(folder: Path, files: dict[str, Any] | bytes) -> DataPackage:
    return DataPackage.open(made(folder, files if isinstance(files, bytes) else zipped(files), "package.zip"))


def package(rows: Any = (ROW,), channel: Any = KITCHEN, account: Any = ACCOUNT, **more: Any) -> dict[str, Any]:
    return {
        "account/user.json": account,
        "messages/c20/channel.json": channel,
        "messages/c20/messages.json": list(rows) if isinstance(rows, tuple) else rows,
        **more,
    }


def test_a_message_is_its_authors_with_the_time_of_its_id(tmp_path: Path) -> None:
    url = "https://cdn.discordapp.com/attachments/20/55/pot.png"
    row = {**ROW, "Contents": "hi <@!102> and <@102> <:pot:77>", "Attachments": f"{url} https://e/x.txt"}
    source = opened(tmp_path, package((row,)))
    (message,) = messages_of(source)
    assert (message.id, message.channel_id, message.author) == (ID, 20, MIA)
    assert message.created_at == (ID >> 22) + DISCORD_EPOCH_MS
    assert (message.content, message.rendered) == (row["Contents"], "hi <@!102> and <@102> :pot:")
    assert message.mentions == (102,)
    assert message.attachments == (Attachment(55, "pot.png", 0, url), Attachment(0, "x.txt", 0, "https://e/x.txt"))
    assert (source.faults, source.skipped) == ([], {})


def test_the_channel_and_its_guild_are_known_first(tmp_path: Path) -> None:
    first = next(iter(opened(tmp_path, package()).parts()))
    assert isinstance(first, ChannelSeen)
    assert (first.guild, first.channel) == (Guild(10, "Tea house"), Channel(20, 10, "kitchen", "0"))


@pytest.mark.parametrize(
    ("account", "messages"),
    [
        ("account", "messages"),
        ("Account", "Messages"),
        ("Konto", "Nachrichten"),
        ("a/b", "x/y"),
        ("アカウント", "メッセージ"),
    ],
)
@pytest.mark.parametrize("prefix", ["c20", "20", "kitchen"])
def test_folders_may_be_called_anything(tmp_path: Path, account: str, messages: str, prefix: str) -> None:
    files = {
        f"{account}/user.json": ACCOUNT,
        f"{messages}/index.json": {"20": "kitchen in Tea house"},
        f"{messages}/{prefix}/Channel.json": KITCHEN,
        f"{messages}/{prefix}/Messages.json": [ROW],
    }
    assert [message.author for message in messages_of(opened(tmp_path, files))] == [MIA]


def test_the_account_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    files = package()
    del files["account/user.json"]
    files |= {
        "konto/applications/5/application.json": {"id": "5", "name": "a bot", "username": "not me"},
        "konto/ich.json": ACCOUNT,
        "servers/10/guild.json": {"id": "10", "name": "Tea house"},
    }
    assert opened(tmp_path, files).author == MIA


def test_an_account_without_another_name_goes_by_its_own(tmp_path: Path) -> None:
    assert opened(tmp_path, package(account={"id": 101, "username": "mia"})).author == Author(101, "mia", "mia")


@pytest.mark.parametrize(
    "timestamp", ["2024-03-03 12:00:00", "2024-03-03 12:00:00.000000+00:00", "2024-03-03T14:00:00+02:00"]
)
def test_old_packages_hold_csv(tmp_path: Path, timestamp: str) -> None:
    rows = [
        {**ROW, "Timestamp": timestamp},
        {**ROW, "ID": ID + 1, "Timestamp": timestamp, "Contents": 'two\nlines, "quoted"'},
    ]
    files = package()
    del files["messages/c20/messages.json"]
    source = opened(tmp_path, {**files, "messages/c20/messages.csv": package_csv(rows)})
    assert [(message.id, message.content) for message in messages_of(source)] == [
        (ID, "hello"),
        (ID + 1, 'two\nlines, "quoted"'),
    ]
    assert source.faults == []


@pytest.mark.parametrize(
    "private", [{"type": 1}, {"type": 3}, {"type": "DM"}, {"type": "GROUP_DM"}, {"recipients": ["101"]}]
)
def test_direct_messages_are_left_out_and_counted(tmp_path: Path, private: dict[str, Any]) -> None:
    more = {
        "messages/c30/channel.json": {"id": "30", **private},
        "messages/c30/messages.json": [ROW, {**ROW, "ID": ID + 1}],
    }
    source = opened(tmp_path, package(**more))
    assert len(messages_of(source)) == 1
    assert source.skipped == {"direct messages": 2}


def test_channels_whose_server_is_not_named_are_left_out_and_counted(tmp_path: Path) -> None:
    source = opened(tmp_path, package(channel={"id": "20", "type": 0}))
    assert messages_of(source) == []
    assert source.skipped == {"in channels of which the package does not name the server": 1}


@pytest.mark.parametrize(
    "row",
    [
        {**ROW, "ID": 1.2138181563430994e18},
        {**ROW, "ID": "x"},
        {**ROW, "ID": 1 << 63},
        {**ROW, "Timestamp": "soon"},
        {**ROW, "Contents": 5},
        {"ID": ID},
    ],
    ids=str,
)
def test_a_malformed_message_costs_only_itself(tmp_path: Path, row: dict[str, Any]) -> None:
    source = opened(tmp_path, package((ROW, row, {**ROW, "ID": ID + 1})))
    assert [message.id for message in messages_of(source)] == [ID, ID + 1]
    assert [(fault.number, fault.within) for fault in source.faults] == [(2, "messages/c20/messages.json")]


@pytest.mark.parametrize("channel", [[], {"id": "x", "guild": {}}, {"guild": {"id": "10", "name": "x"}}, "null", "{"])
def test_messages_of_which_nobody_can_tell_where_they_were_said_are_told(tmp_path: Path, channel: Any) -> None:
    source = opened(tmp_path, package(channel=channel))
    assert messages_of(source) == []
    assert [fault.within for fault in source.faults] == ["messages/c20"]


def test_a_package_without_messages_is_told_in_one_sentence(tmp_path: Path) -> None:
    for content in (zipped({"account/user.json": ACCOUNT}), zipped({}), b"PK\x03\x04" + bytes(100), b"PK\x05\x06"):
        with pytest.raises(NotAnExport, match="holds no messages as Discord's data package does"):
            opened(tmp_path, content)


def test_a_package_without_an_account_is_told_in_one_sentence(tmp_path: Path) -> None:
    accounts: list[Any] = [{"id": "101"}, {"username": "mia"}, {"id": "x", "username": "mia"}, [], "{"]
    for account in accounts:
        with pytest.raises(NotAnExport, match=r"does not say whose messages it holds"):
            opened(tmp_path, package(account=account))


# -- a zip from a stranger


@pytest.mark.parametrize(
    "name",
    ["../c20/messages.json", "/c20/messages.json", "a/../../messages.json", "C:/x/messages.json", "..\\messages.json"],
)
def test_paths_that_lead_out_are_refused_and_told(tmp_path: Path, name: str) -> None:
    source = opened(tmp_path, package(**{name: [ROW]}))
    assert len(messages_of(source)) == 1
    assert [fault.unit for fault in source.faults] == ["entry"]
    assert "leads out" in source.faults[0].reason
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package.zip"]


def test_nothing_is_unpacked_beyond_all_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_file, "_HARMLESS", 1 << 20)
    bomb = json.dumps([ROW]).encode() + b" " * (1 << 25)
    source = opened(tmp_path, package(bomb))
    messages_of(source)
    assert any("times its size" in fault.reason for fault in source.faults)


def test_a_listed_entry_may_not_be_given_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_file, "MOST_ENTRIES", 50)
    more = {f"other/{number}.txt": b"" for number in range(100)}
    source = opened(tmp_path, package(**more))
    assert len(messages_of(source)) == 1
    assert any("more than 50 files" in fault.reason for fault in source.faults)


def test_encrypted_and_oddly_packed_entries_are_told(tmp_path: Path) -> None:
    content = bytearray(zipped(package()))
    at = content.index(b"messages/c20/messages.json") - 30
    listed = content.rindex(b"messages/c20/messages.json") - 46
    encrypted = content.copy()
    encrypted[at + 6] |= 1
    encrypted[listed + 8] |= 1
    source = opened(tmp_path, bytes(encrypted))
    assert messages_of(source) == []
    assert "is encrypted" in [fault.reason for fault in source.faults]

    content[at + 8 : at + 10] = content[listed + 10 : listed + 12] = struct.pack("<H", 14)
    source = opened(tmp_path, bytes(content))
    assert messages_of(source) == []
    assert "not known here" in " ".join(fault.reason for fault in source.faults)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_package_without_its_list_of_contents_is_gone_through(
    tmp_path: Path, streamed: bool, compression: int
) -> None:
    if streamed and compression == zipfile.ZIP_STORED:
        pytest.skip("what is neither packed nor says how long it is has no end")
    content = zipped(package(), compression, streamed=streamed)
    cut = content[: content.index(b"PK\x01\x02")]
    source = opened(tmp_path, cut)
    assert [message.id for message in messages_of(source)] == [ID]
    assert [fault.reason for fault in source.faults] == ["the list of contents is cut off or garbled"]


def test_a_wrong_checksum_is_told_and_what_is_there_is_given(tmp_path: Path) -> None:
    content = zipped(package(), zipfile.ZIP_STORED).replace(b"hello", b"jello")
    source = opened(tmp_path, content)
    assert [message.content for message in messages_of(source)] == ["jello"]
    assert ["checksum is wrong" in fault.reason for fault in source.faults] == [True]


def test_large_zip_files_are_read_with_their_wide_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package_:
        for name, value in package(tuple({**ROW, "ID": ID + number} for number in range(99))).items():
            with package_.open(name, "w", force_zip64=True) as entry:
                entry.write(json.dumps(value).encode())
    source = opened(tmp_path, out.getvalue())
    assert len(messages_of(source)) == 99
    assert source.faults == []


def test_a_package_goes_into_the_archive(tmp_path: Path) -> None:
    done = imported(tmp_path / "data", made(tmp_path, zipped(package()), "package.zip"))
    assert [(result.added.new, result.faults) for result in done] == [(1, ())]
