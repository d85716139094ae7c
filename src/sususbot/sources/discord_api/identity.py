"""What a token tells by its looks, and the link that invites its bot. Nothing is asked of Discord.

A token is three parts with dots between; the first is the number of the bot's account, in base64. A bot made since 2017
has the number of its application.
"""

import binascii
from base64 import urlsafe_b64decode
from functools import reduce
from operator import or_
from typing import Final
from urllib.parse import urlencode

from sususbot.sources.discord_api.permissions import NEEDED

PORTAL: Final = "https://discord.com/developers/applications"
_INVITE: Final = "https://discord.com/oauth2/authorize?"
_PARTS: Final = 3
# Rights on the server: what members may use everywhere (user install) is none of this bot's.
_ON_A_SERVER: Final = 0
_LONGEST: Final = 20


def looks_right(token: str) -> bool:
    """Whether it may be a token: by its form alone, and that it tells whose it is."""
    parts = token.split(".")
    whole = len(parts) == _PARTS and all(parts) and token.isascii() and not any(map(str.isspace, token))
    return whole and application_of(token) is not None


def application_of(token: str) -> int | None:
    """Whose token it is; None where it does not tell."""
    first = token.partition(".")[0]
    try:
        number = urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return int(number) if number.isdecimal() and len(number) <= _LONGEST else None


def invite_link(application: int) -> str:
    """Asks for exactly what the bot needs, ready to be opened by who may manage the server."""
    asked = {
        "client_id": application,
        "scope": "bot applications.commands",
        "permissions": reduce(or_, NEEDED),
        "integration_type": _ON_A_SERVER,
    }
    return _INVITE + urlencode(asked)
