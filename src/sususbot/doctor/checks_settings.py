"""Checks of the settings: whether they can be read, the token's form, how long words are kept, what they need."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sususbot.artifacts import LOGS, MANIFEST, RUNS
from sususbot.doctor.checks_machine import Need
from sususbot.doctor.findings import Finding, ok, skipped, told_by, warning, wrong
from sususbot.errors import SettingsError, SususError
from sususbot.memory.embedding import find_model
from sususbot.memory.static import is_static
from sususbot.proxy import proxy_for, shown
from sususbot.settings import Settings
from sususbot.sources.discord_api.identity import looks_right

_PROXY_SECONDS: Final = 3.0
# Of an id of Discord's.
_DIGITS: Final = range(17, 21)
_TORCH: Final = ("torch", "transformers")


def read(load: Callable[[], Settings]) -> tuple[Settings | None, Finding]:
    """The settings, where they can be had."""
    try:
        settings = load()
    except SettingsError as error:
        return None, told_by("settings", error)
    return settings, ok("settings", "the settings can be read and are valid")


def token(settings: Settings) -> Finding:
    """By its form alone; of the token nothing is shown."""
    value = settings.discord_token
    if value is None:
        return skipped("token", "DISCORD_TOKEN is not set", "sususbot init says where to find it, and keeps it")
    if not looks_right(value):
        return wrong(
            "token",
            "DISCORD_TOKEN does not look like Discord's: three parts with dots between, the first is its bot's number",
            "copy it anew from the developer portal's Bot page (Reset Token)",
        )
    return ok("token", "DISCORD_TOKEN is set and looks like one")


def proxy(discord: str) -> Finding:
    """By which way Discord is reached, as the environment and the system say. No password is shown."""
    try:
        address = proxy_for(discord)
    except SettingsError as error:
        return told_by("proxy", error)
    if address is None:
        return ok("proxy", "Discord is reached without a proxy")
    place = urlsplit(address)
    if not _answers(place.hostname or "", place.port or 80):
        told = f"the proxy {shown(address)}, by which Discord is to be reached, does not answer"
        return wrong(
            "proxy", told, "start it, or correct or unset HTTPS_PROXY (NO_PROXY=discord.com,discord.gg spares it)"
        )
    return ok("proxy", f"Discord is reached by the proxy {shown(address)}")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _PROXY_SECONDS).close()
    except OSError:
        return False
    return True


def channel(settings: Settings) -> Finding:
    if settings.channel_id is None:
        return skipped("channel", "CHANNEL_ID is not set", "sususbot init says where to find it, and keeps it")
    if len(str(settings.channel_id)) not in _DIGITS:
        told = f"CHANNEL_ID={settings.channel_id} is none of Discord's: ids have 17 to 20 digits"
        return warning("channel", told, "right-click the bot's channel, Copy Channel ID, into .env")
    return ok("channel", f"CHANNEL_ID is {settings.channel_id}")


def retention(settings: Settings) -> Finding:
    days = settings.retention_days
    if days is None:
        return ok("retention", "what members wrote is kept until they are forgotten (RETENTION_DAYS is not set)")
    return ok("retention", f"what is older than {days:,} days is erased by the next command")


def log(settings: Settings, data: Path) -> list[Finding]:
    """`forget` reaches the data folder, and nothing outside of it."""
    found = []
    if settings.log_file is None:
        found.append(ok("log", "the log goes to the console alone (LOG_FILE is not set)"))
    elif settings.log_file.resolve().is_relative_to(data.resolve()):
        found.append(ok("log", f"the log is in {settings.log_file}, where  forget  reaches it"))
    else:
        found.append(
            warning(
                "log",
                f"{settings.log_file} is outside the data folder, where  forget  does not reach it",
                f"set LOG_FILE={data / LOGS / 'bot.jsonl'}",
            )
        )
    if settings.log_content:
        found.append(
            warning(
                "log",
                "LOG_CONTENT=true: what members ask is in the log",
                "set it to false once you have seen what you were looking for",
            )
        )
    return found


def needs(settings: Settings, data: Path) -> list[Need]:
    """What of the settings and of the data folder asks for packages."""
    found = []
    if settings.backend == "transformers":
        found.append(Need("BACKEND=transformers", "train", (*_TORCH, "peft")))
    if settings.vector_db == "chroma":
        found.append(Need("VECTOR_DB=chroma", "chroma", ("chromadb",)))
    if settings.summarizer == "bart":
        found.append(Need("SUMMARIZER=bart", "embed", _TORCH, "the talk before is told by its most telling lines"))
    if any((data / RUNS).glob(f"*/{MANIFEST}")):
        found.append(Need("training", "train", (*_TORCH, "peft", "gguf"), "what was trained cannot be gone on with"))
    return found


def embedder(settings: Settings, made_by: str | None, models: Path) -> Finding:
    """Whether what search by meaning needs is found; `made_by` is what made the vectors that are there."""
    name = "embedder"
    if settings.embedder == "static" or (settings.embedder == "auto" and made_by is not None and is_static(made_by)):
        tables = sorted(path.name for path in models.glob("static-*.npz"))
        if tables:
            return ok(name, f"the table {tables[0]} is there")
    try:
        folder = find_model(settings.embedding_model)
    except SususError as error:
        fault = told_by(name, error)
        return warning(name, f"{fault.sentence}: search goes by words alone", fault.step)
    return ok(name, f"{settings.embedding_model} is in {folder}")
