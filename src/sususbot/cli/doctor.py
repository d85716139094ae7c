"""`sususbot doctor`: what is wrong, and what to do about it.

The checks are `doctor`'s; here is how findings look, and that the exit code is 1 where something is wrong.
"""

import locale
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot.cli.layout import folded, width_of
from sususbot.cli.main import Place
from sususbot.cli.output import print_json

if TYPE_CHECKING:
    from sususbot.doctor.findings import Finding
    from sususbot.settings import Settings

_SIGNS: Final = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  ", "skipped": "-      "}
_COLOURS: Final = {"warning": "yellow", "wrong": "red", "ok": "green"}
_STEP: Final = f"{'':9}→ "


@click.command("doctor", epilog="Example:  sususbot doctor --online")
@click.option("--online", is_flag=True, help="Ask Discord, too: token, intent, the channel and the bot's rights there.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@click.pass_obj
def doctor(place: Place, online: bool, as_json: bool) -> None:
    """Check settings, data folder, model and machine; say what is wrong, each with the next step.

    Changes nothing. Exit code 1 if something is wrong; a warning is no failure.
    """
    findings = []
    for finding in examined(place, online=online):
        findings.append(finding)
        if not as_json:
            show(finding)
    _end(findings, as_json=as_json)


def examined(place: Place, *, online: bool) -> "Iterator[Finding]":
    """Every finding, as soon as it is there."""
    from sususbot.cli.folder import load_settings
    from sususbot.doctor.doctor import Patient, examine

    patient = Patient(
        load=lambda: load_settings(place),
        env=place.env or Path(".env"),
        data=place.data,
        python=sys.version_info[:3],
        encoding=_console_encoding(),
        online=_asked if online else None,
    )
    return examine(patient)


def _asked(settings: "Settings") -> "list[Finding]":
    import asyncio

    from sususbot.doctor.checks_discord import discord

    return asyncio.run(discord(settings))


def show(finding: "Finding", *, err: bool = False) -> None:
    """Two lines at most; on a console folded to its width."""
    width = width_of(sys.stderr if err else sys.stdout)
    sign = _SIGNS[finding.state]
    lines = folded(f"{finding.name}: {finding.sentence}", f"{sign}  ", width=width)
    click.echo(click.style(sign, fg=_COLOURS.get(finding.state)) + lines.removeprefix(sign), err=err)
    if finding.step and finding.state != "ok":
        click.echo(folded(finding.step, _STEP, width=width), err=err)


def _end(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    wrong, warnings = (sum(finding.state == state for finding in findings) for state in ("wrong", "warning"))
    if as_json:
        print_json({"wrong": wrong, "warnings": warnings, "findings": [finding.as_json() for finding in findings]})
    else:
        worth = "1 warning" if warnings == 1 else f"{warnings} warnings"
        click.echo(f"\n{wrong} wrong, {worth}, {len(findings)} checks")
    if wrong:
        sys.exit(1)


def _console_encoding() -> str:
    """How what is said here is read by who shows it. A window of Windows is told signs, not bytes."""
    return "utf-8" if sys.platform == "win32" and sys.stdout.isatty() else locale.getencoding()
