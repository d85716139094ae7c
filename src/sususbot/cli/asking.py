"""What `sususbot init` asks, in the order in which a newcomer can answer, with the way to each answer before it.

Nothing is written here: whoever stops in the middle has changed nothing. The token is never shown.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot.cli.ids import FORM, is_id
from sususbot.cli.layout import folded
from sususbot.cli.main import Place
from sususbot.cli.output import say

if TYPE_CHECKING:
    from sususbot.errors import SettingsError

# What members were told holds.
_PROMISED: Final = {"consent": "--consent", "retention_days": "--retention-days"}
_FROM_INPUT: Final = "-"
_NO_TOKEN: Final = (
    "That is no token: it has three parts with dots between, and the first tells whose it is. Copy it again "
    "(Enter: later)."
)
_IDS: Final = ("channel_id", "guild_id")
GREETING: Final = "A few questions. Nothing is written before the last; Ctrl-C stops."
STOPPED: Final = "stopped, and nothing was written: run  sususbot init  again"

# Setting -> what is asked for on a terminal. An empty answer leaves it out.
_QUESTIONS: Final = {
    "discord_token": "Token (not shown)",
    "channel_id": "Channel ID",
    "guild_id": "Server ID (Enter: only the channel above)",
    "consent": "Silence means: opt-out, opt-in or all",
    "retention_days": "Days until words are erased (Enter: kept)",
    "contact": "Whom members turn to, e.g. @mia",
    "bot_name": "The bot's name",
}
_BEFORE: Final = {
    "discord_token": "\nA bot on Discord",
    "channel_id": "\nIts place",
    "consent": "\nIts members",
    "bot_name": "\nIts name",
}
_PORTAL_STEPS: Final = (
    "Open {portal}: New Application, a name, Create.",
    "Installation: leave Guild Install on, User Install off; Install Link: None; Save.",
    "Bot: Public Bot off, so that only you can invite it.",
    "Bot: Message Content Intent on; without it all messages are empty. Save.",
    "Bot: Reset Token, Copy. Whoever has it is the bot: show it to nobody.",
)
_PLACE_STEPS: Final = (
    "In Discord: User Settings, Advanced, Developer Mode on.",
    "Right-click the channel it is to live in, Copy Channel ID; the same on the server's icon for the Server ID, which "
    "is for reading the history of all channels.",
)
_CONSENT_STEPS: Final = (
    "What members who said nothing have said: opt-out (a yes), opt-in (a no), all (everybody agreed). Anybody may say "
    "no or be forgotten at any time, whatever this is.",
)
_STEPS: Final = {"discord_token": _PORTAL_STEPS, "channel_id": _PLACE_STEPS, "consent": _CONSENT_STEPS}


def given(values: dict[str, str | int | None]) -> dict[str, str]:
    """What came by flags; the token also by standard input (`-`) or the environment, seen in no list of processes."""
    found = {name: str(value) for name, value in values.items() if value is not None}
    if found.get("discord_token") == _FROM_INPUT:
        found["discord_token"] = _token_from_input()
    elif "discord_token" not in found and os.environ.get("DISCORD_TOKEN"):
        found["discord_token"] = os.environ["DISCORD_TOKEN"]
    return found


def not_set(name: str, place: Place) -> "SettingsError":
    """What is told where a command needs a setting: often it is called in another folder than that of the settings."""
    from sususbot.errors import SettingsError

    path = (place.env or Path(".env")).absolute()
    where = "" if path.is_file() else f" (there is no {path})"
    return SettingsError(f"{name} is not set{where}: run  sususbot init, which says where to find it and keeps it")


def kept(path: Path, values: dict[str, str], *, asking: bool) -> dict[str, str]:
    """`values` and all that an older file sets besides: writing it anew asks nobody twice and loses nothing.

    What cannot be kept is named. Raises SettingsError where that was promised to members, and nobody can be asked.
    """
    there, faults = _found(path)
    there = {name: value for name, value in there.items() if name not in values}
    faults = {what: sentence for what, sentence in faults.items() if what not in values}
    if not asking:
        _check_promises(path, there | values, faults)
    if there:
        say("")
        say(folded(f"kept from {path}: {', '.join(name.upper() for name in there)}"))
    for sentence in faults.values():
        say(folded(f"not kept: {sentence}", "   ! "))
    return there | values


def _found(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What a file sets, and what is wrong with the rest; of one that is no text nobody knows what it set."""
    from sususbot import env_file
    from sususbot.errors import SettingsError

    if not path.is_file():
        return {}, {}
    try:
        return env_file.salvaged(path)
    except SettingsError as error:
        return {}, {"consent": str(error).partition(":")[0]}


def _check_promises(path: Path, values: dict[str, str], faults: dict[str, str]) -> None:
    """A default in place of what cannot be read may be a yes in the name of members who were told that it is a no."""
    from sususbot.errors import SettingsError

    for name, flag in _PROMISED.items():
        for what, sentence in faults.items():
            if name not in values and (name in what or f"did you mean {name.upper()}" in sentence):
                raise SettingsError(f"{path} cannot be kept as it is ({sentence}): mend it there, or give {flag}, too")


def _token_from_input() -> str:
    from sususbot.errors import SettingsError

    token = _hidden() if sys.stdin.isatty() else sys.stdin.readline()
    if not token.strip():
        raise SettingsError(
            "no token came by standard input: write it there, as in  sususbot init --token - < FILE  "
            "(PowerShell:  Get-Content FILE | sususbot init --token -)"
        )
    return token


def _hidden() -> str:
    token: str = click.prompt(_QUESTIONS["discord_token"], default="", show_default=False, hide_input=True, err=True)
    return token


def ask(
    values: dict[str, str], names: Iterable[str] = tuple(_QUESTIONS), application: int | None = None
) -> dict[str, str]:
    """`values` and what the owner typed for those that are not among them."""
    answers = dict(values)
    for name in names:
        if name not in answers:
            explain(name)
            answers[name] = _answer(name)
        if name == "discord_token":
            show_invite(answers.get(name), application, asking=True)
    return answers


def explain(name: str) -> None:
    """How to come by an answer."""
    from sususbot.sources.discord_api.identity import PORTAL

    if name in _BEFORE:
        say(_BEFORE[name])
    for step in _STEPS.get(name, ()):
        say(folded(step.format(portal=PORTAL), "   - "))


def show_invite(token: str | None, application: int | None, *, asking: bool = False) -> None:
    """The link by which the bot comes onto a server."""
    from sususbot.env_file import checked
    from sususbot.sources.discord_api.identity import application_of, invite_link
    from sususbot.sources.discord_api.permissions import NEEDED

    token = checked({"discord_token": token}).discord_token if token else None
    application = application or (application_of(token) if token is not None else None)
    say("\nIts invitation")
    if application is None and asking:
        say(folded("The Application ID (General Information) makes the link now; the token does, too.", "   - "))
        application = _application()
    if application is None:
        say(folded("The link is made once the token is there, or by  sususbot init --application ID", "   - "))
        return
    say(folded("Open this, choose your server, Authorize:", "   - "))
    say(f"\n{invite_link(application)}\n")
    say(folded(f"It asks for {', '.join(NEEDED.values())}: what the bot needs, and no more.", "   - "))


def _application() -> int | None:
    while answer := click.prompt("Application ID (Enter: later)", default="", show_default=False, err=True).strip():
        if is_id(answer):
            return int(answer)
        say(folded(f"That is no id: {FORM}.", "   ! "))
    return None


def _answer(name: str) -> str:
    """Asked until it can be used, or is left empty."""
    while True:
        answer = _typed(name)
        fault = _fault(name, answer) if answer else None
        if fault is None:
            return answer
        say(folded(fault, "   ! "))


def _fault(name: str, answer: str) -> str | None:
    """Why an answer cannot be used."""
    from sususbot import env_file
    from sususbot.errors import SettingsError
    from sususbot.sources.discord_api.identity import looks_right

    try:
        token = env_file.checked({name: answer}).discord_token
    except SettingsError as error:
        return str(error).removesuffix(": give it again")
    if name == "discord_token" and not (token is not None and looks_right(token)):
        return _NO_TOKEN
    if name in _IDS and not is_id(answer):
        return f"That is no id: {FORM}."
    return None


def _typed(name: str) -> str:
    from sususbot.settings import Settings

    if name == "discord_token":
        return _hidden().strip()
    default = Settings.model_fields[name].default
    answer: str = click.prompt(
        _QUESTIONS[name],
        default="" if default is None else str(default),
        show_default=default is not None,
        err=True,
    )
    return answer.strip()
