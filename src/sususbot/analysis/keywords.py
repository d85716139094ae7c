"""Words each author uses more than the others: log-odds with an informative Dirichlet prior.

Monroe, Colaresi and Quinn, "Fightin' Words" (Political Analysis 16, 2008): for each word the log-odds of one author
against all others, each smoothed by how common the word is in the whole archive, divided by its standard deviation. So
neither common words nor words seen once come out on top. Words are letters, in lower case; mentions, links, emoji names
and the marks that cleaning leaves are none.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from math import log, sqrt
from typing import Final

from sususbot.analysis.analysis import AuthorWords, Keyword, Words

# The prior's weight in words: an author with fewer words than this is mostly like everybody.
PRIOR: Final = 1000
FEWEST_WORDS: Final = 300
FEWEST_USES: Final = 5
# Used so many times as often as by the others, at least: surely more often is not yet much more often.
FEWEST_TIMES: Final = 2.0
# Two-sided 99.9 %: what chance would bring up once in a thousand words.
SURE: Final = 3.29
PER_AUTHOR: Final = 10
AUTHORS: Final = 24
# Counts held at once; beyond it those of one are let go, which no author's keyword can rest on.
MOST_COUNTS: Final = 2_000_000

_NO_WORDS: Final = re.compile(r"\[\w+\]|@[\w.-]+|:\w+:|\w+://\S+")
_WORD: Final = re.compile(r"[^\W\d_]{2,30}(?:['’][^\W\d_]{1,10})?")


class WordCount:
    """Counts words by author as texts come."""

    def __init__(self, most: int = MOST_COUNTS) -> None:
        self._most = most
        self._dropped = 0
        self._held = 0
        self._all: Counter[str] = Counter()
        self._by_author: dict[int, Counter[str]] = {}
        self._words: Counter[int] = Counter()

    def add(self, author_id: int, text: str) -> None:
        if "[" in text or "@" in text or ":" in text:
            text = _NO_WORDS.sub(" ", text)
        words = _WORD.findall(text.casefold().replace("’", "'"))
        if not words:
            return
        own = self._by_author.setdefault(author_id, Counter())
        before = len(own)
        own.update(words)
        self._held += len(own) - before
        self._all.update(words)
        self._words[author_id] += len(words)
        if self._held > self._most:
            self._let_go()

    def result(self, names: Mapping[int, str], unspoken: Collection[str] = ()) -> Words:
        """Keywords of those with a name here, who must be quotable; `unspoken` words are never shown."""
        ranked = sorted(
            (id_ for id_ in names if self._words[id_] >= FEWEST_WORDS), key=lambda id_: (-self._words[id_], id_)
        )
        rows = [
            AuthorWords(names[id_], self._words[id_], len(self._by_author[id_]), self._keywords(id_, unspoken))
            for id_ in ranked[:AUTHORS]
        ]
        return Words(sum(self._words.values()), len(self._all), tuple(rows), self._dropped)

    def _keywords(self, author_id: int, unspoken: Collection[str]) -> tuple[Keyword, ...]:
        total = sum(self._words.values())
        own = self._words[author_id]
        scored = [
            Keyword(word, count, round(times, 1), round(z, 1))
            for word, count in self._by_author[author_id].items()
            if count >= FEWEST_USES and word not in unspoken
            if (z := log_odds(count, own, self._all[word] - count, total - own)) >= SURE
            if (times := odds_ratio(count, own, self._all[word] - count, total - own)) >= FEWEST_TIMES
        ]
        return tuple(sorted(scored, key=lambda keyword: (-keyword.z, keyword.word))[:PER_AUTHOR])

    def _let_go(self) -> None:
        for author_id, counts in self._by_author.items():
            kept = Counter({word: count for word, count in counts.items() if count > 1})
            self._dropped += len(counts) - len(kept)
            self._by_author[author_id] = kept
        self._held = sum(map(len, self._by_author.values()))


def odds_ratio(own: int, own_total: int, others: int, others_total: int) -> float:
    """How many times as often an author uses a word, smoothed as in `log_odds`."""
    share = PRIOR * (own + others) / (own_total + others_total)
    return (own + share) / (own_total + PRIOR) / ((others + share) / (others_total + PRIOR))


def log_odds(own: int, own_total: int, others: int, others_total: int) -> float:
    """The z-score of a word's log-odds, the prior being both sides together."""
    share = PRIOR * (own + others) / (own_total + others_total)
    mine, its = own + share, others + share
    difference = log(mine / (own_total + PRIOR - mine)) - log(its / (others_total + PRIOR - its))
    return difference / sqrt(1 / mine + 1 / its)
