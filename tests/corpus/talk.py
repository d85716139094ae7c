"""What the tests of the corpus are made of: members, messages in one line each, an archive of them, a recipe."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sususbot.archive.archive import Archive
from sususbot.corpus.clean import Cleaned, clean
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.segment import Conversation, Linking, segment
from sususbot.messages import Author, Channel, Guild, Message

GUILD = Guild(10, "Tea house")
KITCHEN = Channel(20, GUILD.id, "kitchen")
GARDEN = Channel(21, GUILD.id, "garden")
MIA, TOM, ANA, LEO = (Author(id_, name.lower(), name) for id_, name in enumerate(("Mia", "Tom", "Ana", "Leo"), start=1))
SUSU = Author(9, "sususbot", "Susu", is_bot=True)
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
NOON = 1_700_000_000_000
RECIPE = Recipe(own_name="susu", persona_text="This is the chat of Tea house.", valid_share=0.2)
WORDS = "tea coffee cake rain roses chess books songs bread soup boats hills birds snow trains maps".split()
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def message(at: int, author: Author, text: str, *, channel: Channel = KITCHEN, **more: Any) -> Message:
    """`at` in ms after noon; the id follows from it, as Discord's do."""
    return Message(
        id=more.pop("id", at + 1_000_000 * channel.id),
        channel_id=channel.id,
        author=author,
        created_at=NOON + at,
        content=more.pop("content", text),
        rendered=text,
        **more,
    )


def talk(
    *said: tuple[Author, str], every: int = 20 * SECOND, start: int = 0, channel: Channel = KITCHEN
) -> list[Message]:
    """One message after the other."""
    return [message(start + place * every, *one, channel=channel) for place, one in enumerate(said)]


def small_talk(count: int = 40) -> list[Message]:
    """Talks of three an hour apart, no two alike; Mia has most of the lines."""
    said: list[Message] = []
    for number in range(count):
        word, other = WORDS[number % 16], WORDS[(number // 16 + 3 * number) % 16]
        partner = (TOM, ANA, LEO)[number % 3]
        lines = [
            (partner, f"do you like {word} number {number}?"),
            (MIA, f"I do like {word}"),
            (MIA, f"and {other} even more, {number} times"),
            (partner, f"{other}?! never"),
            (MIA, f"{word} for ever then, nothing is better on a day of {other}"),
        ]
        said += talk(*lines, every=MINUTE, start=number * 2 * HOUR, channel=GARDEN if number % 5 == 0 else KITCHEN)
    return said


def one_cleaned(text: str, **more: Any) -> Cleaned:
    return next(clean([message(0, MIA, text, **more)]))


def conversations(messages: Iterable[Message], linking: Linking | None = None) -> list[list[str]]:
    """The texts of each conversation."""
    return [texts(one) for one in segment(clean(messages), linking)]


def texts(conversation: Conversation) -> list[str]:
    return [line.text for line in conversation.lines]


def archive_of(folder: Path, messages: Sequence[Message], origin: Any = "package") -> Archive:
    archive = Archive(folder)
    for channel in (KITCHEN, GARDEN):
        archive.add_channel(GUILD, channel, origin=origin, seen_at=NOON)
    archive.add(messages, source=archive.add_source(origin, "test"), fetched_at=NOON)
    return archive
