"""The settings file: read, checked, made, and changed in place.

Settings are read from the environment and from `.env` (the environment wins), by the command line alone, never at
import. All that is wrong is reported together; a name in `.env` that nobody knows is an error, since it would silently
do nothing.
"""

import codecs
import difflib
import errno
import io
import os
import re
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dotenv.parser import Binding, parse_stream
from pydantic import ValidationError

from sususbot.artifacts import sync
from sususbot.errors import SettingsError
from sususbot.in_place import put
from sususbot.settings import Settings

_SECRET: Final = frozenset({"discord_token", "openai_api_key", "hf_token", "web_password"})
# What is read and written again must not change between.
_changing: Final = threading.Lock()
_NOT_UTF8: Final = "is not UTF-8 text: save it as UTF-8 (Notepad: Save as, Encoding)"
# A value that needs no quotes in `.env`.
_PLAIN: Final = re.compile(r"[\w.:/@,|+-]*")

# Fields before which `.env.example` has a heading.
_HEADINGS: Final = {
    "discord_token": "Discord",
    "guild_id": "History",
    "consent": "Privacy",
    "persona": "Corpus",
    "base_model": "Training",
    "backend": "Model",
    "member_rate": "Limits",
    "filter": "Safety",
    "bot_description": "Memory",
    "metrics_port": "Health",
    "eval_replies": "Evaluation",
    "web_host": "Web page",
    "log_level": "Log",
}


def load(env_file: Path | None) -> Settings:
    """The settings. Raises SettingsError with everything that is wrong, in one sentence."""
    if env_file is not None and not env_file.is_file():
        raise SettingsError(f"there is no file {env_file}: check the path after --env")
    path = env_file or Path(".env")
    try:
        encoding = _encoding(path)
        _check_lines(path, encoding)
        return Settings(_env_file=path, _env_file_encoding=encoding)
    except ValidationError as error:
        raise SettingsError(f"{_faults(error)}: mend this in {path} or in the environment") from error
    except UnicodeError as error:
        raise SettingsError(f"{path} {_NOT_UTF8}") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror or error}): let this program read it") from error


def _encoding(path: Path) -> str:
    """As its first bytes have it: what Windows' PowerShell and old Notepads write is read, too."""
    if not path.is_file():
        return "utf-8"
    with path.open("rb") as file:
        begun = file.read(2)
    return "utf-16" if begun in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _check_lines(path: Path, encoding: str) -> None:
    """A line that is no setting would be passed over: the reader only prints a warning."""
    if not path.is_file():
        return
    with path.open(encoding=encoding) as file:
        broken = [line.original.line for line in parse_stream(file) if line.error]
    if broken:
        raise SettingsError(f"line {broken[0]} of {path} is no setting: write it as  NAME=value")


def checked(values: Mapping[str, str]) -> Settings:
    """Settings of these values (by field), the rest as it stands. Raises SettingsError with all that is wrong."""
    try:
        return Settings(_env_file=None, **values)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(f"{_faults(error)}: give it again") from error


def values_in(path: Path) -> dict[str, str]:
    """What a file sets, by field, unchecked and without the environment. Raises SettingsError where it is no text."""
    return {line.key.lower(): line.value for line in _lines(path) if line.key and line.value}


def salvaged(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Of a file in which something may be wrong, by field what can be used, and a sentence for each thing that cannot.

    Those stand by the field, or by the line where that is not known. Raises SettingsError where it is no text.
    """
    there = values_in(path)
    faults = _wrong_among(there)
    for line in _lines(path):
        if line.error:
            faults[line.original.string.strip().lower()] = f"line {line.original.line} is no setting"
    return {name: value for name, value in there.items() if name not in faults}, faults


def _wrong_among(values: Mapping[str, str]) -> dict[str, str]:
    """Whatever else is wrong, in the environment, is not theirs."""
    try:
        Settings(_env_file=None, **values)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = error.errors(include_input=False)
        return {name: _sentence(fault) for fault in faults if (name := str(fault["loc"][0])) in values}
    return {}


def _lines(path: Path) -> list[Binding]:
    try:
        with path.open(encoding=_encoding(path)) as file:
            return list(parse_stream(file))
    except (UnicodeError, OSError) as error:
        raise SettingsError(f"{path} {_NOT_UTF8}") from error


def set_values(path: Path, values: Mapping[str, str]) -> None:
    """Change these (by field) in a settings file and leave every other line as it is; it is put in place whole.

    A file that is not there is made. Raises SettingsError, and changes nothing, for a value that is wrong, and for one
    that the environment has: it would win.
    """
    above = sorted(name.upper() for name in values if name.upper() in os.environ)
    if above:
        raise SettingsError(f"{above[0]} is set in the environment, which wins over {path}: change it there")
    checked({name: value for name, value in values.items() if value})
    # A link stays one.
    path = path.resolve()
    try:
        with _changing:
            text = path.read_bytes().decode(_encoding(path)) if path.is_file() else ""
            for name, value in values.items():
                text = _with(text, name.upper(), value)
            aside = write_aside(path, text)
            if path.exists():
                # A file that holds a new secret from now on may have been for everybody to read.
                private = 0o600 if _SECRET & {name for name, value in values.items() if value} else 0o777
                aside.chmod(stat.S_IMODE(path.stat().st_mode) & private)
            put(aside, path)
    except UnicodeError as error:
        raise SettingsError(f"{path} {_NOT_UTF8}") from error
    except OSError as error:
        step = "make room" if error.errno == errno.ENOSPC else "let this program write it"
        raise SettingsError(f"{path} cannot be written ({error.strerror or error}): {step}") from error


def _with(text: str, name: str, value: str) -> str:
    """A settings file's text with one setting changed: where it is set last, else where it is commented out."""
    end = "\r\n" if "\r\n" in text else "\n"
    setting = f"{name}={_quoted(value)}{end}"
    lines = [line.original.string for line in parse_stream(io.StringIO(text, newline=""))]
    keys = [line.key for line in parse_stream(io.StringIO(text, newline=""))]
    if name in keys:
        place = len(keys) - 1 - keys[::-1].index(name)
        # What the reader takes as part of a setting may begin with the blank lines before it.
        before = re.match(r"\s*", lines[place])
        lines[place] = (before.group() if before else "") + setting
        return "".join(lines)
    commented = re.compile(rf"^#\s*{name}=.*(?:\r?\n|$)", re.MULTILINE)
    if commented.search(text):
        return commented.sub(lambda _: setting, text, count=1)
    return text + ("" if not text or text.endswith("\n") else end) + setting


def write_aside(path: Path, text: str | bytes, *, mode: int = 0o600) -> Path:
    """A file's new text beside it, on the disk, for the caller to put in place. Raises OSError and leaves nothing then.

    Settings hold the token: nobody else may read them, not even for the moment in which they are written.
    """
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            sync(file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    return aside


def filled(values: Mapping[str, str], reasons: Mapping[str, str] | None = None) -> str:
    """A complete `.env`: every setting with its meaning, these values (by field) set, and why where that is known."""
    head = ["# Settings of sususbot. What is commented out keeps the value shown. Keep this file to yourself: it holds"]
    return _listed([*head, "# the token. Written by  sususbot init"], values, reasons or {})


def example() -> str:
    """The text of `.env.example`."""
    head = [
        "# Settings of sususbot. Copy this file to .env and change what you need; what stays commented out keeps",
        "# the value shown. Made from src/sususbot/settings.py by  make docs",
    ]
    return _listed(head, {}, {})


def _listed(head: list[str], values: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    lines = list(head)
    for name, field in Settings.model_fields.items():
        if name in _HEADINGS:
            lines += ["", f"# ---- {_HEADINGS[name]}"]
        default = as_written(field.default)
        setting = f"{name.upper()}={_quoted(values[name])}" if name in values else f"#{name.upper()}={default}"
        why = [f"# {reasons[name]}"] if name in reasons else []
        lines += ["", f"# {field.description}", *why, setting]
    return "\n".join(lines) + "\n"


def as_written(value: Any) -> str:
    """A setting's value as one would write it in `.env`."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def _quoted(value: str) -> str:
    """A value so that reading `.env` gives it back."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


# What pydantic finds, in words for people; in braces what it knows of the limit.
_IN_WORDS: Final = {
    "int_parsing": "write a whole number",
    "float_parsing": "write a number",
    "bool_parsing": "write true or false",
    "literal_error": "choose {expected}",
    "greater_than_equal": "write {ge} or more",
    "greater_than": "write more than {gt}",
    "less_than_equal": "write {le} or less",
    "less_than": "write less than {lt}",
}
_OF_IDS: Final = frozenset({"channel_id", "guild_id", "channels", "owner_ids", "blocked_members"})


def _faults(error: ValidationError) -> str:
    """All that is wrong, each once, without any value: it may be a secret in the wrong place."""
    return "; ".join(dict.fromkeys(_sentence(fault) for fault in error.errors(include_input=False)))


def _sentence(fault: Any) -> str:
    name, kind = str(fault["loc"][0]) if fault["loc"] else "?", fault["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        return f"{name.upper()} is no setting" + (f" (did you mean {near[0].upper()}?)" if near else "")
    if name in _OF_IDS:
        return f"{name.upper()}: write the number that Copy ID in Discord gives (Settings, Advanced, Developer Mode)"
    message = _IN_WORDS.get(kind, "").format(**fault.get("ctx", {})).replace("'", "")
    message = message or fault["msg"].removeprefix("Value error, ")
    return f"{name.upper()}: {message[0].lower()}{message[1:]}"
