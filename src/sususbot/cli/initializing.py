"""`sususbot init`: settings for a new server, the notice for its members, and its privacy policy."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sususbot.cli.main import Place
from sususbot.cli.output import say

if TYPE_CHECKING:
    from sususbot.notice import Facts
    from sususbot.settings import Settings

_MODES = ("opt-out", "opt-in", "all")
POLICY: Final = "PRIVACY.md"
# Of a card, what weights may take so that a context finds room beside them.
_WHOLE: Final = 0.8
# Of a card, for the smallest VRAM_PRESET; a card that is sold with 8 GB has a little less.
_TRAINABLE: Final = 7.5 * 2**30

# Setting -> what is asked for on a terminal. An empty answer leaves it out.
_QUESTIONS: Final = {
    "discord_token": "The bot's token (developer portal, Bot page; not shown)",
    "channel_id": "The id of the channel it lives in (right-click it, Copy Channel ID)",
    "guild_id": "The id of the server (right-click its name, Copy Server ID)",
    "consent": "What a member's silence means: opt-out (a yes), opt-in (a no), all (everybody agreed)",
    "retention_days": "Days until words are erased (empty: kept)",
    "contact": "Whom members turn to, as they know you on Discord",
    "bot_name": "The name the bot speaks under",
}


@click.command(
    "init", epilog="Example:  sususbot init --channel 1213800000000000000 --consent opt-in --contact @mia --yes"
)
@click.option("--token", "discord_token", metavar="TOKEN", help="The bot's token; better typed when asked for.")
@click.option("--channel", "channel_id", metavar="ID", help="The channel it lives in.")
@click.option("--guild", "guild_id", metavar="ID", help="The server.")
@click.option("--consent", type=click.Choice(_MODES), help="What a member's silence means.")
@click.option("--retention-days", metavar="DAYS", help="Words older than that are erased.")
@click.option("--contact", metavar="NAME", help="Whom members turn to.")
@click.option("--bot-name", metavar="NAME", help="The name the bot speaks under.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given keeps its default.")
@click.option("--force", is_flag=True, help="Write .env and PRIVACY.md anew where they are there already.")
@click.pass_obj
def init(place: Place, /, yes: bool, force: bool, **given: str | None) -> None:
    """Write .env and PRIVACY.md, and print the notice for your server.

    What is there already stays as it is; then this prints the notice of those settings again.
    """
    from sususbot import env_file
    from sususbot.notice import notice, policy

    path = place.env or Path(".env")
    values = {name: value for name, value in given.items() if value is not None}
    if path.is_file() and not force:
        settings = _as_it_stands(path, values)
        say(f"{path} is there and stays as it is (--force writes it anew)")
    else:
        if not yes and sys.stdin.isatty():
            values |= _asked(values)
        values = {name: value.strip() for name, value in values.items() if value.strip()}
        settings = env_file.checked(values)
        _write_private(path, env_file.filled(values))
        say(f"wrote {path}, readable by you alone")
        _note_token(settings)
    _make_private(place.data)
    _write_policy(path.with_name(POLICY), policy(_facts(settings)), force=force)
    say(_gpu())
    say("the notice for your server, to be posted and pinned where all members read it:\n")
    click.echo(notice(_facts(settings)), nl=False)
    say(f"\n{_next(settings)}")


def _as_it_stands(path: Path, values: dict[str, str]) -> "Settings":
    """The settings of a file that is not to be changed. Raises SettingsError where other values were asked for."""
    from sususbot import env_file
    from sususbot.errors import SettingsError

    settings = env_file.load(path)
    wanted = env_file.checked(values)
    other = [name.upper() for name in values if getattr(wanted, name) != getattr(settings, name)]
    if other:
        raise SettingsError(
            f"{path} is there already with another {', '.join(other)}: change it there, or write it anew with --force"
        )
    return settings


def _asked(values: dict[str, str]) -> dict[str, str]:
    """What the owner types. Empty answers are kept, so that nothing is asked twice."""
    from sususbot import env_file
    from sususbot.errors import SettingsError
    from sususbot.settings import Settings

    answers: dict[str, str] = {}
    for name, question in _QUESTIONS.items():
        default = Settings.model_fields[name].default
        while name not in values and name not in answers:
            answer = click.prompt(
                question,
                default="" if default is None else str(default),
                show_default=default is not None,
                hide_input=name == "discord_token",
                err=True,
            ).strip()
            try:
                env_file.checked({name: answer} if answer else {})
            except SettingsError as error:
                say(str(error))
                continue
            answers[name] = answer
    return answers


def _write_private(path: Path, text: str) -> None:
    """All of it or nothing, and never readable by others, not even for a moment."""
    from sususbot.env_file import write_aside
    from sususbot.errors import SettingsError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = write_aside(path, text)
        if path.is_file():
            path.replace(path.with_name(f"{path.name}.old"))
            say(f"the old one is now {path}.old")
        aside.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}): choose another place with --env") from error


def _make_private(folder: Path) -> None:
    """The data folder, for its owner alone, where it is not there yet."""
    from sususbot.errors import ArchiveError

    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be made ({error.strerror}): choose another --data") from error


def _write_policy(path: Path, text: str, *, force: bool) -> None:
    from sususbot.errors import SettingsError

    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            say(f"{path} is there and says what these settings say")
        elif path.exists() and not force:
            say(f"{path} is there, says something else than these settings, and stays so (--force writes it anew)")
        else:
            path.write_text(text, encoding="utf-8")
            say(f"wrote {path}: read it, mend it, publish it, and link it in the developer portal")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be written: move it away and run the same command again") from error


def _facts(settings: "Settings") -> "Facts":
    from sususbot.notice import Facts

    return Facts(
        bot=settings.bot_name,
        consent=settings.consent,
        contact=settings.contact,
        retention_days=settings.retention_days,
        training=settings.training_permission_confirmed,
        model_server=settings.openai_base_url if settings.backend == "openai" else None,
    )


def _note_token(settings: "Settings") -> None:
    token = settings.discord_token
    if token is not None and (token.count(".") != 2 or any(character.isspace() for character in token)):
        say("the token does not look like Discord's (three parts with dots between): check DISCORD_TOKEN")


def _next(settings: "Settings") -> str:
    missing = [name.upper() for name in ("discord_token", "channel_id") if getattr(settings, name) is None]
    if missing:
        return f"next: put {' and '.join(missing)} into .env; for the history,  sususbot import FILE"
    return "next:  sususbot backfill  or  sususbot import FILE"


def _gpu() -> str:
    """What graphics card there is, and what that means."""
    from sususbot.model.bases import default_for
    from sususbot.model.cards import find_cards

    card = next(iter(find_cards()), None)
    if card is None:
        return "no graphics card found: the bot runs without (BACKEND=recall; a model takes many seconds for a reply)"
    base = default_for(card.total_bytes)
    room = "room for all layers" if base.size < _WHOLE * card.total_bytes else "room for some of the layers"
    training = "and to train one" if card.total_bytes >= _TRAINABLE else "but it is too small to train one on"
    return (
        f"{card.name}, {card.gigabytes:.0f} GB: {room} of a model that talks ({base.name}: set BACKEND=llamacpp, and  "
        f"sususbot models download  fetches it), {training}"
    )
