"""What the tests of evaluation are made of: months of a small server's talk, a corpus of it, and systems over both.

`Counting` is no mock of a model but a small one of its own: bytes by the few bytes before them, counted in what it was
shown and in the prompt.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sususbot.archive.archive import Archive
from sususbot.corpus.build import build
from sususbot.corpus.manifest import Corpus
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.tokens import Estimate
from sususbot.errors import BackendFailed
from sususbot.evaluation.ground import Exchange, Ground, System, whole_bot
from sususbot.evaluation.heldout import Opened, open_ground
from sususbot.evaluation.replies import Said
from sususbot.memory.context import Context, ContextBuilder
from sususbot.memory.embedding import Embedder
from sususbot.memory.indexing import index
from sususbot.memory.lines import RememberedLines
from sususbot.messages import DISCORD_EPOCH_MS, REPLY_TYPE, Author, Channel, Guild, Message
from sususbot.model.backend import Backend, Deadline, Sampling, Usage
from sususbot.model.recall import Recall
from sususbot.model.scoring import Scored
from sususbot.model.scripted import Scripted
from tests.memory.chat import WordEmbedder

GUILD: Final = Guild(10, "Tea house")
KITCHEN: Final = Channel(20, GUILD.id, "kitchen")
GARDEN: Final = Channel(21, GUILD.id, "garden")
MIA, TOM, ANA, LEO = (Author(id_, name.lower(), name) for id_, name in enumerate(("Mia", "Tom", "Ana", "Leo"), start=1))
BEGIN: Final = 1_700_000_000_000
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
TALKS: Final = 160
PERSONA: Final = "This is the chat of Tea house."
SEED: Final = 5

THINGS: Final = (
    "kettle ladle sieve whisk teapot spoon grater funnel apron toaster rake spade hose lantern hammock trellis barrow "
    "shears compost birdbath printer router keyboard monitor cable battery charger speaker camera tripod violin drum "
    "trumpet banjo cello flute harp accordion tambourine triangle pumpkin turnip parsnip radish fennel celery spinach "
    "lentil walnut almond puzzle domino marble kite yoyo frisbee juggler origami easel crayon blanket pillow curtain "
    "carpet ladder"
).split()
PLACES: Final = "attic cellar porch shed hallway balcony pantry garage stairs closet".split()
_ASKED: Final = (
    "has anybody seen the {thing} since {day}?",
    "who borrowed my {thing} from the {place}?",
    "is the {thing} still broken, or did someone mend it by {day}?",
    "what should we do with the old {thing} in the {place}",
)
_ANSWERED: Final = (
    "the {thing} is in the {place}, behind the {other}",
    "i lent the {thing} to the neighbours until {day}",
    "that {thing} was never any good, take the {other} instead",
    "look for the {thing} under the {other}, i left it in the {place}",
    "we sold the {thing} on {day} for {number} euros",
)
_DAYS: Final = "monday tuesday wednesday thursday friday saturday sunday".split()


def history() -> list[Message]:
    """Talks of three to six lines, a day and some hours apart; each member writes in a way of their own."""
    said: list[Message] = []
    for number in range(TALKS):
        chance = random.Random(number)
        words = {
            "thing": THINGS[(number * 11) % len(THINGS)],
            "other": THINGS[(number * 29 + 7) % len(THINGS)],
            "place": chance.choice(PLACES),
            "day": chance.choice(_DAYS),
            "number": str(chance.randint(2, 99)),
        }
        speakers = chance.sample((MIA, TOM, ANA, LEO), 2 + number % 2)
        at = BEGIN + number * (DAY + 5 * HOUR)
        channel = (KITCHEN, KITCHEN, GARDEN)[number % 3]
        asked: Message | None = None
        for place in range(3 + number % 4):
            templates = _ASKED if place == 0 else _ANSWERED
            text = in_the_way_of(speakers[place % len(speakers)], chance.choice(templates).format(**words), chance)
            at += chance.randint(20, 90) * 1000
            one = message(at, speakers[place % len(speakers)], text, channel, asked if place == 1 else None)
            asked = one
            said.append(one)
    return said


def in_the_way_of(author: Author, text: str, chance: random.Random) -> str:
    """Mia has no capitals and laughs, Tom writes as in a letter, Ana shouts, Leo is short of vowels."""
    if author == MIA:
        return f"{text} {chance.choice(('hehe', 'lol', '😂', 'hihi'))}"
    if author == TOM:
        return f"Well, {text[0].upper()}{text[1:].rstrip('?')}{'?' if text.endswith('?') else '.'}"
    if author == ANA:
        return f"{text.upper()}!!"
    return text.replace("the ", "da ").replace("you", "u") + " tbh"


def message(
    at: int, author: Author, text: str, channel: Channel = KITCHEN, answers: Message | None = None, **more: Any
) -> Message:
    """Its id is made of its time, as Discord's are."""
    return Message(
        id=(at - DISCORD_EPOCH_MS) << 22,
        channel_id=channel.id,
        author=author,
        created_at=at,
        content=text,
        rendered=text,
        type=REPLY_TYPE if answers else 0,
        reply_to=answers.id if answers else None,
        **more,
    )


def fill(archive: Archive, messages: Sequence[Message]) -> None:
    for channel in (KITCHEN, GARDEN):
        archive.add_channel(GUILD, channel, origin="package", seen_at=BEGIN)
    archive.add(messages, source=archive.add_source("package", "test"), fetched_at=BEGIN)


def corpus_of(archive: Archive, folder: Path, *, valid_share: float = 0.4, **recipe: Any) -> Corpus:
    """A corpus by the real rules, with much held out."""
    made = Recipe(own_name="susu", persona_text=PERSONA, valid_share=valid_share, **recipe)
    return build(archive, folder, made, Estimate()).corpus


@contextmanager
def ground_of(
    folder: Path, *, embedder: Embedder | None = None, limit: int = 60, seed: int = SEED, **recipe: Any
) -> Iterator[Ground]:
    """Archive, corpus and all in a folder that is empty; with an embedder, its vectors are made first."""
    with Archive(folder / "data") as archive:
        fill(archive, history())
        if embedder is not None:
            index(archive, embedder)
        corpus = corpus_of(archive, folder / "corpus", **recipe)
        opened = Opened(embedder)
        with open_ground(corpus, archive, folder / "past", limit=limit, seed=seed, opened=opened) as ground:
            yield ground


def words_embedder() -> WordEmbedder:
    return WordEmbedder(dimensions=512)


@contextmanager
def system_of(ground: Ground, backend: Backend, name: str = "tested", *, tokens: int = 900) -> Iterator[System]:
    """The whole bot around a backend, over a ground."""
    sampling = Sampling(temperature=0.0, max_new_tokens=60, seed=ground.seed)
    context = ContextBuilder(
        persona=ground.persona, own_name=ground.own_name, tokens=tokens, count_tokens=backend.count_tokens
    )
    with whole_bot(name, ground, backend, context, sampling, deadline=60) as system:
        yield system


def recall(ground: Ground) -> Recall:
    return Recall(RememberedLines(ground.long_term))


def replies_of(texts: Mapping[int, str], exchanges: Sequence[Exchange]) -> list[Said]:
    """Replies that were made elsewhere, by the exchange's id; nothing where there is none."""
    nothing = Context("", (), (), (), ())
    return [Said(one, nothing, texts.get(one.id, ""), Usage(), 0.1, 0.05) for one in exchanges]


def unheard(_sentence: str) -> None:
    """Hears what is done now."""


class Counting(Scripted):
    """A backend that says what it is told to, and knows how likely a text is: a token is a byte.

    Orders up to `reach` are mixed, each by how often its context was seen (Witten-Bell); 0 looks at no context at all.
    """

    def __init__(self, shown: str = "", *, reach: int = 5, lines: Sequence[str] = ("hm",)) -> None:
        super().__init__(lines)
        self._reach = reach
        self._shown = self._counted(shown.encode(errors="replace"), 0)
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        self.asked.append((prompt, tuple(texts)))
        before = prompt.encode(errors="replace")
        read = self._counted(before, 0)
        scored = []
        for text in texts:
            if deadline.over():
                raise BackendFailed("its time is over: give it more")
            said = text.encode(errors="replace")
            whole = before + said
            nats = sum(math.log(self._chance(whole, place, read)) for place in range(len(before), len(whole)))
            scored.append(Scored(nats, len(said)))
        return scored

    def _counted(self, text: bytes, begin: int) -> list[dict[bytes, Counter[int]]]:
        counts: list[dict[bytes, Counter[int]]] = [{} for _ in range(self._reach + 1)]
        for place in range(begin, len(text)):
            for order in range(min(place, self._reach) + 1):
                counts[order].setdefault(text[place - order : place], Counter())[text[place]] += 1
        return counts

    def _chance(self, text: bytes, place: int, read: list[dict[bytes, Counter[int]]]) -> float:
        chance = 1 / 256
        for order in range(min(place, self._reach) + 1):
            context = text[place - order : place]
            for counts in (self._shown[order], read[order]):
                if (seen := counts.get(context)) is not None:
                    all_, kinds = seen.total(), len(seen)
                    chance = (seen[text[place]] + kinds * chance) / (all_ + kinds)
        return chance
