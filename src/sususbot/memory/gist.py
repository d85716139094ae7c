"""What of a summary a prompt shows: all of it, or, where that is too much, its newest lines.

Of the newest line, where it alone is too much, the first sentences: its date and its speaker stand there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sususbot.chat_format import GIST_HEADING
from sususbot.memory.sections import SUMMARY, CountTokens, LeftOut, Section, full
from sususbot.memory.summary import Summary

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…]) +")


@dataclass(frozen=True, slots=True)
class Gist:
    """`heading` stands above the section's lines; empty where there are none."""

    section: Section
    heading: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        return (*self.heading, *self.section.lines)


def choose(summary: Summary | None, lines: Sequence[str], count: CountTokens, budget: int) -> Gist:
    """`lines` are the summary's as they would stand in the prompt, oldest first."""
    if summary is None or not lines:
        return Gist(Section(SUMMARY, (), 0, budget))
    above = count(f"{GIST_HEADING}\n\n")
    kept, used = _newest(lines, count, budget - above)
    dropped = len(lines) - len(kept)
    what = f"its {dropped} oldest lines" if kept else "all of it"
    if not kept:
        kept, used = _beginning(_SENTENCE_END.split(lines[-1]), count, budget - above)
        what = "all but its newest line's beginning" if kept else what
    left_out = (LeftOut(SUMMARY, what, full(budget)),) if dropped else ()
    if not kept:
        return Gist(Section(SUMMARY, (), 0, budget), (), left_out)
    why = f"{summary.messages} messages before the recent ones, by {summary.by}"
    why += f" ({summary.note})" if summary.note else ""
    return Gist(Section(SUMMARY, tuple(kept), above + used, budget, why), (GIST_HEADING,), left_out)


def _newest(lines: Sequence[str], count: CountTokens, budget: int) -> tuple[Sequence[str], int]:
    """The last lines that fit, and their tokens."""
    used = 0
    for place in reversed(range(len(lines))):
        tokens = count(lines[place] + "\n")
        if used + tokens > budget:
            return lines[place + 1 :], used
        used += tokens
    return lines, used


def _beginning(sentences: Sequence[str], count: CountTokens, budget: int) -> tuple[Sequence[str], int]:
    """A line that is too long without the sentences at its end."""
    for place in reversed(range(1, len(sentences))):
        line = " ".join(sentences[:place])
        if (tokens := count(line + "\n")) <= budget:
            return (line,), tokens
    return (), 0
