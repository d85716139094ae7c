"""Relevance: ranks who knows over who guesses, is blind to anything but the talk, and says so where it cannot know."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from sususbot.errors import CannotScore
from sususbot.evaluation.candidates import COUNT, Candidates, candidates
from sususbot.evaluation.figures import Figure, Section, share
from sususbot.evaluation.ground import Ground
from sususbot.evaluation.heldout import continuation, prompt_of
from sususbot.evaluation.nameless import nameless, names_of
from sususbot.evaluation.relevance import rank, ranks, relevance
from sususbot.evaluation.replies import Replies
from sususbot.model.backend import Backend, Deadline
from sususbot.model.scoring import Scored
from sususbot.model.scripted import Scripted
from sususbot.wording.echo import plain
from tests.evaluation.making import HOUR, Counting, recall, replies_of, system_of, unheard


def measured(ground: Ground, backend: Backend, said: Replies = ()) -> Section:
    with system_of(ground, backend) as system:
        return relevance(system, ground, said, unheard)


def within(figure: Figure, value: float) -> bool:
    assert figure.low is not None
    assert figure.high is not None
    return figure.low <= value <= figure.high


def learned_text(ground: Ground) -> str:
    return "".join(text for sample in ground.corpus.train() for text, _ in sample.pieces(""))


@pytest.fixture(scope="module")
def learned(ground: Ground) -> Section:
    """A small model of what was said before the split."""
    return measured(ground, Counting(learned_text(ground)))


# -- candidates


def test_the_true_reply_stands_among_nine_others_of_like_length(ground: Ground) -> None:
    for exchange, one in zip(ground.exchanges, candidates(ground), strict=True):
        assert one.texts[one.true] == exchange.reply
        assert len({plain(text) for text in one.texts}) == len(one.texts) == COUNT
        assert max(map(len, one.texts)) < 2 * min(map(len, one.texts))


def test_no_candidate_was_said_nearby(ground: Ground) -> None:
    """It would fit as well."""
    place_of = {one.reply: (one.channel_id, one.at) for one in ground.exchanges}
    for exchange, one in zip(ground.exchanges, candidates(ground), strict=True):
        for text in set(one.texts) - {exchange.reply}:
            channel_id, at = place_of.get(text, (0, 0))
            assert channel_id != exchange.channel_id or abs(at - exchange.at) > HOUR


BLIND: dict[str, Callable[[str], float]] = {
    "the longest": len,
    "the shortest": lambda text: -len(text),
    "by its letters": lambda text: random.Random(text).random(),
    "the most capitals": lambda text: sum(letter.isupper() for letter in text),
}


@pytest.mark.parametrize("way", BLIND)
def test_who_looks_at_the_texts_alone_hits_one_in_ten(ground: Ground, way: str) -> None:
    among = candidates(ground)
    full = [one for one in among if sum(set(one.texts) == set(other.texts) for other in among) == COUNT]
    assert len(full) >= len(among) * 0.8
    hits = [one.hit for one in ranks([[BLIND[way](text) for text in one.texts] for one in full], full)]
    assert sum(hits) / len(full) == pytest.approx(1 / COUNT)


def test_where_few_were_held_out_lines_of_the_training_fill_up(ground: Ground) -> None:
    few = replace(ground, exchanges=ground.exchanges[:4])
    for exchange, one in zip(few.exchanges, candidates(few), strict=True):
        assert one.texts[one.true] == exchange.reply
        assert len({plain(text) for text in one.texts}) == COUNT


def test_the_same_seed_draws_the_same(ground: Ground) -> None:
    assert candidates(ground) == candidates(ground)
    assert candidates(ground) != candidates(replace(ground, seed=ground.seed + 1))


# -- names


def named(ground: Ground) -> Ground:
    """Everybody who asks is called otherwise in each talk, and most replies name them, as chat does."""
    exchanges = []
    for place, one in enumerate(ground.exchanges):
        name = f"{('Nim', 'Robin Wood', 'kes_7', 'Ødegård')[place % 4]}{place}"
        said = tuple(turn if turn.own else replace(turn, speaker=name) for turn in one.said)
        ways = (f"@{name} {one.reply}", f"{name.upper()}, {one.reply}", f"{one.reply} or ask {name}", one.reply)
        exchanges.append(replace(one, said=said, reply=ways[place // 4 % 4]))
    return replace(ground, exchanges=exchanges)


def by_names(ground: Ground, among: Sequence[Candidates]) -> Figure:
    """Who counts how often a candidate names those who spoke before it, and looks at nothing else."""
    fits = []
    for exchange, one in zip(ground.exchanges, among, strict=True):
        names = {turn.speaker.casefold() for turn in exchange.said}
        fits.append([sum(text.casefold().count(name) for name in names) for text in one.texts])
    hits = [one.hit for one in ranks(fits, among)]
    return share(sum(hits), len(hits), "higher")


def test_who_looks_at_names_alone_hits_one_in_ten(ground: Ground) -> None:
    ground = named(ground)
    among = candidates(ground)
    assert within(by_names(ground, among), 1 / COUNT)
    whole = {one.reply: nameless([one.reply], names_of(ground))[0] for one in ground.exchanges}
    back = {text: reply for reply, text in whole.items()}
    with_names = [replace(one, texts=tuple(back.get(text, text) for text in one.texts)) for one in among]
    assert by_names(ground, with_names).value > 0.6


def test_what_was_said_is_compared_without_names(ground: Ground) -> None:
    ground = named(replace(ground, embedder=None))
    said = {one.id: f"@{one.said[-1].speaker} {one.said[-1].speaker}!" for one in ground.exchanges}
    found = measured(ground, Silent(), replies_of(said, ground.exchanges)).figures["said_accuracy"]
    assert within(found, 1 / COUNT)


def test_names_go_and_words_stay() -> None:
    names = {"Mia", "Mia Miller", "to", "c++ (away)", "Ødegård"}
    for text, without in {
        "@Mia Miller: yes": "yes",
        "mia, @tom yes": "yes",
        "Mia is right, @stranger.": "someone is right, someone.",
        "@Mia :smile: , @tom: hi": ":smile: , someone: hi",
        "@Mia , @tom: hi": "hi",
        "thanks @to, to all": "thanks someone, to all",
        "ødegård: c++ (away) told mia@example.org": "someone told someone@example.org",
        "Miami is no name": "Miami is no name",
        "@Mia": "someone",
        "": "",
    }.items():
        assert nameless([text], names) == [without]
    assert nameless(["@all: fine"], ()) == ["fine"]


# -- ranks


def test_ties_count_as_chance_would() -> None:
    assert rank([3.0, 1.0, 2.0], 0).hit == 1.0
    assert rank([3.0, 1.0, 2.0], 2).hit == 0.0
    assert rank([3.0, 1.0, 2.0], 2).reciprocal == 1 / 2
    assert rank([3.0, 3.0, 2.0], 1).hit == 1 / 2
    assert rank([3.0, 3.0, 2.0], 1).reciprocal == pytest.approx((1 + 1 / 2) / 2)
    assert rank([0.0] * 10, 4).hit == 1 / 10
    assert rank([float("nan"), 1.0], 0).hit == 0.0


# -- by likelihood


class Guessing(Counting):
    """Numbers without meaning, the same each time."""

    def score(self, prompt: str, texts: Sequence[str], _deadline: Deadline) -> list[Scored]:
        return [Scored(-100 * random.Random(prompt + text).random(), 1) for text in texts]


def test_who_knows_is_above_who_learned_and_who_learned_above_who_guesses(ground: Ground, learned: Section) -> None:
    truth = {prompt_of(one, ground.persona, ground.own_name): continuation(one.reply) for one in ground.exchanges}
    scripted = Scripted(["hm"], logprob=lambda prompt, text: -1.0 if truth.get(prompt) == text else -9.0)
    knowing = measured(ground, scripted).figures["accuracy"]
    guessing = measured(ground, Guessing()).figures["accuracy"]
    learned_share = learned.figures["accuracy"]
    assert learned_share.low is not None
    assert knowing.value == 1.0
    assert 1.0 > learned_share.value > learned_share.low > 0.2
    assert within(guessing, 1 / COUNT)


def test_what_the_talk_tells_is_worth_more_than_likelihood_alone(learned: Section) -> None:
    assert learned.figures["accuracy"].value > learned.figures["plain_accuracy"].value


def test_with_labels_shuffled_nothing_is_left_to_know(ground: Ground) -> None:
    texts = [one.reply for one in ground.exchanges]
    random.Random(1).shuffle(texts)
    shuffled = [replace(one, reply=text) for one, text in zip(ground.exchanges, texts, strict=True)]
    section = measured(replace(ground, exchanges=shuffled), Counting(learned_text(ground)))
    assert within(section.figures["accuracy"], 1 / COUNT)
    assert within(section.figures["plain_accuracy"], 1 / COUNT)


def test_items_are_what_the_figures_are_made_of(ground: Ground, learned: Section) -> None:
    assert learned.name == "relevance"
    for name in ("accuracy", "plain_accuracy", "mean_reciprocal_rank"):
        items, figure = learned.items[name], learned.figures[name]
        assert len(items) == figure.of == len(ground.exchanges)
        assert figure.value == pytest.approx(sum(items) / len(items))
        assert within(figure, figure.value)
    assert learned.figures["mean_reciprocal_rank"].value >= learned.figures["accuracy"].value
    assert learned.notes == ("chance is 0.1",)


def test_it_is_told_how_far_it_is(ground: Ground) -> None:
    told: list[str] = []
    with system_of(ground, Counting()) as system:
        relevance(system, ground, (), told.append)
    assert told == [*(f"{place} of 60" for place in range(0, 60, 10)), "each reply by itself"]


# -- by what was said


class Silent(Counting):
    """A server that writes, but does not tell how likely a text is."""

    def score(self, _prompt: str, _texts: Sequence[str], _deadline: Deadline) -> list[Scored]:
        raise CannotScore("this server does not tell how likely a text is")


def test_what_was_said_is_compared_where_likelihoods_are_not_told(ground: Ground) -> None:
    truth = replies_of({one.id: one.reply for one in ground.exchanges}, ground.exchanges)
    elsewhere = replies_of({one.id: ground.exchanges[0].said[0].text for one in ground.exchanges}, ground.exchanges)
    for one_ground in (ground, replace(ground, embedder=None)):
        good, poor = (measured(one_ground, Silent(), said) for said in (truth, elsewhere))
        assert good.figures["said_accuracy"].value == 1.0
        assert within(poor.figures["said_accuracy"], 1 / COUNT)
        assert list(good.figures) == list(good.items) == ["said_accuracy"]
        assert "this server does not tell how likely a text is" in good.notes[1]
    assert "by the words that are shared" in good.notes[2]


def test_what_was_said_is_compared_alike_whether_likelihoods_are_told_or_not(ground: Ground) -> None:
    """Or a model and recall could not be told apart by it."""
    said = replies_of({one.id: one.reply for one in ground.exchanges[::2]}, ground.exchanges)
    telling, silent = measured(ground, Guessing(), said), measured(ground, Silent(), said)
    assert telling.figures["said_accuracy"] == silent.figures["said_accuracy"]
    assert telling.items["said_accuracy"] == silent.items["said_accuracy"]
    assert {"accuracy", "plain_accuracy"} <= telling.figures.keys()


def test_recall_is_above_lines_drawn_by_chance(ground: Ground) -> None:
    """It is asked for its replies, since none were made before."""
    ground = replace(ground, embedder=None)
    lines = [turn.text for sample in ground.corpus.train() for turn in sample.turns if turn.own]
    drawn = replies_of({one.id: random.Random(one.id).choice(lines) for one in ground.exchanges}, ground.exchanges)
    found, by_chance = (measured(ground, recall(ground), said).figures["said_accuracy"] for said in ((), drawn))
    assert found.low is not None
    assert found.low > by_chance.value
    assert within(by_chance, 1 / COUNT)


def test_who_says_nothing_hits_by_chance(ground: Ground) -> None:
    for one_ground in (ground, replace(ground, embedder=None)):
        section = measured(one_ground, Silent(), replies_of({}, ground.exchanges))
        assert section.figures["said_accuracy"].value == pytest.approx(1 / COUNT)


def test_one_exchange_has_one_rank() -> None:
    among = [Candidates(("a", "b"), 1), Candidates(("a", "b"), 0)]
    assert [one.hit for one in ranks([[0.0, 1.0], [0.0, 1.0]], among)] == [1.0, 0.0]
