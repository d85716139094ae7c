"""How things look in DiscordChatExporter's JSON: messages, emoji, authors, references, a whole file.

Not here: what is said (`src/`), and how that is read (`build.py`).
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

DISCORD_EPOCH_MS: Final = 1_420_070_400_000
GUILD: Final = {
    "id": "820019346037278789",
    "name": "The Leaky Kettle",
    "iconUrl": "https://cdn.discordapp.com/embed/avatars/0.png",
}
EXPORTED: Final = "2025-11-10T08:02:11.204+00:00"
CUSTOM_EMOJI: Final = {
    "gerald": "977636033115980077",
    "invoice": "1302300000000000131",
    "turnip": "1297670000000000212",
    "flamingaz": "1306600000000000377",
}
EMOJI: Final = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2615]\ufe0f?")


def snowflake(ms: int, low: int) -> str:
    return str((ms - DISCORD_EPOCH_MS << 22) + low)


def message(
    ms: int, low: int, author: Json, text: str, type_: str, others: Mapping[str, Json], emoji: Mapping[str, Json]
) -> Json:
    """`others` are authors by nickname, for mentions; `emoji` those that were seen before, by name."""
    drawn = [*EMOJI.findall(text), *(f":{one}:" for one in re.findall(r":(\w+):", text) if one in CUSTOM_EMOJI)]
    called = dict.fromkeys(re.findall(r"@(\w+)", text))
    return {
        "id": snowflake(ms, low),
        "type": type_,
        "timestamp": iso(ms),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": text,
        "author": author,
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [others[name] for name in called if name in others],
        "inlineEmojis": [look(one, emoji) for one in dict.fromkeys(drawn)],
    }


def look(name: str, known: Mapping[str, Json]) -> Json:
    """An emoji: `:gerald:` is the server's own."""
    if name.startswith(":"):
        plain = name.strip(":")
        url = f"https://cdn.discordapp.com/emojis/{CUSTOM_EMOJI[plain]}.png"
        return {"id": CUSTOM_EMOJI[plain], "name": plain, "code": plain, "isAnimated": False, "imageUrl": url}
    if name in known:
        return known[name]
    code = unicodedata.name(name[0], "emoji").lower().replace(" ", "_").replace("-", "_")
    points = "-".join(f"{ord(one):x}" for one in name if one != "\ufe0f")
    url = f"https://cdn.jsdelivr.net/gh/twitter/twemoji@latest/assets/svg/{points}.svg"
    return {"id": "", "name": name, "code": code, "isAnimated": False, "imageUrl": url}


def reference(message_id: str, channel_id: str) -> Json:
    return {"type": "Default", "messageId": message_id, "channelId": channel_id, "guildId": GUILD["id"]}


def export(channel: Json, messages: list[Json]) -> Json:
    for one in messages:
        if "reference" in one:
            # As the exporter has it: after the reference.
            one["inlineEmojis"] = one.pop("inlineEmojis")
    return {
        "guild": GUILD,
        "channel": channel,
        "dateRange": {"after": None, "before": None},
        "exportedAt": EXPORTED,
        "messages": sorted(messages, key=lambda one: int(one["id"])),
        "messageCount": len(messages),
    }


def author(person: Json) -> Json:
    """Somebody who came after the first messages, as an export shows them."""
    return {
        "id": person["id"],
        "name": person["name"],
        "discriminator": "0000",
        "nickname": person["display_name"],
        "color": person["color"],
        "isBot": False,
        "roles": person["roles"],
        "avatarUrl": f"https://cdn.discordapp.com/embed/avatars/{person['avatar']}.png",
    }


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def ms_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: object, indent: int) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8", newline="\n")
