"""DiscordChatExporter's CSV: ids from time and content, the channel from the file's name, texts of several lines."""

from pathlib import Path

import pytest

from sususbot.errors import NotAnExport
from sususbot.messages import DISCORD_EPOCH_MS, Attachment, Author, Channel, Guild, Reaction
from sususbot.sources.csv_export import CsvExport, nameless_guild_id
from sususbot.sources.source import ChannelSeen, Fault
from tests.archive.making import raw
from tests.sources.exports import NOON_MS, imported, messages_of
from tests.sources.formats import CHAT, KITCHEN_CSV, Said, as_csv, as_export, iso, made

HEADER = "AuthorID,Author,Date,Content,Attachments,Reactions\r\n"


def opened(folder: Path, rows: str, name: str = KITCHEN_CSV) -> CsvExport:
    return CsvExport.open(made(folder, (HEADER + rows).encode(), name))


def row(
    content: str = "hello", *, at: str = "2024-03-03T12:00:00.0000000+00:00", attachments: str = "", reactions: str = ""
) -> str:
    return f'"101","mia","{at}","{content}","{attachments}","{reactions}"\r\n'


def channel_of(folder: Path, name: str) -> tuple[Guild, Channel]:
    first = next(iter(opened(folder, "", name).parts()))
    assert isinstance(first, ChannelSeen)
    return first.guild, first.channel


@pytest.mark.parametrize(
    ("name", "guild", "channel"),
    [
        ("Tea house - Rooms - kitchen [20].csv", "Tea house", "kitchen"),
        ("Tea house - kitchen [20].csv", "Tea house", "kitchen"),
        ("Tea house - Rooms - kitchen [20] (after 2024-01-01).csv", "Tea house", "kitchen"),
        ("Tea house - Rooms - kitchen [20] [part 3].csv", "Tea house", "kitchen"),
        ("Tea [1] house - Rooms - kit [x] chen [20].csv.gz", "Tea [1] house", "kit [x] chen"),
        ("kitchen [20].csv", "unknown server", "kitchen"),
        ("[20].csv", "unknown server", "20"),
    ],
)
def test_the_file_name_says_which_channel_it_is(tmp_path: Path, name: str, guild: str, channel: str) -> None:
    of, read = channel_of(tmp_path, name)
    assert (of.name, read.name, read.id) == (guild, channel, 20)
    assert of.id == read.guild_id == nameless_guild_id(guild) < 0


def test_direct_messages_are_of_no_guild_as_in_the_exporters_json(tmp_path: Path) -> None:
    assert channel_of(tmp_path, "Direct Messages - mia [20].csv")[0] == Guild(0, "Direct Messages")


@pytest.mark.parametrize("name", ["kitchen.csv", "kitchen [x].csv", "kitchen [part 2].csv", f"[{1 << 63}].csv"])
def test_a_name_that_names_no_channel_is_told_in_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotAnExport, match="CSV files need the name that their exporter gave them"):
        opened(tmp_path, row(), name)


def test_ids_carry_the_time_and_are_the_same_each_time(tmp_path: Path) -> None:
    rows = row("a") + row("b") + row("b") + row("b", at="2024-03-03T12:00:00.0010000+00:00")
    messages = messages_of(opened(tmp_path, rows))
    assert [(message.id >> 22) + DISCORD_EPOCH_MS - NOON_MS for message in messages] == [0, 0, 0, 1]
    assert len({message.id for message in messages}) == 4
    assert messages_of(opened(tmp_path, rows)) == messages
    newest_first = row("b", at="2024-03-03T12:00:00.0010000+00:00") + row("b") + row("b") + row("a")
    assert {message.id for message in messages_of(opened(tmp_path, newest_first))} == {m.id for m in messages}
    # The same part once more, as two overlapping files written one after another.
    assert {message.id for message in messages_of(opened(tmp_path, rows + rows))} == {m.id for m in messages}


@pytest.mark.parametrize(
    "at",
    [
        "2024-03-03T12:00:00.0000000+00:00",
        "2024-03-03T12:00:00.0000000Z",
        "2024-03-03T17:30:00.0000000+05:30",
        "2024-03-03T04:00:00.0000000-08:00",
        "2024-03-03T12:00:00+00:00",
    ],
)
def test_times_are_moments_whatever_the_exporters_offset(tmp_path: Path, at: str) -> None:
    (message,) = messages_of(opened(tmp_path, row(at=at)))
    assert message.created_at == NOON_MS


def test_fractions_of_a_second_have_seven_digits(tmp_path: Path) -> None:
    (message,) = messages_of(opened(tmp_path, row(at="2024-03-03T12:00:00.1239999+00:00")))
    assert message.created_at == NOON_MS + 124


def test_a_row_holds_text_attachments_and_reactions(tmp_path: Path) -> None:
    url = "https://cdn.discordapp.com/attachments/20/55/pot.png?ex=1&is=2"
    rows = row(
        'two\nlines, ""quoted"" <:pot:77>',
        attachments=f"{url},https://e.example/a,b.txt",
        reactions="🫖 (3),pot (12),a (b) (1)",
    )
    (message,) = messages_of(opened(tmp_path, rows))
    assert message.content == 'two\nlines, "quoted" <:pot:77>'
    assert message.rendered == 'two\nlines, "quoted" :pot:'
    assert message.author == Author(101, "mia", "mia")
    assert message.attachments == (
        Attachment(55, "pot.png", 0, url),
        Attachment(0, "a,b.txt", 0, "https://e.example/a,b.txt"),
    )
    assert message.reactions == (Reaction("🫖", 3), Reaction("pot", 12), Reaction("a (b)", 1))


def test_a_broken_tail_is_told_with_its_byte_and_row(tmp_path: Path) -> None:
    whole = HEADER + row("a") + row("b")
    source = opened(tmp_path, row("a") + row("b") + '"101","mia","2024-03-03T12:0')
    assert [message.content for message in messages_of(source)] == ["a", "b"]
    assert source.faults == [Fault(len(whole), 3, "cut off or garbled", "row")]
    assert str(source.faults[0]) == f"byte {len(whole)}, row 3: cut off or garbled"


def test_a_row_with_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    source = opened(tmp_path, row("a", at="03-Mar-24 12:00") + row("b"))
    assert [message.content for message in messages_of(source)] == ["b"]
    assert [(fault.number, fault.unit) for fault in source.faults] == [(1, "row")]


def test_a_text_that_looks_like_rows_is_only_a_text(tmp_path: Path) -> None:
    text = (HEADER + row("x")).replace("\r\n", "\n")
    (message, _) = messages_of(opened(tmp_path, row(text.replace('"', '""')) + row("last")))
    assert message.content == text


def test_a_spreadsheet_may_have_saved_it_with_fewer_quotes(tmp_path: Path) -> None:
    author = "594848116256014541"
    first, second = (f"{author},mia,2024-03-03T12:0{minute}:00.0000000+00:00," for minute in (0, 1))
    rows = f'{first}"two\nlines",,\n{second}one,,\n'
    assert [message.content for message in messages_of(opened(tmp_path, rows))] == ["two\nlines", "one"]


@pytest.mark.parametrize("csv_first", [True, False])
def test_the_real_message_takes_the_rows_place_whichever_came_first(tmp_path: Path, csv_first: bool) -> None:
    paths = [
        made(tmp_path, as_csv([*CHAT, Said(9, "only here")], reactions="🫖 (1)"), KITCHEN_CSV),
        made(tmp_path, as_export(list(CHAT)), "kitchen.json"),
    ]
    done = imported(tmp_path / "data", *(paths if csv_first else paths[::-1]))
    ids = [id_ for (id_,) in raw(tmp_path / "data", "SELECT id FROM messages ORDER BY id")]
    assert ids[:-1] == [said.id for said in CHAT]
    assert len(ids) == len(CHAT) + 1
    assert raw(tmp_path / "data", "SELECT display_name FROM authors WHERE id = 101") == [("Mia",)]
    assert raw(tmp_path / "data", "SELECT name, guild_id FROM channels") == [("kitchen", 10)]
    assert sum(result.added.new for result in done) >= len(ids)


def test_iso_times_of_the_tests_are_those_of_the_exporter() -> None:
    assert iso(NOON_MS + 123, 7) == "2024-03-03T12:00:00.1230000+00:00"
