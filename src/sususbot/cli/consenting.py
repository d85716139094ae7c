"""`sususbot consent`: who agreed to what, and writing it down.

What an answer means is decided in `archive/consents`; whatever has no purpose after it goes by `forgetting`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sususbot.cli.main import Place
from sususbot.cli.output import print_json, say

if TYPE_CHECKING:
    from sususbot.archive.archive import Archive
    from sususbot.archive.consents import Purpose, Statement
    from sususbot.cli.people import People

_ANSWERS = click.Choice(["yes", "no"])
_NO_MEMBER = "nobody has written anything yet: run  sususbot backfill  or  sususbot import FILES  first"

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group("consent", epilog="Example:  sususbot consent list")
def consent() -> None:
    """Who may be learned from, remembered and quoted: three answers a member.

    A member's own last word counts before the owner's, and that before CONSENT, which says what silence means.
    """


@consent.command("list", epilog="Example:  sususbot consent list")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@click.pass_obj
def list_(place: Place, as_json: bool) -> None:
    """What holds for each member, who said so, when, and how."""
    from sususbot.cli.folder import open_archive

    with open_archive(place) as archive:
        rows = _rows(archive)
        mode = archive.consents.mode
    if as_json:
        print_json({"mode": mode, "members": rows})
        return
    _print_table(rows)
    silence = "a yes" if mode != "opt-in" else "a no"
    say(f"CONSENT={mode}: silence is {silence}" if rows else _NO_MEMBER)


def _purpose_options(command: Command) -> Command:
    """`--learn yes`, `--learn` and `--no-learn`, likewise for the others."""
    for purpose, what in (("quote", "quoted"), ("remember", "remembered"), ("learn", "learned from")):
        command = click.option(f"--no-{purpose}", is_flag=True, help=f"Not to be {what}.")(command)
        command = click.option(
            f"--{purpose}", type=_ANSWERS, is_flag=False, flag_value="yes", help=f"Whether to be {what}."
        )(command)
    return command


@consent.command("set", epilog='Example:  sususbot consent set mia no --by member --way "told me in #general"')
@click.argument("author")
@click.argument("answer", required=False, type=_ANSWERS)
@_purpose_options
@click.option(
    "--by", type=click.Choice(["member", "owner"]), default="owner", show_default=True, help="Whose word it is."
)
@click.option("--way", default="command line", show_default=True, help="How it was said.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what holds now as one JSON object.")
@click.pass_obj
def set_(
    place: Place, /, author: str, answer: str | None, by: str, way: str, yes: bool, as_json: bool, **said: Any
) -> None:
    """Write a member's answer down: one for all three purposes, or one for each.

    AUTHOR is an id or a name. A no to being learned from and remembered takes their words out of the archive and of
    what was made of it; a later yes, and importing the history again, brings them back.
    """
    from sususbot.archive.archive import now_ms
    from sususbot.archive.consents import PURPOSES, Statement

    given: dict[Purpose, bool | None] = {purpose: _given(purpose, answer, said) for purpose in PURPOSES}
    if all(value is None for value in given.values()):
        raise click.UsageError("say yes or no, or one of --learn, --remember, --quote")

    def read(people: "People") -> "list[Statement]":
        speaker = "member" if by == "member" else "owner"
        # What a terminal sends that is no text cannot be kept.
        how = way.encode(errors="replace").decode()
        return [Statement(people.find(author), speaker, how, now_ms(), **given)]  # type: ignore[arg-type]

    _write_down(place, read, yes=yes, as_json=as_json)


@consent.command("import", epilog="Example:  sususbot consent import answers.csv")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what holds now as one JSON object.")
@click.pass_obj
def import_(place: Place, file: Path, yes: bool, as_json: bool) -> None:
    """Write many answers down, from CSV with a heading or JSON lines; all of them or none.

    Columns: author (id or name), answer (yes or no) or learn, remember and quote, by (member or owner), date, way.
    """
    from sususbot.cli import answers_file

    _write_down(place, lambda people: answers_file.read(file, people, say), yes=yes, as_json=as_json)


def _given(purpose: str, answer: str | None, said: dict[str, Any]) -> bool | None:
    if said[f"no_{purpose}"] and said[purpose] == "yes":
        raise click.UsageError(f"--{purpose} and --no-{purpose} together say nothing")
    if said[f"no_{purpose}"]:
        return False
    word = said[purpose] or answer
    return None if word is None else word == "yes"


def _write_down(place: Place, read: "Callable[[People], list[Statement]]", *, yes: bool, as_json: bool) -> None:
    """Statements into the archive, and what follows from them."""
    from sususbot.analysis.consent import unheard
    from sususbot.archive.archive import now_ms
    from sususbot.cli.folder import forgetting, load_settings, open_archive
    from sususbot.cli.forgetting import say_stale, stale_adapters
    from sususbot.cli.people import People
    from sususbot.forgetting import told

    settings = load_settings(place)
    with open_archive(place) as archive:
        people = People(archive)
        statements = read(people)
        away = archive.erasure.erased()
        _ask_about_words(archive, people, statements, yes=yes)
        new, gone = forgetting(place, settings, archive).answer(statements, at=now_ms())
        ids = list(dict.fromkeys(statement.author_id for statement in statements))
        rows = [row for row in _rows(archive) if int(row["id"]) in set(ids)]
        adapters = stale_adapters(place, archive)
        notes = unheard(archive, statements, people.called)
        back = [people.called(id_) for id_ in sorted(away.keys() - archive.erasure.erased().keys())]
    if as_json:
        print_json(
            {"new": new, "members": rows, "messages_erased": gone.messages, "deleted": list(gone.files),
             "stale_adapters": adapters}
        )  # fmt: skip
        return
    for line in [*notes, *told(gone)]:
        say(line)
    say_stale(adapters)
    if back:
        say(f"back again: {', '.join(back)}; import the history once more to have their words")
    if len(rows) > 1:
        say(f"{new} new answers of {len(rows)} members")
    for row in rows[:1] if len(rows) == 1 else []:
        say(
            f"{row['name'] or row['id']}: "
            + ", ".join(f"{name} {_yes(row[name])}" for name in ("learn", "remember", "quote"))
        )


def _ask_about_words(archive: "Archive", people: "People", statements: "list[Statement]", *, yes: bool) -> None:
    """A full no takes words away; say whose, and how many."""
    from sususbot.cli.forgetting import confirmed

    refusing = archive.consents.would_refuse(statements)
    losing = {id_: count for id_ in refusing if (count := archive.erasure.count(id_))}
    if not losing or yes:
        return
    for id_, count in losing.items():
        say(f"{people.called(id_)}: with no purpose left, {count:,} messages lose their words")
    confirmed("a later yes and a new import would bring them back; go on?", yes=yes)


def _rows(archive: "Archive") -> list[dict[str, Any]]:
    """Each member with what holds, and what it rests on."""
    from sususbot.analysis.consent import members

    return [
        {
            "id": str(member.id),
            "name": member.name,
            **member.holds._asdict(),
            "state": member.state,
            "since_ms": member.since,
            "said": {purpose: _said(statement) for purpose, statement in member.said.items()},
        }
        for member in members(archive)
    ]


def _said(statement: "Statement | None") -> dict[str, Any] | None:
    if statement is None:
        return None
    return {"by": statement.by, "at_ms": statement.at, "way": statement.way}


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _print_table(rows: list[dict[str, Any]]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sususbot.messages import day

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("member", "id", "learn", "remember", "quote", "by", "on", "how"):
        table.add_column(heading, no_wrap=heading not in ("member", "how"), overflow="fold")
    for row in rows:
        last = max((one for one in row["said"].values() if one), key=lambda one: one["at_ms"], default=None)
        by, on, how = (last["by"], day(last["at_ms"]), last["way"]) if last else ("", "", "")
        if row["state"] == "forgotten":
            by, on, how = "", day(row["since_ms"]), "forgotten"
        elif row["state"] == "refused":
            how += "; words taken away"
        cells = [row["name"], row["id"], *(_yes(row[name]) for name in ("learn", "remember", "quote")), by, on, how]
        table.add_row(*(Text(cell) for cell in cells))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False).print(table)
