"""What a message's bare text and an attachment's bare address tell, where a source says no more."""

import re
from typing import Final

from sususbot.messages import Attachment

_CUSTOM_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")
_MENTION: Final = re.compile(r"<@!?(\d{1,19})>")
_UPLOAD: Final = re.compile(r"/(\d{1,19})/([^/?#]+)(?:[?#]|$)")


def without_emoji_ids(text: str) -> str:
    """`:tea:` for `<:tea:456>`."""
    return _CUSTOM_EMOJI.sub(r"\1", text) if "<" in text else text


def mentioned_ids(text: str) -> tuple[int, ...]:
    """The members a raw text mentions, each once."""
    if "<@" not in text:
        return ()
    ids = dict.fromkeys(map(int, _MENTION.findall(text)))
    return tuple(id_ for id_ in ids if id_ < 1 << 63)


def attachment_at(address: str) -> Attachment:
    """Discord's addresses hold an attachment's id and file name; its size stands nowhere."""
    found = _UPLOAD.search(address)
    if found is None or int(found[1]) >= 1 << 63:
        return Attachment(0, address.rsplit("/", 1)[-1], 0, address)
    return Attachment(int(found[1]), found[2], 0, address)
