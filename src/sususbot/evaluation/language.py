"""Language: how many bits a model needs for each byte of talk that was held out; the fewer the better it knows it.

Counted as training counts it (`bits_per_byte` of its report): every line weighs what it weighs in the corpus, played
ones most, names nothing. Only that a conversation is over, which training counts, too, has no letters to be asked
about. A line is asked about by itself, after all that stands before it in its sample. Samples with words of members
who may not be learned from any more are left out.
`reply_bits_per_byte` is the same for the replies of the exchanges alone: what can be compared pair by pair. Its items
are per byte of the mean reply, so that their mean is the figure, and no pair says more than its bits.
"""

from typing import Final, NamedTuple

import numpy as np

from sususbot.corpus.samples import Sample
from sususbot.errors import CannotScore
from sususbot.evaluation.figures import Section, ratio
from sususbot.evaluation.ground import Exchange, Ground, System, Told
from sususbot.evaluation.heldout import continuation, prompt_of
from sususbot.evaluation.replies import Replies
from sususbot.evaluation.scores import bits, likelihoods, size
from sususbot.model.backend import Backend

NAME: Final = "language"
# Lines that are asked about: a model of 7 billion weights takes some minutes for them on a card.
LINES: Final = 600
_CHOSEN_BY: Final = (
    "an adapter's training chose its best step by these conversations, though it never learned from them: it may be a "
    "little better here than on newer talk"
)
# How often it is told how far it is.
_EACH: Final = 10


class Cost(NamedTuple):
    """Weighted bits, and the weighted bytes that they tell."""

    bits: float
    size: float


def language(system: System, ground: Ground, _replies: Replies, told: Told, *, lines: int = LINES) -> Section:
    """The measure. `bits_per_byte` is the main figure; conversations are drawn by the seed until they have `lines`."""
    samples: list[Cost] = []
    replies: list[Cost] = []
    asked = drawn(ground, lines)
    try:
        for place, sample in enumerate(asked):
            if place % _EACH == 0:
                told(f"{place} of {len(asked)} conversations")
            samples.append(cost(system.backend, ground.persona, sample))
        told(f"{len(ground.exchanges)} replies")
        replies += (_reply(system.backend, ground, exchange) for exchange in ground.exchanges)
    except CannotScore as error:
        return Section(NAME, notes=(f"not measured: {error}",))
    figures = {
        name: ratio([one.bits for one in some], [one.size for one in some], "lower", seed=ground.seed)
        for name, some in (("bits_per_byte", samples), ("reply_bits_per_byte", replies))
    }
    mean_size = sum(one.size for one in replies) / max(1, len(replies))
    items = {"reply_bits_per_byte": [one.bits / mean_size for one in replies]}
    notes = (f"over {len(samples)} conversations that were held out, of whole talk", _CHOSEN_BY)
    return Section(NAME, figures, items, notes)


def cost(backend: Backend, persona: str, sample: Sample) -> Cost:
    """What a sample costs, each line by its weight. Raises CannotScore, and the backend's ModelErrors."""
    before, all_bits, all_size = "", 0.0, 0.0
    for text, weight in sample.pieces(persona):
        if weight > 0:
            all_bits += weight * bits(likelihoods(backend, before, [text])[0])
            all_size += weight * size(text)
        before += text
    return Cost(all_bits, all_size)


def _reply(backend: Backend, ground: Ground, exchange: Exchange) -> Cost:
    text = continuation(exchange.reply)
    (scored,) = likelihoods(backend, prompt_of(exchange, ground.persona, ground.own_name), [text])
    return Cost(bits(scored), size(text))


def drawn(ground: Ground, lines: int = LINES) -> list[Sample]:
    """Samples by chance that together have so many lines to learn, or all there are."""
    samples = [sample for sample in ground.corpus.valid() if _may_be_learned(ground, sample)]
    found: list[Sample] = []
    for place in np.random.default_rng([ground.seed, 3]).permutation(len(samples)):
        if lines <= 0:
            break
        found.append(samples[place])
        lines -= sum(turn.weight > 0 for turn in samples[place].turns)
    return found


def _may_be_learned(ground: Ground, sample: Sample) -> bool:
    authors = {turn.author_id for turn in sample.turns}
    return sample.trained > 0 and ground.archive.consents.may_learn(authors) == authors
