"""The cleaning rules: what each does, how often it did, with examples, and a switch that writes CLEAN_OFF into `.env`.

Counts and examples are those of the analysis, which shows words only of members who may be quoted. What was built and
trained before stays as it is: a switch is for the next `sususbot build`.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from nicegui import events, html, ui

from sususbot import env_file
from sususbot.analysis.analysis import RuleRow
from sususbot.corpus.clean import ALL, ALWAYS, RULES, rules_without
from sususbot.errors import ArchiveEmpty
from sususbot.web.counting import counting_of
from sususbot.web.desk import Desk
from sususbot.web.parts import aside, folded, note, told
from sususbot.web.report_view import counted

_LOOK_SECONDS: Final = 1.0
_FORCED: Final = "There are no words of a member in these: this rule cannot be switched off."


async def draw(desk: Desk) -> None:
    """The view."""
    note(
        "What is learned, and what of the talk a model is shown, goes through these rules. A switch is written into "
        f"{desk.env} (CLEAN_OFF) and holds for training after the next  sususbot build  and a new training; a bot that "
        "runs shows its model the talk so after its next start or /reload."
    )
    status = ui.label().classes("warn").props('role="status"')
    rules, counting = html.ul().classes("plain").props('aria-label="Cleaning rules"'), counting_of(desk)
    drawn = -1

    async def look() -> None:
        """Examples of somebody who was forgotten go, too."""
        nonlocal drawn
        if drawn == counting.drops:
            return
        drawn = counting.drops
        rules.clear()
        rows, off = await _rows(desk), await aside(switched_off, desk)
        with rules:
            for row in rows:
                _draw_rule(desk, row, off, status)

    await look()
    ui.timer(_LOOK_SECONDS, look)


async def _rows(desk: Desk) -> Sequence[RuleRow]:
    """Every rule with what it does here; in an empty archive, nothing."""
    try:
        return (await counted(desk)).cleaning.rules
    except ArchiveEmpty:
        return [RuleRow(name, what, 0, 0, ()) for name, what in RULES.items()]


def switched_off(desk: Desk) -> frozenset[str]:
    """The rules that CLEAN_OFF names by now."""
    settings = env_file.load(desk.env) if desk.env.is_file() else desk.settings
    return ALL - rules_without(settings.clean_off)


def switch(env: Path, off: Collection[str]) -> None:
    """Write down which rules are off, and change nothing else of the file. Raises SettingsError."""
    rules_without(off)
    env_file.set_values(env, {"clean_off": ",".join(sorted(off))})


def _draw_rule(desk: Desk, row: RuleRow, off: Collection[str], status: ui.label) -> None:
    written = row.name not in off

    async def switched(event: events.ValueChangeEventArguments[bool | None]) -> None:
        nonlocal written
        if event.value == written:
            return
        with told():
            await aside(_switch, desk, row.name, bool(event.value))
            written = bool(event.value)
            how = "on" if written else "off"
            status.text = f"{row.name} is switched {how}: run  sususbot build  again for it to hold in what is learned."
        # Where it could not be written, the lever goes back.
        lever.value = written

    with html.li().classes("rule"):
        lever = ui.switch(value=written, on_change=switched)
        lever.props["aria-label"] = f"Rule {row.name}"
        if row.name in ALWAYS:
            lever.disable()
        with html.div().classes("about"):
            html.strong(row.name)
            html.span(row.what)
            if row.name in ALWAYS:
                html.span(_FORCED).classes("note")
        html.div(_counts(row, off)).classes("counts")
        if row.examples:
            with html.div().classes("examples"):
                folded("Examples", lambda: _draw_examples(row))


def _switch(desk: Desk, name: str, on: bool) -> None:
    """Asked anew: another tab, or an editor, may have changed the file."""
    off = switched_off(desk)
    switch(desk.env, off - {name} if on else off | {name})


def _counts(row: RuleRow, off: Collection[str]) -> str:
    if row.name in off:
        return "switched off"
    return f"{row.changed:,} changed, {row.dropped:,} dropped"


def _draw_examples(row: RuleRow) -> None:
    note("Of members who may be quoted; of secrets and quotes only what is left of them.")
    for example in row.examples:
        with html.div().classes("example"):
            html.p(example.before or "(not shown)")
            html.p(example.after or "(dropped)")
