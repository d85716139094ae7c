"""`sususbot consent`: what members said, written down and read back; wrong input named; nothing half-done."""

import json
from pathlib import Path
from typing import Any

import pytest

from sususbot.archive.archive import Archive
from tests.cli.community import HER_ID, HER_NAME, HER_NICKNAME, left_of_her, write_export, write_run
from tests.sources.exports import item, root, user, written
from tests.support.commands import refusal
from tests.support.commands import run_here as run

YES = {"learn": True, "remember": True, "quote": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run("import", str(write_export(tmp_path)), folder=tmp_path).returncode == 0
    return tmp_path


def members(folder: Path, **settings: str) -> dict[str, dict[str, Any]]:
    listed = json.loads(run("consent", "list", "--json", folder=folder, **settings).stdout)
    return {row["name"] or row["id"]: row for row in listed["members"]}


def answers(row: dict[str, Any]) -> tuple[bool, bool, bool]:
    return row["learn"], row["remember"], row["quote"]


def test_the_list_shows_what_holds_who_said_it_when_and_how(folder: Path) -> None:
    done = run("consent", "set", "tom", "--no-quote", "--by", "member", "--way", "told me in #kitchen", folder=folder)
    assert (done.returncode, done.stderr) == (0, "Tom: learn yes, remember yes, quote no\n")
    table = run("consent", "list", folder=folder)
    lines = {line.split("  ")[0]: line.split() for line in table.stdout.splitlines()}
    assert lines["Tom"][:5] == ["Tom", "102", "yes", "yes", "no"]
    assert lines["Tom"][5] == "member"
    assert " ".join(lines["Tom"][9:]) == "told me in #kitchen"
    assert lines["Eve"] == ["Eve", "103", "yes", "yes", "yes"]
    assert table.stderr.endswith("CONSENT=opt-out: silence is a yes\n")
    rows = members(folder)
    assert rows["Tom"]["said"]["quote"]["way"] == "told me in #kitchen"
    assert rows["Tom"]["said"]["learn"] is None
    assert rows["Eve"] == {
        "id": "103", "name": "Eve", **YES, "state": "member", "since_ms": None,
        "said": {"learn": None, "remember": None, "quote": None},
    }  # fmt: skip
    silent = members(folder, CONSENT="opt-in")
    assert (answers(silent["Eve"]), answers(silent["Tom"])) == ((False,) * 3, (False,) * 3)


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        (["no", "--remember", "yes"], (False, True, False)),
        (["yes", "--no-learn"], (False, True, True)),
        (["--learn", "no"], (False, True, True)),
        (["--quote", "no", "--learn"], (True, True, False)),
        (["--no-remember"], (True, False, False)),
        (["yes"], (True, True, True)),
    ],
)
def test_one_answer_for_all_and_one_for_each(folder: Path, words: list[str], holds: tuple[bool, bool, bool]) -> None:
    assert run("consent", "set", "102", *words, folder=folder).returncode == 0
    assert answers(members(folder)["Tom"]) == holds


def test_a_members_own_word_stands_before_the_owners(folder: Path) -> None:
    run("consent", "set", "eve", "--no-learn", "--by", "member", folder=folder)
    done = run("consent", "set", "eve", "yes", folder=folder)
    assert "Eve (103): the member's no of " in done.stderr
    assert "stands before this yes (learn)" in done.stderr
    assert answers(members(folder)["Eve"]) == (False, True, True)
    assert run("consent", "set", "eve", "yes", "--by", "member", folder=folder).stderr == (
        "Eve: learn yes, remember yes, quote yes\n"
    )


def test_a_full_no_asks_first_takes_the_words_and_names_stale_adapters(folder: Path) -> None:
    assert run("build", folder=folder).returncode == 0
    write_run(folder / "data", [HER_ID])
    asked = run("consent", "set", HER_NAME, "no", folder=folder)
    assert asked.returncode == 2
    assert f"{HER_NICKNAME} ({HER_ID}): with no purpose left, 80 messages lose their words" in asked.stderr
    assert answers(members(folder)[HER_NICKNAME]) == (True, True, True)
    done = run("consent", "set", HER_NAME, "no", "--by", "member", "--yes", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "80 messages lost their words" in done.stderr
    assert "deleted: corpora/default" in done.stderr
    assert "stale: the adapter of run first" in done.stderr
    # Name and answer stay, so that they can change their mind.
    assert not [text for text in left_of_her(folder / "data") if text.startswith("qx")]
    assert members(folder)[HER_NICKNAME]["state"] == "refused"
    assert "words taken away" in run("consent", "list", folder=folder).stdout
    back = run("consent", "set", HER_NAME, "yes", "--by", "member", folder=folder)
    assert f"back again: {HER_NICKNAME} ({HER_ID}); import the history once more" in back.stderr
    again = json.loads(run("import", "--json", str(write_export(folder)), folder=folder).stdout)
    assert again["new"] == 80
    with Archive(folder / "data") as archive:
        assert archive.check() == []
        assert any("qx1zyzzyva7919" in one.rendered for one in archive.history())


def test_a_no_to_being_remembered_is_kept_by_a_running_bot_at_once(folder: Path) -> None:
    with Archive(folder / "data") as bot:
        assert any(one.author.id == 102 for one in bot.window(20, limit=50))
        assert run("consent", "set", "tom", "--no-remember", folder=folder).returncode == 0
        assert not any(one.author.id == 102 for one in bot.window(20, limit=50))
        assert bot.consents.may_learn([102]) == {102}


def test_who_is_meant_must_be_clear(folder: Path) -> None:
    twin = root(
        [item(900, "hello", author=user(104, "tom2", "Tom")), item(901, "hi", author=user(105, "12", "Twelve"))]
    )
    path = folder / "twin.json"
    path.write_bytes(written(twin))
    run("import", str(path), folder=folder)
    sentences = {
        "Tom": "Tom may be Tom (102) or Tom (104): give the id",
        "ev": "nobody in the archive is called ev: did you mean Eve (103)?",
        "qqqq": "nobody in the archive is called qqqq:  sususbot consent list  shows all members",
        "": "nobody in the archive is called :  sususbot consent list  shows all members",
        "9999": "nobody in the archive is called 9999:  sususbot consent list  shows all members",
        # More than an id can be.
        **{
            digits: f"nobody in the archive is called {digits}:  sususbot consent list  shows all members"
            for digits in ("9" * 19, "9" * 20, "9" * 5000)
        },
    }
    for text, sentence in sentences.items():
        done = run("consent", "set", text, "yes", folder=folder)
        assert (done.returncode, refusal(done.stderr)) == (1, sentence)
    # A name of digits, a mention, an id that nobody has yet, another case.
    for text, id_ in {"12": "105", "<@103>": "103", "234567890123456789": "234567890123456789", "EVE": "103"}.items():
        done = run("consent", "set", text, "--no-quote", "--json", folder=folder)
        assert [row["id"] for row in json.loads(done.stdout)["members"]] == [id_]


def test_bytes_that_are_no_text_are_no_traceback(folder: Path) -> None:
    assert run("consent", "set", "tom", "yes", "--way", "told \udcff me", folder=folder).returncode == 0
    assert members(folder)["Tom"]["said"]["quote"]["way"] == "told ? me"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["set"], "Missing argument 'AUTHOR'"),
        (["set", "tom"], "say yes or no, or one of --learn, --remember, --quote"),
        (["set", "tom", "maybe"], "'maybe' is not one of 'yes', 'no'"),
        (["set", "tom", "--learn", "--no-learn"], "--learn and --no-learn together say nothing"),
        (["set", "tom", "yes", "--by", "cat"], "'cat' is not one of 'member', 'owner'"),
        (["what"], "No such command 'what'"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], fault: str) -> None:
    done = run("consent", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert fault in done.stderr


def test_before_anything_is_imported(tmp_path: Path) -> None:
    done = run("consent", "list", folder=tmp_path)
    assert done.returncode == 0
    assert "sususbot import FILE" in done.stderr
    # Somebody may say no before the bot ever read them.
    assert run("consent", "set", str(HER_ID), "no", folder=tmp_path).returncode == 0
    imported = json.loads(run("import", "--json", str(write_export(tmp_path)), folder=tmp_path).stdout)
    assert imported["new"] == 160
    assert not [text for text in left_of_her(tmp_path / "data") if text.startswith("qx")]


# -- files


def test_csv_and_json_lines_are_read_and_reading_again_says_nothing_new(folder: Path) -> None:
    (folder / "a.csv").write_text(
        '\ufeffAuthor,Answer,Quote,By,Date,Way\nTom,yes,no,member,2026-03-14,"told me, twice"\n\neve,,no,,,\n',
        encoding="utf-8",
    )
    (folder / "a.jsonl").write_text(
        '{"id": 102, "learn": false, "by": "member", "date": "2026-03-15T10:00:00+01:00"}\n\n'
        '{"name": "Eve", "answer": "no", "remember": "yes", "date": "2020-01-01"}\n',
        encoding="utf-8",
    )
    done = run("consent", "import", "a.csv", "--json", folder=folder)
    assert (done.returncode, json.loads(done.stdout)["new"]) == (0, 2)
    rows = members(folder)
    assert (answers(rows["Tom"]), answers(rows["Eve"])) == ((True, True, False), (True, True, False))
    assert rows["Tom"]["said"]["quote"] == {"by": "member", "at_ms": 1_773_446_400_000, "way": "told me, twice"}
    assert (rows["Eve"]["said"]["quote"]["by"], rows["Eve"]["said"]["quote"]["way"]) == ("owner", "file a.csv")
    assert json.loads(run("consent", "import", "a.jsonl", "--json", folder=folder).stdout)["new"] == 2
    rows = members(folder)
    # Of two words of one kind the later holds: Eve's old no to learning was the only one on that.
    assert (answers(rows["Tom"]), answers(rows["Eve"])) == ((False, True, False), (False, True, False))
    for file in ("a.csv", "a.jsonl"):
        assert json.loads(run("consent", "import", file, "--json", folder=folder).stdout)["new"] == 0


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "author,answer,by,date\nTom,yes,,\nnobody,yes,,\nEve,perhaps,,\n,yes,,\nEve,yes,cat,\nEve,yes,,soon\n"
            "Eve,yes,,2999-01-01\nEve,,,\nEve,yes,,,,\n",
            [
                "line 3: nobody in the archive is called nobody:  sususbot consent list  shows all members",
                "line 4: answer is 'perhaps': write yes or no",
                "line 5: it does not say whose answer it is",
                "line 6: by is 'cat': write member or owner",
                "line 7: soon is no date: write it as 2026-03-14",
                "line 8: 2999-01-01 lies in the future",
                "line 9: it holds no answer",
                "line 10: it has 6 cells under 4 headings",
            ],
        ),
        ("who,answer\nTom,yes\n", ["line 1: who is no column; there are author, id, name, answer, learn"]),
        ("author,answer,answer\nTom,yes,no\n", ["line 1: the column answer is there twice"]),
        ('author,answer\nTom,"yes\n', ["line 2: it is no CSV (unexpected end of data)"]),
        (
            '{"author": "Tom", "answer": "yes"}\n{"author": \n[1]\n',
            ["line 2: it is no JSON", "line 3: it is no JSON object"],
        ),
        ('{"author": "Tom", "learnt": true}\n', ["line 1: learnt is no column"]),
    ],
)
def test_every_bad_line_is_named_and_nothing_is_half_imported(folder: Path, text: str, faults: list[str]) -> None:
    (folder / "answers").write_text(text, encoding="utf-8")
    done = run("consent", "import", "answers", "--yes", folder=folder)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(faults) + 1
    for line, fault in zip(lines, faults, strict=False):
        assert line.startswith(fault)
    count = "1 line" if len(faults) == 1 else f"{len(faults)} lines"
    assert (
        refusal(done.stderr)
        == f"{count} of answers cannot be read; nothing was imported: mend this and import it again"
    )
    with Archive(folder / "data") as archive:
        assert archive.consents.statements() == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "answers cannot be read (No such file or directory): check the path"),
        (b"\xff\xfe\x00", "answers is not UTF-8 text: save it as UTF-8"),
        (b"", "answers holds no answers: write a heading,  author,answer,by,date,way  and a line each"),
        (b"author,answer\n", "answers holds no answers: write a heading,  author,answer,by,date,way  and a line each"),
    ],
)
def test_files_that_hold_nothing(folder: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (folder / "answers").write_bytes(content)
    done = run("consent", "import", "answers", folder=folder)
    assert (done.returncode, refusal(done.stderr)) == (1, sentence)
