"""Drawing tokens. That every knob means what it does for llama.cpp is tested where both are at hand (training)."""

from collections import Counter

import numpy as np
import pytest

from sususbot.errors import BackendFailed
from sususbot.model.backend import DRY_TOKENS, Sampling
from sususbot.model.sampling import Sampler, runs

PLAIN = Sampling(1.0, 1.0, 0, 1.0, seed=3)
LOGITS = np.log(np.array([0.1, 0.6, 0.05, 0.25], np.float32))


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    sampler = Sampler(PLAIN)
    drawn = Counter(sampler.choose(LOGITS, []) for _ in range(4000))
    for token, share in enumerate((0.1, 0.6, 0.05, 0.25)):
        assert drawn[token] / 4000 == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("seed", [0, 7, -1, 1 << 70])
def test_a_seed_draws_the_same_again(seed: int) -> None:
    one, other = (Sampler(Sampling(1.0, 1.0, 0, 1.0, seed=seed)) for _ in range(2))
    assert [one.choose(LOGITS, []) for _ in range(20)] == [other.choose(LOGITS, []) for _ in range(20)]


def test_no_seed_draws_something_else() -> None:
    one, other = Sampler(Sampling(1.0, 1.0, 0, 1.0)), Sampler(Sampling(1.0, 1.0, 0, 1.0))
    assert [one.choose(LOGITS, []) for _ in range(60)] != [other.choose(LOGITS, []) for _ in range(60)]


def test_the_likeliest_is_what_temperature_0_says_after_all_penalties() -> None:
    assert Sampler(Sampling(0.0, repetition_penalty=1.0)).choose(LOGITS, [1]) == 1
    assert Sampler(Sampling(0.0, repetition_penalty=3.0)).choose(LOGITS, [1]) == 3


@pytest.mark.parametrize(
    "knobs", [Sampling(1.0, 1e-9, 0, 1.0), Sampling(1.0, 1.0, 1, 1.0), Sampling(0.001, 1.0, 0, 1.0)]
)
def test_one_candidate_is_always_left(knobs: Sampling) -> None:
    assert {Sampler(knobs).choose(LOGITS, []) for _ in range(50)} == {1}


def test_more_candidates_than_there_are_is_all() -> None:
    tokens, _ = Sampler(Sampling(1.0, 1.0, 99, 1.0)).candidates(LOGITS, [])
    assert tokens.tolist() == [1, 3, 0, 2]


def test_tokens_that_cannot_be_are_never_drawn() -> None:
    logits = np.array([-np.inf, 1.0, -np.inf], np.float32)
    assert {Sampler(PLAIN).choose(logits, [0, 1]) for _ in range(20)} == {1}


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_is_told(broken: float) -> None:
    with pytest.raises(BackendFailed, match="no number"):
        Sampler(PLAIN).choose(np.array([0.0, broken], np.float32), [])


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([], {}),
        ([1], {}),
        ([1, 2, 3, 1, 2], {3: 2}),
        ([1, 2, 3, 9, 2, 4, 1, 2], {3: 2}),
        ([5, 1, 2, 3, 5, 1, 2, 4, 5, 1, 2], {3: 3, 4: 3}),
        ([7, 7, 7, 7], {7: 3}),
        # A breaker ends a run, and is never what a run goes on with.
        ([1, 0, 2, 3, 1, 0, 2], {}),
        ([1, 2, 0, 9, 1, 2], {}),
    ],
)
def test_what_would_go_on_with_a_run(said: list[int], found: dict[int, int]) -> None:
    assert runs(said, 2, frozenset({0})) == found


def test_a_run_of_long_ago_may_be_quoted() -> None:
    sampler = Sampler(Sampling(0.0, repetition_penalty=1.0, dry_multiplier=50.0))
    said = [2, 3, 1, *[0] * (DRY_TOKENS - 2), 2, 3]
    assert sampler.choose(LOGITS, said) == 1
    assert sampler.choose(LOGITS, [2, 3, 1, 0, 2, 3]) == 3


def test_no_run_is_so_long_that_its_penalty_is_no_number() -> None:
    said = [1, 2] * 120
    assert Sampler(Sampling(0.0, dry_multiplier=99.0, dry_base=10.0)).choose(LOGITS, said) in (0, 3)
