"""Shares, splits and who is played, over sizes alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sususbot.corpus.plan import Size, choose, masses, scales, split

MASSES = st.dictionaries(st.integers(1, 30), st.floats(0.5, 1e6), min_size=1, max_size=12)


def scaled(mass: dict[int, float], cap: float) -> dict[int, float]:
    factors = scales(mass, cap)
    return {author: one * factors.get(author, 1.0) for author, one in mass.items()}


def test_one_member_with_most_of_the_lines_falls_to_the_cap() -> None:
    mass = scaled({1: 7000.0, 2: 1000.0, 3: 1000.0, 4: 600.0, 5: 400.0}, cap=0.4)
    assert round(mass[1] / sum(mass.values()), 9) == 0.4
    assert [mass[author] for author in (2, 3, 4, 5)] == [1000, 1000, 600, 400]


@settings(max_examples=150)
@given(MASSES, st.floats(0.05, 1.0))
def test_no_share_is_above_the_cap_and_none_is_raised(mass: dict[int, float], cap: float) -> None:
    after = scaled(mass, cap)
    # With n members nobody can have less than 1/n.
    cap = max(cap, 1 / len(mass))
    total = sum(after.values())
    for author, one in after.items():
        assert one <= cap * total * (1 + 1e-6)
        assert one <= mass[author] * (1 + 1e-9)
        # What is scaled is scaled no further than needed.
        assert one >= min(mass[author], cap * total) * (1 - 1e-6)


def test_the_cap_counts_what_is_learned_and_not_only_what_is_played() -> None:
    size = Size(0, 1, 200, ((1, 100, 100), (2, 100, 50)))
    assert masses([(size, 1)], 0.1) == {1: 100.0, 2: 10.0}
    assert masses([(size, 2)], 0.1) == {1: 10.0, 2: 55.0}


def test_whoever_talks_most_does_not_play_most() -> None:
    talks = [Size(n, n, 100, ((1, 70, 60), (2 + n % 3, 30, 20))) for n in range(60)]
    players = choose(talks, None)
    played = {author: players.count(author) for author in (1, 2, 3, 4)}
    assert 0 < played[1] < 40
    assert min(played[2], played[3], played[4]) > 5


def test_only_the_persona_is_played() -> None:
    talks = [Size(n, n, 100, ((1, 70, 60), (2, 30, 20))) for n in range(5)]
    assert choose(talks, {2}) == [2] * 5


def test_who_says_only_the_first_line_is_not_played() -> None:
    assert choose([Size(0, 0, 9, ((1, 7, 0), (2, 2, 2)))], None) == [2]


SPANS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 60), st.integers(1, 50)), min_size=2, max_size=60)


@settings(max_examples=150)
@given(SPANS, st.floats(0, 0.5))
def test_all_of_train_is_before_all_of_valid(spans: list[tuple[int, int, int]], share: float) -> None:
    sizes = sorted(
        (Size(start, start + length, tokens, ()) for start, length, tokens in spans), key=lambda one: one.start
    )
    parts = split(sizes, share)
    assert sorted([*parts.train, *parts.valid, *parts.across]) == list(range(len(sizes)))
    if parts.train and parts.valid:
        assert max(sizes[place].end for place in parts.train) < min(sizes[place].start for place in parts.valid)


def test_the_split_goes_through_the_quietest_moment_near() -> None:
    # Every talk goes on into the next three, but for one pause shortly after where the split was wanted.
    starts = [n * 10 + (1000 if n >= 905 else 0) for n in range(1000)]
    sizes = [Size(start, start + 35, 100, ()) for start in starts]
    parts = split(sizes, 0.1)
    assert (parts.at, parts.across) == (starts[905], ())
    assert len(parts.valid) == 95


def test_the_split_is_where_it_was_wanted_and_goes_through_little() -> None:
    sizes = [Size(n * 10, n * 10 + 5, 100, ()) for n in range(1000)]
    parts = split(sizes, 0.05)
    assert len(parts.across) == 0
    assert 35 <= len(parts.valid) <= 65
    assert split(sizes, 0.0).valid == ()
