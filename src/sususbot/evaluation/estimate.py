"""How much a measure has a model read and say, before anything is loaded: what an owner may want to know first.

In: a ground. Out: tokens, roughly, by measure. To read a thousand takes a card a second or less and a processor up to a
minute; to say them takes some ten times as long. Where a backend scores by saying (llama.cpp does), a text that is only
to be scored counts as said.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sususbot.evaluation import context, language, leakage, relevance
from sususbot.evaluation.candidates import COUNT
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.heldout import bare_prompt, continuation, prompt_of
from sususbot.evaluation.scores import size

Count = Callable[[str], int]

REPLYING: Final = "replying"
# Replies that a measure has made besides those that several read: of questions that are always the same.
_ASKED: Final = {"facts": 96, "leakage": 25 * len(leakage.TEMPERATURES) + 20, "safety": 200, "cost": 30}
# Of the tokens that a reply may have, it has about so many.
_SAID: Final = 0.5
# A prompt without memories and recent talk, of one with both.
_PART: Final = 0.6


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens that are read at a go, and those that are said one by one."""

    read: int = 0
    said: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """How a system works: whether it says a text to score it, what a prompt and a reply have at most, in tokens."""

    scores_by_saying: bool
    context_tokens: int
    new_tokens: int


def roughly(text: str) -> int:
    """Tokens of a text by its bytes, as most vocabularies have them for English."""
    return max(1, size(text) // 4)


def estimate(ground: Ground, measures: Collection[str], way: Way, count: Count = roughly) -> dict[str, Work]:
    """By measure; under REPLYING the replies, which are made once. A measure that is not known here counts nothing."""
    return {name: _work(name, ground, way, count) for name in measures}


def _work(name: str, ground: Ground, way: Way, count: Count) -> Work:
    match name:
        case relevance.NAME:
            return _relevance(ground, way, count)
        case language.NAME:
            return _language(ground, way, count)
        case context.NAME:
            return _context(ground, way, count)
        case _:
            number = len(ground.exchanges) if name == REPLYING else _ASKED.get(name, 0)
            return Work(number * way.context_tokens, round(number * way.new_tokens * _SAID))


def _relevance(ground: Ground, way: Way, count: Count) -> Work:
    """Each prompt once, ten texts after it; each text once more by itself."""
    prompts = _prompt_tokens(ground, way, count)
    alone = count(bare_prompt(ground.persona, ground.own_name))
    return _scored(prompts + alone, (COUNT + 1) * _reply_tokens(ground, count), way)


def _language(ground: Ground, way: Way, count: Count) -> Work:
    """Each line after all that stands before it, which is read anew."""
    read = texts = 0
    for sample in language.drawn(ground):
        before = 0
        for text, weight in sample.pieces(ground.persona):
            tokens = count(text)
            if weight > 0:
                read += min(before, way.context_tokens)
                texts += tokens
            before += tokens
    prompts = _prompt_tokens(ground, way, count)
    return _scored(read + prompts, texts + _reply_tokens(ground, count), way)


def _context(ground: Ground, way: Way, count: Count) -> Work:
    """Of some exchanges, prompts of all kinds; one text after each, ten after some."""
    places = min(context.MOST, len(ground.exchanges))
    ranked = min(context.RANKED, places)
    mean = _reply_tokens(ground, count) / max(1, len(ground.exchanges))
    texts = places * len(context.SHOWN) + ranked * ((COUNT - 1) * len(context.RANKED_BY) + COUNT)
    return _scored(round(places * len(context.SHOWN) * way.context_tokens * _PART), round(texts * mean), way)


def _scored(read: int, texts: int, way: Way) -> Work:
    return Work(read, texts) if way.scores_by_saying else Work(read + texts)


def _prompt_tokens(ground: Ground, way: Way, count: Count) -> int:
    prompts = (prompt_of(one, ground.persona, ground.own_name) for one in ground.exchanges)
    return sum(min(way.context_tokens, count(prompt)) for prompt in prompts)


def _reply_tokens(ground: Ground, count: Count) -> int:
    return sum(count(continuation(one.reply)) for one in ground.exchanges)
