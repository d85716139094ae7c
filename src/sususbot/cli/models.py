"""`sususbot models`: base models listed, downloaded and removed.

What a base is and where it comes from is `model/bases` and `model/hub`; a model that is needed goes only with --yes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sususbot.cli.main import Place
from sususbot.cli.output import bar, print_json, say, working

if TYPE_CHECKING:
    from sususbot.model.bases import Fetched, OnDisk
    from sususbot.model.cards import Card
    from sususbot.model.hub import Hub
    from sususbot.settings import Settings

_GB: Final = 1e9
# Settings that may name a model in the data folder.
_NAMING: Final = ("model_path", "adapter_path", "base_model", "embedding_model", "summarization_model")


@click.group("models", invoke_without_command=True, epilog="Example:  sususbot models download")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """Base models: which are there, and which fit this machine's graphics card.

    They come from Hugging Face's hub, or from the mirror that HF_ENDPOINT names; HF_TOKEN is for models that only who
    agreed to terms gets.
    """
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json=as_json)


@models.command("download", epilog="Example:  sususbot models download mistral-7b-q4_k_m")
@click.argument("name", metavar="[NAME | REPO[:FILE]]", required=False)
@click.option("--use", is_flag=True, help="Write into .env what makes the bot use it.")
@click.option("--json", "as_json", is_flag=True, help="Print what is there now as one JSON object.")
@click.pass_obj
def download(place: Place, name: str | None, use: bool, as_json: bool) -> None:
    """Fetch a base model; without a name the one to talk with on this machine's card.

    NAME is one that  sususbot models  lists; REPO is owner/name on the hub, FILE one of its GGUF files or a piece of
    its name (Q4_K_M). Stop and repeat as you like: it goes on where it was. Nothing gets its name before its hash is
    the hub's.
    """
    from sususbot import env_file
    from sususbot.artifacts import MODELS
    from sususbot.cli.folder import load_settings
    from sususbot.model import bases

    settings = load_settings(place)
    if name is None:
        card = _card()
        name = bases.default_for(card.total_bytes if card else None).name
        say(f"{_told(card)}: taking {name}")
    repos, file = bases.parse(name)
    with _hub() as hub:
        with working("asking the hub"):
            repo = bases.found(hub, repos)
        if repo.name != repos[0]:
            say(f"the hub does not give {repos[0]}: taking {repo.name}")
        with bar(f"downloading {repo.name}", quiet=as_json) as progress:

            def told(done: int, of: int) -> None:
                progress.update(done, of, f"{done / _GB:.1f} of {of / _GB:.1f} GB")

            fetched = bases.fetch(hub, repo, file, place.data / MODELS, told)
    missing = {field: value for field, value in _lines(fetched).items() if not _is_set(settings, field, value)}
    if use and missing:
        env_file.set_values(place.env or Path(".env"), {field.lower(): value for field, value in missing.items()})
    if as_json:
        print_json(_as_json(fetched))
        return
    how = "was there, and is what the hub has" if fetched.was_there else "whole and checked"
    click.echo(f"{fetched.path.as_posix()}  {fetched.size / _GB:.1f} GB, {how}")
    if missing:
        say(
            f"{'now' if use else 'next,'} in .env:  "
            + "  ".join(f"{field}={value}" for field, value in missing.items())
        )


@models.command("remove", epilog="Example:  sususbot models remove Mistral-7B-v0.3.Q4_K_M.gguf")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Also what the settings or runs need still.")
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as one JSON object.")
@click.pass_obj
def remove(place: Place, name: str, yes: bool, as_json: bool) -> None:
    """Delete a base model from the data folder, or what came of it so far."""
    from sususbot.artifacts import MODELS
    from sususbot.cli.folder import load_settings
    from sususbot.errors import ModelInUse, ModelNotFound
    from sususbot.messages import joined_names
    from sususbot.model import bases

    settings = load_settings(place)
    there = [base for base in bases.on_disk(place.data / MODELS) if name in (base.name, base.path.name)]
    if not there:
        raise ModelNotFound(f"there is no base model {name} in {place.data / MODELS}:  sususbot models  lists them")
    for base in there:
        used = _naming(settings, base.path)
        needed = _needing(place, base.path)
        if used and not yes:
            raise ModelInUse(f"{base.name} is what {joined_names(used)} names: change that first, or say  --yes")
        if needed and not yes:
            runs = ("run " if len(needed) == 1 else "runs ") + joined_names(needed)
            raise ModelInUse(
                f"the {runs} learned on {base.name}, and going on (--continue, --resume) and merging needs it: say  "
                "--yes  to remove it all the same"
            )
    for base in there:
        bases.remove(base)
    if as_json:
        print_json({"removed": [base.path.name for base in there], "bytes": sum(base.size for base in there)})
        return
    click.echo(f"removed {name}, {sum(base.size for base in there) / _GB:.1f} GB")


# -- the list


def _list(place: Place, *, as_json: bool) -> None:
    from sususbot.artifacts import MODELS
    from sususbot.cli.folder import load_settings
    from sususbot.model import bases

    settings = load_settings(place)
    card = _card()
    default = bases.default_for(card.total_bytes if card else None)
    there = list(bases.on_disk(place.data / MODELS))
    if as_json:
        print_json(
            {
                "card": {"name": card.name, "gb": round(card.gigabytes, 1), "usable": card.usable} if card else None,
                "default": default.name,
                "on_disk": [_entry(place, settings, base) for base in there],
                "known": [
                    {
                        "name": known.name,
                        "kind": known.kind,
                        "gb": round(known.size / _GB, 1),
                        "repos": known.repos,
                        "file": known.file,
                        "about": known.about,
                    }
                    for known in bases.KNOWN
                ],
            }
        )
        return
    click.echo(f"in {(place.data / MODELS).as_posix()}:" + ("" if there else "  none yet"))
    for base in there:
        click.echo(f"  {base.name:32} {base.size / _GB:5.1f} GB  {_state(place, settings, base)}".rstrip())
    for line in _elsewhere(place, settings):
        click.echo(line)
    click.echo("known to be good (what is on a hub may change; any other goes by owner/name):")
    for known in bases.KNOWN:
        mark = f"  <- {'for this machine' if card else 'smallest'}" if known is default else ""
        click.echo(f"  {known.name:20} {known.size / _GB:5.1f} GB  {known.about}{mark}")
    say(f"{_told(card)};  sususbot models download  fetches {default.name}")


def _entry(place: Place, settings: "Settings", base: "OnDisk") -> dict[str, Any]:
    return {
        "name": base.name,
        "path": str(base.path),
        "kind": base.kind,
        "bytes": base.size,
        "whole": base.whole,
        "settings": _naming(settings, base.path),
        "runs": _needing(place, base.path),
    }


def _state(place: Place, settings: "Settings", base: "OnDisk") -> str:
    if not base.whole:
        return "so far: download it again to go on"
    for_ = "for llama.cpp" if base.kind == "gguf" else "to train on"
    used = [*_naming(settings, base.path), *(f"run {name}" for name in _needing(place, base.path))]
    return f"{for_}; used by {', '.join(used)}" if used else for_


def _elsewhere(place: Place, settings: "Settings") -> Iterator[str]:
    """What the settings name that is not in the folder of models."""
    from sususbot.artifacts import MODELS

    home = (place.data / MODELS).resolve()
    for field in ("model_path", "adapter_path"):
        path = getattr(settings, field)
        if path is None or path.expanduser().resolve().is_relative_to(home):
            continue
        size = f"{path.stat().st_size / _GB:.1f} GB" if path.is_file() else "is not there"
        yield f"{field.upper()}={path.as_posix()}  {size}"


# -- who needs what


def _naming(settings: "Settings", base: Path) -> list[str]:
    """The settings that name it, or a file in it."""
    return [field.upper() for field in _NAMING if _is_in(getattr(settings, field), base)]


def _needing(place: Place, base: Path) -> list[str]:
    """The runs that learned on it."""
    import orjson

    from sususbot.artifacts import MANIFEST, RUNS

    needing = []
    for path in sorted((place.data / RUNS).glob(f"*/{MANIFEST}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _is_in(orjson.loads(path.read_bytes())["base"]["folder"], base):
                needing.append(path.parent.name)
    return needing


def _is_in(named: object, base: Path) -> bool:
    """Whether what a setting or a manifest names is this base or lies in it."""
    try:
        return named is not None and Path(str(named)).expanduser().resolve().is_relative_to(base.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _lines(fetched: "Fetched") -> dict[str, str]:
    """What to set to use it."""
    path = fetched.path.as_posix()
    return {"BACKEND": "llamacpp", "MODEL_PATH": path} if fetched.kind == "gguf" else {"BASE_MODEL": path}


def _is_set(settings: "Settings", field: str, value: str) -> bool:
    now = getattr(settings, field.lower())
    return str(now) == value if field == "BACKEND" else _is_in(now, Path(value))


def _as_json(fetched: "Fetched") -> dict[str, Any]:
    return {
        "path": str(fetched.path),
        "kind": fetched.kind,
        "bytes": fetched.size,
        "repo": fetched.repo,
        "commit": fetched.commit,
        "was_there": fetched.was_there,
        "settings": _lines(fetched),
    }


# -- the machine and the hub


def _card() -> "Card | None":
    from sususbot.model.cards import find_cards

    return next(iter(find_cards()), None)


def _told(card: "Card | None") -> str:
    if card is None:
        return "no graphics card was found, so a reply of a model takes many seconds"
    unused = "" if card.usable else " (which the installed llama.cpp leaves alone: docs/serving.md)"
    return f"{card.name}, {card.gigabytes:.0f} GB{unused}"


@contextmanager
def _hub() -> "Iterator[Hub]":
    from sususbot.model.hub import Hub

    hub = Hub.of(os.environ)
    try:
        yield hub
    finally:
        hub.close()
