"""Contexts as tests build them: tokens are words, turns a pause apart, hits and messages in one line each."""

from dataclasses import replace

from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.recent import Relevance
from sususbot.memory.sections import CountTokens, Section
from sususbot.memory.surroundings import Hit
from sususbot.messages import Author, Message, Turn
from sususbot.wording.rules import Rewriting

MARCH = 1_709_424_000_000  # 3 Mar 2024
# Longer than what is one thing said.
PAUSE = 600_000
NAMES = {1: "general"}
PERSONA = "A chat among friends."
TOM, EVE, ANA = (Author(id_, name, name) for id_, name in ((12, "tom"), (13, "eve"), (14, "ana")))


def count_words(text: str) -> int:
    return len(text.split())


def builder(
    tokens: int = 400,
    *,
    persona: str = PERSONA,
    count: CountTokens = count_words,
    rewriting: Rewriting | None = None,
    relevance: Relevance | None = None,
) -> ContextBuilder:
    return ContextBuilder(
        persona=persona,
        own_name="susu",
        tokens=tokens,
        count_tokens=count,
        rewriting=rewriting,
        relevance=relevance,
    )


def turn(number: int, text: str = "hello you") -> Turn:
    """Mia's; a pause lies between any two."""
    return Turn("mia", text, MARCH + number * PAUSE, message_id=number, author_id=11)


def soon_after(earlier: Turn, text: str) -> Turn:
    return replace(earlier, text=text, at=earlier.at + 1000, message_id=(earlier.message_id or 0) + 1)


def message(number: int, text: str, author: Author = TOM) -> Message:
    return Message(number, 1, author, MARCH, text, text)


def hit(number: int, text: str = "it was gerald", *around: int, author: Author = TOM) -> Hit:
    one = message(number, text, author)
    others = [message(other, f"around {other}") for other in around]
    return Hit(one, 1.0, {"words": 1.0}, tuple(sorted([one, *others], key=lambda m: m.id)))


def section_of(context: Context, name: str) -> Section:
    return next(section for section in context.sections if section.name == name)


def lines_of(context: Context, name: str) -> tuple[str, ...]:
    return section_of(context, name).lines
