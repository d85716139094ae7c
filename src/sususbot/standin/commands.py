"""Application commands as a bot registers them: all of a guild (or all global ones) are replaced at once.

A command that stays the same keeps its id and version. Discord's rules for names, lengths and the order of options are
held, since a bot learns of a broken one only when it registers. Single commands, permissions by command and commands on
members are not modelled.
"""

import re
from typing import Any

from sususbot.standin import errors
from sususbot.standin.errors import form_error
from sususbot.standin.objects import Json
from sususbot.standin.rest import Answer, Call
from sususbot.standin.snowflake import checked_id

_NAME = re.compile(r"[-_'\w]{1,32}")
_SLASH, _ON_MESSAGE = 1, 3
_MOST = {_SLASH: 100, _ON_MESSAGE: 5}
_MOST_OPTIONS = 25
_MOST_CHARACTERS = 100
_OF_SERVER = {"id", "application_id", "version", "guild_id"}


def get_global(call: Call) -> Answer:
    return _listed(call, None)


def put_global(call: Call) -> Answer:
    return _replaced(call, None)


def get_of_guild(call: Call) -> Answer:
    return _listed(call, _guild(call))


def put_of_guild(call: Call) -> Answer:
    return _replaced(call, _guild(call))


def _guild(call: Call) -> int:
    guild_id = checked_id("guild_id", call.params["guild_id"])
    if guild_id != call.world.guild_id:
        raise errors.missing_access()
    return guild_id


def _listed(call: Call, guild_id: int | None) -> Answer:
    _own_application(call)
    return Answer(body=call.world.commands.get(guild_id, []))


def _replaced(call: Call, guild_id: int | None) -> Answer:
    _own_application(call)
    _check_all(call.listed)
    before = {_named(command): command for command in call.world.commands.get(guild_id, [])}
    commands = [_registered(call, guild_id, raw, before.get(_named(raw))) for raw in call.listed]
    call.world.commands[guild_id] = commands
    return Answer(body=commands)


def _own_application(call: Call) -> None:
    if call.params["application_id"] != str(call.world.application_id):
        raise errors.unknown_application()


def _registered(call: Call, guild_id: int | None, raw: Json, before: Json | None) -> Json:
    command = {
        "type": _SLASH,
        "description": "",
        "default_member_permissions": None,
        "nsfw": False,
        "contexts": None,
        "integration_types": [0],
        **{key: value for key, value in raw.items() if value is not None and key not in _OF_SERVER},
    }
    for key in ("name_localizations", "description_localizations"):
        command.setdefault(key, None)
    if command["default_member_permissions"] is not None:
        command["default_member_permissions"] = str(command["default_member_permissions"])
    if guild_id is not None:
        command["guild_id"] = str(guild_id)
    if before is not None and command == {k: v for k, v in before.items() if k not in _OF_SERVER - {"guild_id"}}:
        return before
    id_ = before["id"] if before is not None else str(call.world.next_id())
    return command | {"id": id_, "application_id": call.params["application_id"], "version": str(call.world.next_id())}


def _check_all(commands: list[Any]) -> None:
    names = [_check(number, command) for number, command in enumerate(commands)]
    if any(sum(kind == one for one, _ in names) > most for kind, most in _MOST.items()):
        raise form_error("_errors", "APPLICATION_COMMAND_LIMIT", "Maximum number of commands reached.")
    if len(set(names)) < len(names):
        raise form_error("name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")


def _named(command: Json) -> tuple[int, str]:
    """Names are given once for each kind."""
    return command.get("type") or _SLASH, command["name"]


def _check(number: int, command: Any) -> tuple[int, str]:
    if not isinstance(command, dict) or command.get("type", _SLASH) not in _MOST:
        raise form_error(f"{number}.type", "BASE_TYPE_CHOICES", "This kind of command is not modelled here.")
    if command.get("type") == _ON_MESSAGE:
        _check_menu(number, command)
        return _named(command)
    _check_name(f"{number}.name", command.get("name"))
    _check_description(f"{number}.description", command.get("description"))
    options = command.get("options") or []
    if len(options) > _MOST_OPTIONS:
        raise form_error(f"{number}.options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    optional = False
    for place, option in enumerate(options):
        where = f"{number}.options.{place}"
        _check_name(f"{where}.name", option.get("name"))
        _check_description(f"{where}.description", option.get("description"))
        if option.get("required") and optional:
            message = "Required options must be placed before non-required options"
            raise form_error(where, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional = optional or not option.get("required")
    return _named(command)


def _check_menu(number: int, command: Json) -> None:
    """What stands in a message's menu is a name and no more."""
    name = command.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 32:
        raise form_error(f"{number}.name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    if command.get("description") or command.get("options"):
        message = "Context menu commands cannot have description"
        raise form_error(f"{number}.description", "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION", message)


def _check_name(field: str, name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.lower():
        raise form_error(field, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_description(field: str, text: Any) -> None:
    if not isinstance(text, str) or not 1 <= len(text) <= _MOST_CHARACTERS:
        raise form_error(field, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {_MOST_CHARACTERS} in length.")
