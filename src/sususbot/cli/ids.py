"""Ids of Discord as flags and arguments: their form, and where to find one. Nobody is asked whether it exists."""

import re
from typing import Final

import click

FORM: Final = "ids have 17 to 20 digits"
WHERE: Final = "copy it in Discord (Settings, Advanced, Developer Mode; then right-click, Copy ID)"
_ID: Final = re.compile(r"\d{17,20}", re.ASCII)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text.strip()) is not None


class DiscordId(click.ParamType):  # type: ignore[type-arg]  # older ones are not generic
    """What was typed instead is not repeated: it may be the token."""

    name = "id"

    def __init__(self, where: str = WHERE) -> None:
        self._where = where

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if is_id(str(value)):
            return int(value)
        called = param.opts[0] if isinstance(param, click.Option) else "that"
        raise click.UsageError(f"{called} is no id, {FORM}: {self._where}", ctx)
