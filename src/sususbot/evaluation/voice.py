"""Whose voice a reply has, as told by a classifier that learned the persona's lines apart from other chat.

In: the lines that were learned of the persona, lines of others, replies. Out: how many of the replies it takes for the
persona's, between a floor (other chat that it never saw) and a ceiling (what the persona really said after the split),
and how far the replies are from the persona's own in style.
The classifier is a logistic regression on character n-grams, case kept, of lines without what they are about
(`topics`). In the training both chats weigh the same at each length, so that length tells nothing, either;
`style` has it. A second one was shown written English (`prose`) instead of other chat: without it, a base that writes
like neither chat is taken for the persona (of sentences from Python's library two thirds, and more, were).
Where it cannot tell the two chats apart, `can_tell` is 0, and what it says of replies means nothing.
Not here: a voice that shows in rare words (`style` has vocabulary), in several lines together, or in what is said; nor
what is unlike all that it learned, which it may take for either.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sususbot.errors import EvaluationError, MissingExtra
from sususbot.evaluation import community
from sususbot.evaluation.figures import Figure, Section, mean, share
from sususbot.evaluation.ground import Ground, System, Told
from sususbot.evaluation.prose import sentences
from sususbot.evaluation.replies import Replies
from sususbot.evaluation.standing import accuracy, area, can_tell, normalised
from sususbot.evaluation.style import distances
from sususbot.evaluation.topics import WORD, voice_words, voiced, without_topics

Floats = NDArray[np.float64]

_LONGEST_GRAM: Final = 4
_MOST_GRAMS: Final = 60_000
# How much a line counts against the wish for small weights, as the library's C.
_TRUST: Final = 4.0
# An n-gram in fewer lines, and in a smaller share of them, is left out.
_FEWEST_LINES: Final = 3
_LEAST_SHARE: Final = 0.0003
# Of each chat; with fewer, nothing can be told.
_MOST: Final = 10_000
_FEWEST: Final = 40
# Of other chat, every fifth line is kept from the classifier: of each file and time as much.
_HELD_OUT: Final = 5
# From one word to fifteen by doublings, and all that is longer.
_LENGTHS: Final = 5


class Classifier:
    """Tells one chat from another. The same lines and seed give the same numbers."""

    def __init__(self, own: Sequence[str], other: Sequence[str], *, seed: int, names: Collection[str] = ()) -> None:
        """Learns lines, oldest first; `names` tell it nothing.

        Raises EvaluationError where there are too few lines, MissingExtra without scikit-learn.
        """
        own, other = _some(own, seed), _some(other, seed)
        for lines, whose in ((own, "the persona's"), (other, "other chat's")):
            if len(lines) < _FEWEST:
                raise EvaluationError(
                    f"voice: {len(lines)} lines of {whose} are too few to tell voices apart: give files with at least "
                    f"{_FEWEST * _HELD_OUT // (_HELD_OUT - 1)} lines"
                )
        self.lines = len(own), len(other)
        self._kept = voice_words(own, other, names)
        grams, model = _parts()
        self._grams = grams(min_df=max(_FEWEST_LINES, int((len(own) + len(other)) * _LEAST_SHARE)))
        self._grams.fit(self._read([*own, *other]))
        self._models = [self._learned(model(), own, lines) for lines in (other, sentences())]

    def _learned(self, model: Any, own: Sequence[str], other: Sequence[str]) -> Any:
        lines = [*own, *other]
        is_own = np.arange(len(lines)) < len(own)
        return model.fit(self._grams.transform(self._read(lines)), is_own, sample_weight=_weights(lines, is_own))

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """How sure it is, from 0 to 1, that each text is the persona's, rather than other chat or prose; 0 of nothing.

        Each of the two is asked about by itself, so that where the border to the other chat lies has nothing to do
        with prose.
        """
        if not texts:
            return []
        grams = self._grams.transform(self._read(texts))
        sure: Floats = np.min([model.predict_proba(grams)[:, 1] for model in self._models], axis=0)
        return [float(one) if text.strip() else 0.0 for one, text in zip(sure, texts, strict=True)]

    def _read(self, lines: Iterable[str]) -> list[str]:
        return [without_topics(line, self._kept) for line in lines]


def _parts() -> tuple[Callable[..., Any], Callable[[], Any]]:
    """What makes n-grams of lines, and what learns to tell them apart."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("telling voices apart", "eval") from error
    shape = {"analyzer": "char", "ngram_range": (1, _LONGEST_GRAM), "lowercase": False}
    grams = partial(TfidfVectorizer, **shape, sublinear_tf=True, max_features=_MOST_GRAMS)
    return grams, partial(LogisticRegression, solver="liblinear", C=_TRUST, random_state=0)


class Voice:
    """A classifier that was trained for an evaluation, and what it says of lines that it never saw."""

    def __init__(
        self,
        own: Sequence[str],
        other: Sequence[str],
        held_out: Sequence[str],
        *,
        seed: int,
        names: Collection[str] = (),
    ) -> None:
        """`held_out` are the persona's lines after the split; of `other` every fifth is kept apart."""
        shown = [line for place, line in enumerate(other, 1) if place % _HELD_OUT]
        self.classifier = Classifier(own, shown, seed=seed, names=names)
        self.held_out = tuple(held_out)
        self.own = tuple(self.classifier.probabilities(held_out))
        self.other = tuple(self.classifier.probabilities(other[_HELD_OUT - 1 :: _HELD_OUT]))
        self.can_tell = can_tell(self.own, self.other, seed=seed)


def other_chat(ground: Ground, handed_in: Sequence[str] = ()) -> list[str]:
    """Lines to tell the persona from, oldest first: of a member, what the others say on the same server.

    Of a whole server, the lines that were handed in, else those of the sample community.
    """
    if handed_in:
        return list(handed_in)
    if (members := _members(ground)) is not None:
        return [text for author, text in _learned(ground) if author not in members]
    return community.spoken()


def classifier(ground: Ground, other: Sequence[str]) -> Voice:
    """Trained once for all systems, on what their training saw. Raises EvaluationError, MissingExtra."""
    members = _members(ground)
    own = [text for author, text in _learned(ground) if members is None or author in members]
    names = [name for some in ground.archive.names().values() for name in some]
    return Voice(own, other, [one.reply for one in ground.exchanges], seed=ground.seed, names=names)


def voice(system: System, ground: Ground, replies: Replies, told: Told, heard: Voice) -> Section:
    """How much a system sounds like the persona."""
    told(f"whose voice {system.name} has")
    texts = [one.text for one in replies]
    sure = heard.classifier.probabilities(texts)
    hits = [float(one > 0.5) for one in sure]
    figures = {
        "attributed": share(int(sum(hits)), len(hits), "higher"),
        "probability": mean(sure, "higher", seed=ground.seed),
        "can_tell": Figure(float(heard.can_tell), of=len(heard.own)),
        "normalised": normalised(hits, heard.own, heard.other, seed=ground.seed),
        "ceiling": _taken(heard.own),
        "floor": _taken(heard.other),
        "classifier_accuracy": accuracy(heard.own, heard.other, seed=ground.seed),
        "classifier_auc": area(heard.own, heard.other, seed=ground.seed),
        **distances(texts, heard.held_out, seed=ground.seed),
    }
    return Section("voice", figures, {"attributed": hits, "probability": sure}, _notes(heard, texts))


def _notes(heard: Voice, texts: Sequence[str]) -> tuple[str, ...]:
    own, other = heard.classifier.lines
    notes = [
        f"The classifier learned {own:,} lines of the persona and {other:,} of other chat; ceiling and floor are lines "
        f"of each that it never saw ({len(heard.own):,} and {len(heard.other):,}).",
        "normalised: 0 is the floor, 1 the ceiling. Style distances: 0 is alike; beside each stands what two halves of "
        "the persona's own lines differ by (_own), which is as near as anything can come.",
    ]
    if not heard.can_tell:
        notes.insert(
            0,
            "Voices cannot be told apart here: of lines that it never saw the classifier knows no better than chance "
            "whose they are. What it takes for the persona's means nothing.",
        )
    if min(own, other) < 1000:
        notes.append(
            "With so few lines on one side the classifier knows little, and the floor is a rough one: some thousand "
            "lines of other chat make both surer."
        )
    if empty := sum(not text.strip() for text in texts):
        notes.append(f"{empty} replies are empty; they are nobody's.")
    return tuple(notes)


# -- lines


def _members(ground: Ground) -> frozenset[int] | None:
    """Whose voice was learned; None: everybody's."""
    persona = ground.corpus.manifest["recipe"]["persona"]
    return None if persona == "server" else frozenset(map(int, persona))


def _learned(ground: Ground) -> list[tuple[int, str]]:
    """(author, line) of what was learned from, oldest first; each line once."""
    turns = [turn for sample in ground.corpus.train() for turn in sample.turns if turn.weight > 0]
    return [(turn.author_id, turn.text) for turn in sorted(turns, key=lambda turn: turn.at)]


def _some(lines: Sequence[str], seed: int) -> list[str]:
    kept = [line for line in lines if WORD.search(voiced(line))]
    if len(kept) <= _MOST:
        return kept
    places = np.random.default_rng(seed).choice(len(kept), _MOST, replace=False)
    return [kept[place] for place in sorted(places)]


def _weights(lines: Sequence[str], is_own: NDArray[np.bool_]) -> Floats:
    """So that at each length both sides weigh what the smaller has lines, and a length that only one has nothing."""
    lengths = np.array([min(_LENGTHS, len(line.split()).bit_length()) for line in lines])
    weights = np.zeros(len(lines))
    for length in np.unique(lengths):
        sides = [(lengths == length) & (is_own == side) for side in (False, True)]
        counts = [int(side.sum()) for side in sides]
        if all(counts):
            for side, count in zip(sides, counts, strict=True):
                weights[side] = min(counts) / count
    return weights


# -- figures


def _taken(sure: Sequence[float]) -> Figure:
    return share(sum(one > 0.5 for one in sure), len(sure), None)
