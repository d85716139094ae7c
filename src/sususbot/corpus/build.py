"""Archive to corpus: gather conversations, plan over their sizes, write samples in the order of time.

Neither pass holds the messages in memory: conversations go to a nameless temporary file, gone with the process, and
only their sizes and signatures stay. The same archive and settings give the same bytes.
"""

import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sususbot import __version__
from sususbot.archive.archive import Archive, now_ms
from sususbot.archive.long_pass import collector_at_rest
from sususbot.chat_format import Names
from sususbot.corpus import near, plan
from sususbot.corpus.gather import ACROSS, REPEATED, Gathering, Progress, Stored
from sususbot.corpus.manifest import FORMAT, TRAIN, VALID, Corpus, Writer
from sususbot.corpus.recipe import Recipe
from sususbot.corpus.samples import Play, Shape, sample
from sususbot.corpus.tally import Tally
from sususbot.corpus.tokens import TokenCounter
from sususbot.errors import CorpusEmpty, CorpusNotWritten, SettingsError


@dataclass(frozen=True, slots=True)
class Built:
    """A finished corpus, and what became of all messages on the way."""

    corpus: Corpus
    tally: Tally
    left_out: dict[str, int]


def build(
    archive: Archive, folder: Path, recipe: Recipe, counter: TokenCounter, progress: Progress = lambda _done: None
) -> Built:
    """Make the corpus in `folder` anew; where this raises, the old one stays.

    Raises CorpusEmpty, CorpusNotWritten, SettingsError, and ArchiveLocked where another program writes all the time.
    """
    persona_tokens = counter.count([f"{recipe.persona_text.strip()}\n\n"])[0]
    if persona_tokens > recipe.sample_tokens // 2:
        raise SettingsError(
            f"BOT_DESCRIPTION takes {persona_tokens:,} of the {recipe.sample_tokens:,} tokens of a sample and leaves "
            "too few for talk: shorten it, or raise SAMPLE_TOKENS"
        )
    shape = Shape(recipe.sample_tokens, recipe.others_weight, recipe.linking.run_ms, persona_tokens)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        wishes, begun = _wishes(archive), now_ms()
        with tempfile.TemporaryFile(dir=folder.parent) as scratch, collector_at_rest():
            gathering = Gathering(archive, recipe, counter, shape, scratch)
            building = _Building(archive, folder, recipe, counter, shape, gathering, wishes, begun)
            return building.build(gathering.gather(progress))
    except OSError as error:
        raise CorpusNotWritten(
            f"the corpus could not be written to {folder} ({error.strerror or error}): free some space there, and let "
            f"only one build of it run at a time"
        ) from error


def _wishes(archive: Archive) -> int:
    """How often something was to be forgotten. Raises CorpusNotWritten where it still is in the archive."""
    count, left = archive.erasure.wishes()
    if left:
        raise _forgotten()
    return count


def _forgotten() -> CorpusNotWritten:
    return CorpusNotWritten(
        "the corpus was not written, for something was forgotten meanwhile, or deleted on Discord, or is not taken "
        "away yet, and it may hold it: run  sususbot build  again"
    )


class _Building:
    """From conversations to files."""

    def __init__(
        self,
        archive: Archive,
        folder: Path,
        recipe: Recipe,
        counter: TokenCounter,
        shape: Shape,
        gathering: Gathering,
        wishes: int,
        begun: int,
    ) -> None:
        self._archive = archive
        self._folder = folder
        self._recipe = recipe
        self._counter = counter
        self._shape = shape
        self._gathering = gathering
        self._wishes = wishes
        self._begun = begun
        self._messages = array("q")
        names = {id_: (author.display_name, author.name) for id_, author in gathering.accounts.items()}
        self._names = Names(names, recipe.own_name)

    def build(self, stored: list[Stored]) -> Built:
        left_out = self._gathering.left_out
        again = near.repeats([one.signature for one in stored])
        left_out[REPEATED] = sum(stored[place].messages for place in again)
        kept = [one for place, one in enumerate(stored) if place not in again]
        sizes = [one.size for one in kept]
        split = plan.split(sizes, self._recipe.valid_share)
        left_out[ACROSS] = sum(kept[place].messages for place in split.across)
        if not split.train:
            raise CorpusEmpty(self._why_empty())
        plays = self._plays(sizes, split.train)
        learned: defaultdict[int, float] = defaultdict(float)
        with Writer(self._folder) as writer:
            for name, places in ((TRAIN, split.train), (VALID, split.valid)):
                for place in places:
                    made = sample(self._gathering.part(kept[place]), plays[place], self._names, self._shape)
                    writer.add(name, made)
                    for turn in made.turns:
                        self._messages.extend(turn.message_ids)
                        learned[turn.author_id] += turn.weight * turn.tokens if name == TRAIN else 0.0
            corpus = writer.finish(self._manifest(split, learned), self._nothing_forgotten())
        return Built(corpus, self._gathering.tally, dict(left_out))

    @contextmanager
    def _nothing_forgotten(self) -> Iterator[None]:
        """As long as the archive is held, nobody takes more away, to look through corpora before ours is there."""
        with self._archive.together():
            taken_back = self._archive.withdrawn.since(self._begun, self._messages)
            if taken_back or _wishes(self._archive) != self._wishes:
                raise _forgotten()
            yield

    def _plays(self, sizes: Sequence[plan.Size], train: Sequence[int]) -> list[Play]:
        """Members named as the persona are meant to be learned most; of a server, nobody is."""
        players = plan.choose(sizes, self._recipe.persona)
        scales: dict[int, float] = {}
        if self._recipe.persona is None:
            played = [(sizes[place], players[place]) for place in train]
            scales = plan.scales(plan.masses(played, self._recipe.others_weight), self._recipe.author_cap)
        return [Play(player, scales) for player in players]

    def _manifest(self, split: plan.Split, learned: dict[int, float]) -> dict[str, Any]:
        gathering = self._gathering
        total = sum(learned.values()) or 1.0
        return {
            "format": FORMAT,
            "name": self._folder.name,
            "made_by": f"sususbot {__version__}",
            "archive": {
                "content": gathering.content_hash,
                "messages": gathering.tally.messages,
                "origins": self._archive.origins(),
                "consent": self._archive.consents.mode,
                "members_learned_from": len(learned),
            },
            "recipe": self._recipe.as_json(),
            "tokenizer": self._counter.name,
            "persona_text": self._recipe.persona_text.strip(),
            "own_name": self._recipe.own_name,
            "rules": {
                name: {"changed": count.changed, "dropped": count.dropped}
                for name, count in gathering.tally.rules.items()
            },
            "left_out": dict(gathering.left_out),
            "split_at": split.at,
            "authors": {str(author): round(mass, 1) for author, mass in sorted(learned.items())},
            "largest_share": round(max(learned.values(), default=0.0) / total, 4),
        }

    def _why_empty(self) -> str:
        if not self._gathering.learnable:
            return "nobody has agreed to be learned from: ask your members, then  sususbot consent set ID --learn yes"
        if self._recipe.persona is not None:
            return "the members of PERSONA answer nobody in this archive: choose others, or PERSONA=server"
        return "no conversation is left to learn from: import more messages, or switch rules off with CLEAN_OFF"
