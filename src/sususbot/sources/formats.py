"""Which format a file is in: told by its content, never by its name. The order of `FORMATS` matters."""

from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

from sususbot.errors import NotAnExport
from sususbot.sources.byte_stream import ByteStream
from sususbot.sources.source import Source

# What a user calls a format, and the class that reads it. The first that recognises the file's beginning has it: CSV
# says what it is in its first line, JSON lines in any of the first; what an exporter's JSON begins with is told last.
FORMATS: Final = {
    "DiscordChatExporter CSV": "sususbot.sources.csv_export:CsvExport",
    "JSON lines (a dump, or API messages)": "sususbot.sources.json_lines:JsonLines",
    "DiscordChatExporter JSON": "sususbot.sources.discord_export:DiscordExport",
    "Discord's data package (zip)": "sususbot.sources.data_package:DataPackage",
}
_HEAD: Final = 1 << 18


class Format(Protocol):
    """The class of a source."""

    def recognises(self, head: bytes) -> bool:
        """Whether an unpacked file that begins so is in this format."""

    def open(self, path: Path) -> Source:
        """Raises NotAnExport when it is not, after all."""


def open_source(path: Path) -> Source:
    """The source that reads a file. Raises NotAnExport."""
    try:
        head = _head(path)
        for place in FORMATS.values():
            format_ = _format(place)
            if format_.recognises(head):
                return format_.open(path)
    except OSError as error:
        raise NotAnExport(f"{path} cannot be read ({error.strerror or error}): check the path") from error
    raise NotAnExport(
        f"{path} is in none of the formats that can be imported ({', '.join(FORMATS)}): export again as JSON "
        "(DiscordChatExporter: --format Json)"
    )


def _head(path: Path) -> bytes:
    head = b""
    with ByteStream(path) as stream:
        while len(head) < _HEAD and (chunk := stream.read()):
            head += chunk
    return head[:_HEAD]


def _format(place: str) -> Format:
    module, _, name = place.partition(":")
    found: Format = getattr(import_module(module), name)
    return found
