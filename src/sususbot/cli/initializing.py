"""`sususbot init`: settings for a new server and for this machine, the notice for its members, its privacy policy.

Everything is asked first and written last, each file whole: whoever stops, or runs it again, loses nothing.
"""

import errno
import itertools
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot.cli.asking import GREETING, STOPPED, ask, explain, given, kept, show_invite
from sususbot.cli.ids import DiscordId
from sususbot.cli.layout import asked_here, folded
from sususbot.cli.main import Place
from sususbot.cli.output import say, working
from sususbot.in_place import put

if TYPE_CHECKING:
    from sususbot.doctor.choice import Choice
    from sususbot.notice import Facts
    from sususbot.settings import Settings

_MODES = ("opt-out", "opt-in", "all")
POLICY: Final = "PRIVACY.md"
_TOO_MUCH: Final = (
    "there is a word too many, not shown here since it may be the token: give that by  --token -  or when asked for it"
)
# Without these there is no bot; asked for again where an earlier run left them out.
_NEEDED: Final = ("discord_token", "channel_id")


@click.command(
    "init",
    # Refused by us: the library would repeat what was typed, and it may be the token.
    context_settings={"allow_extra_args": True},
    epilog="Example:  sususbot init --channel 1213800000000000000 --consent opt-in --contact @mia --yes",
)
@click.option(
    "--token",
    "discord_token",
    metavar="TOKEN",
    help="The bot's token. Others on this machine see flags: better typed when asked for, in the environment as "
    "DISCORD_TOKEN, or - for a line of standard input.",
)
@click.option(
    "--application",
    metavar="ID",
    type=DiscordId("it is what the portal's General Information calls Application ID"),
    help="Whom the invite link is for, where the token is not given.",
)
@click.option("--channel", "channel_id", metavar="ID", type=DiscordId(), help="The channel it lives in.")
@click.option("--guild", "guild_id", metavar="ID", type=DiscordId(), help="The server.")
@click.option("--consent", type=click.Choice(_MODES), help="What a member's silence means.")
@click.option("--retention-days", metavar="DAYS", help="Words older than that are erased.")
@click.option("--contact", metavar="NAME", help="Whom members turn to.")
@click.option("--bot-name", metavar="NAME", help="The name the bot speaks under.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given keeps its default.")
@click.option("--force", is_flag=True, help="Write .env and PRIVACY.md anew; what is set there is kept.")
@click.pass_context
def init(ctx: click.Context, /, yes: bool, force: bool, application: int | None, **flags: str | int | None) -> None:
    """Write .env and PRIVACY.md for your server and this machine, and print the notice for your members.

    Asks what it needs, with the steps on Discord, and ends with what  sususbot doctor  finds. What is there already
    stays as it is: only what is missing is added.
    """
    from sususbot.notice import notice, policy

    place: Place = ctx.obj
    if ctx.args:
        raise click.UsageError(_TOO_MUCH, ctx)
    path = place.env or Path(".env")
    _check_place(path)
    asking = not yes and asked_here()
    if not yes and not asking:
        say("There is no terminal, so nothing is asked: flags say what is to be set (--help).\n")
    choice = _look_around(place)
    try:
        settings = _settle(path, given(flags), choice, force=force, asking=asking, application=application)
    except (click.Abort, KeyboardInterrupt) as stop:
        raise click.Abort(STOPPED) from stop
    _make_private(place.data)
    _write_policy(path.with_name(POLICY), policy(_facts(settings)), force=force)
    say("\nThe notice for your server, to be posted and pinned where all members read it:\n")
    click.echo(notice(_facts(settings)), nl=False)
    missing = [name.upper() for name in _NEEDED if getattr(settings, name) is None]
    _examine(place, settings, missing, asking=asking)
    say(_next(settings, choice, missing))


def _look_around(place: Place) -> "Choice":
    """What this machine is, and what that means."""
    from sususbot.artifacts import MODELS
    from sususbot.doctor.choice import choose, this_machine

    machine = this_machine()
    choice = choose(machine, place.data / MODELS)
    say("This machine")
    say(folded(str(machine), "   "))
    if machine.card is not None:
        driver = f", driver {machine.card.driver}" if machine.card.driver else ""
        say(folded(f"{machine.card.name}, {machine.card.gigabytes:.0f} GB{driver}", "   "))
    for line in choice.told:
        say(folded(line, "   - "))
    return choice


def _settle(
    path: Path, values: dict[str, str], choice: "Choice", *, force: bool, asking: bool, application: int | None
) -> "Settings":
    """The settings as they stand in the file afterwards."""
    if path.is_file() and not force:
        return _completed(path, values, asking=asking, application=application)
    values = kept(path, values, asking=asking)
    if asking:
        say(f"\n{GREETING}")
        values = ask(values, application=application)
    settings = _written(path, values, choice)
    if not asking:
        _tell_what_is_missing(settings, application)
    return settings


def _written(path: Path, values: dict[str, str], choice: "Choice") -> "Settings":
    """A new file: what was given and what was chosen. Raises SettingsError."""
    from sususbot import env_file

    values = {name: value.strip() for name, value in values.items() if value.strip()}
    settings = env_file.checked(values)
    values |= _cleaned(settings, values)
    values = dict(choice.values) | values
    other = {name: value for name, value in choice.values.items() if values[name] != value}
    reasons = {name: why for name, why in choice.reasons.items() if name not in other}
    _put_in_place(path, env_file.filled(values, reasons))
    private = "readable by you alone" if os.name == "posix" else "to be kept to yourself"
    say(f"\nwrote {path}, {private}: each setting with what it does")
    for name, value in other.items():
        say(folded(f"{name.upper()}={values[name]} was kept; for this machine it would now be {value}", "   - "))
    return settings


def _cleaned(settings: "Settings", values: dict[str, str]) -> dict[str, str]:
    """A token as it is used, not as it was pasted."""
    token = settings.discord_token
    return {"discord_token": token} if token is not None and "discord_token" in values else {}


def _completed(path: Path, values: dict[str, str], *, asking: bool, application: int | None) -> "Settings":
    """A file that is there, with what was missing in it. Raises SettingsError where it has another value already."""
    from sususbot import env_file
    from sususbot.errors import SettingsError

    settings = env_file.load(path)
    wanted = env_file.checked(values)
    there = {name for name in values if getattr(settings, name) is not None}
    other = [name.upper() for name in values if name in there and getattr(wanted, name) != getattr(settings, name)]
    if other:
        raise SettingsError(
            f"{path} is there already with another {', '.join(other)}: change it there, or write it anew with --force"
        )
    new = {name: value for name, value in values.items() if name not in there}
    missing = [name for name in _NEEDED if getattr(settings, name) is None] if asking else []
    new = {name: value for name, value in ask(new, missing, application).items() if value}
    if new:
        env_file.set_values(path, new | _cleaned(env_file.checked(new), new))
        say(f"\n{path} is there; added: {', '.join(name.upper() for name in new)}")
        settings = env_file.load(path)
    else:
        say(f"\n{path} is there and stays as it is (--force writes it anew)")
    if "discord_token" not in missing:
        _tell_what_is_missing(settings, application)
    return settings


def _tell_what_is_missing(settings: "Settings", application: int | None) -> None:
    """The steps on Discord, for who was not asked."""
    if settings.discord_token is None:
        explain("discord_token")
    if settings.discord_token is not None or application is not None:
        show_invite(settings.discord_token, application)
    if settings.channel_id is None:
        explain("channel_id")


def _check_place(path: Path) -> None:
    from sususbot.errors import SettingsError

    if path.is_dir():
        raise SettingsError(f"{path} is a folder, and the settings are a file: rename it, or name another with --env")


def _put_in_place(path: Path, text: str) -> None:
    """All of it or nothing, and never readable by others, not even for a moment; what was there stays beside it."""
    from sususbot.env_file import write_aside
    from sususbot.errors import SettingsError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A link stays one.
        place = path.resolve()
        if place.is_file():
            say(f"what was there is now {path.with_name(_set_aside(place).name)}")
        put(write_aside(place, text), place)
    except OSError as error:
        step = "make room there" if error.errno == errno.ENOSPC else "let this program write there"
        raise SettingsError(
            f"{path} cannot be written ({error.strerror or error}): {step}, or choose another place with --env"
        ) from error


def _set_aside(path: Path) -> Path:
    """A copy that takes no older one's place: that may be the only one that still has a token."""
    from sususbot.env_file import write_aside

    there = path.read_bytes()
    for number in itertools.count(1):
        old = path.with_name(f"{path.name}.old" + (f".{number}" if number > 1 else ""))
        if not old.exists():
            return put(write_aside(old, there), old)
        if old.is_file() and old.read_bytes() == there:
            old.chmod(stat.S_IMODE(old.stat().st_mode) & 0o600)
            return old
    raise AssertionError("unreachable")


def _make_private(folder: Path) -> None:
    """The data folder, for its owner alone, where it is not there yet."""
    from sususbot.errors import ArchiveError

    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise ArchiveError(
            f"{folder} cannot be made ({error.strerror or error}): choose another place with --data"
        ) from error


def _write_policy(path: Path, text: str, *, force: bool) -> None:
    from sususbot.env_file import write_aside
    from sususbot.errors import SettingsError

    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            say(f"{path} is there and says what these settings say")
        elif path.exists() and not force:
            say(f"{path} is there, says something else than these settings, and stays so (--force writes it anew)")
        else:
            # Everybody may read it.
            put(write_aside(path, text, mode=0o644), path)
            say(f"wrote {path}: read it, mend it, publish it, link it in the developer portal")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be written ({getattr(error, 'strerror', None) or 'it is no text'}): make room there, or "
            "move it away, and run the same command again"
        ) from error


def _facts(settings: "Settings") -> "Facts":
    from sususbot.notice import Facts
    from sususbot.proxy import shown

    server = settings.openai_base_url if settings.backend == "openai" else None
    index = settings.chroma_url if settings.vector_db == "chroma" else None
    return Facts(
        bot=settings.bot_name,
        consent=settings.consent,
        contact=settings.contact,
        retention_days=settings.retention_days,
        training=settings.training_permission_confirmed,
        model_server=shown(server) if server is not None else None,
        vector_server=shown(index) if index is not None else None,
    )


def _examine(place: Place, settings: "Settings", missing: Sequence[str], *, asking: bool) -> None:
    """What the doctor finds, without a word on what is well: settings were written whatever it says."""
    from sususbot.cli.doctor import examined, show

    say("\nsususbot doctor")
    online = asking and not missing and _invited(settings)
    with working("looking at everything"):
        findings = [finding for finding in examined(place, online=online) if finding.state in ("wrong", "warning")]
    for finding in findings:
        show(finding, err=True)
    if missing:
        say(f"   not yet set: {', '.join(missing)}" + ("" if findings else "; all else is well"))
    elif not findings:
        say("   all is well" + ("" if online else "; with --online it asks Discord, too"))


def _invited(settings: "Settings") -> bool:
    """Whether Discord can be asked: yes is only likely where the link was shown."""
    from sususbot.sources.discord_api.identity import looks_right

    linked = settings.discord_token is not None and looks_right(settings.discord_token)
    try:
        return click.confirm("Is the bot on your server now? Then Discord is asked, too", default=linked, err=True)
    except click.Abort:
        say("")
        return False


def _next(settings: "Settings", choice: "Choice", missing: Sequence[str]) -> str:
    """The commands that come now, one a line; as long as something is missing only that."""
    if missing:
        return f"\nNext\n   {'sususbot init':31} adds {' and '.join(missing)}"
    rows = []
    if settings.backend == "recall" and "context_tokens" in choice.values:
        rows.append(("sususbot models download --use", f"the model, {choice.base.size / 1e9:.1f} GB, once"))
    rows += [
        ("sususbot backfill", "the history; or  sususbot import FILES"),
        ("sususbot index", "so that it is found by meaning"),
        ("sususbot chat", "try it here"),
        ("sususbot bot", "live on Discord"),
    ]
    return "\n".join(["\nNext", *(f"   {command:31} {what}" for command, what in rows)])
