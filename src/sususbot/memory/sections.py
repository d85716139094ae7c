"""The parts of a prompt, and what each may take of it: a hard budget in tokens, counted by the model's own tokenizer.

What a part leaves goes on: from summary to recent turns, since both change in the same steps, and from there and from
the message to the memories, which change with every message anyway. So where recent turns begin depends on nothing
that changes from one message to the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sususbot.errors import SettingsError

CountTokens = Callable[[str], int]
CountAhead = Callable[[Sequence[str]], None]

PERSONA: Final = "persona"
SUMMARY: Final = "summary"
RECENT: Final = "recent"
MEMORIES: Final = "memories"
MESSAGE: Final = "message"
# The persona may take this much of the prompt; the other sections share what it leaves.
_MOST_PERSONA: Final = 0.25
_SHARES: Final = {SUMMARY: 0.16, RECENT: 0.40, MEMORIES: 0.28, MESSAGE: 0.16}
# Beyond the parts counted one by one: the token that begins a text, and seams where two parts join into more tokens.
_SEAMS: Final = 8
# With less than this, not even a short message could be read.
_LEAST_MESSAGE: Final = 24


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the prompt: its lines, the tokens they take, the tokens they may take, and why these lines.

    A heading counts, but is none of its lines.
    """

    name: str
    lines: tuple[str, ...]
    used: int
    budget: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that did not make it into the prompt, and why."""

    section: str
    what: str
    reason: str


def full(budget: int) -> str:
    """The commonest reason."""
    return f"budget of {budget} tokens is full"


def budgets(tokens: int, frame: int, persona: int) -> dict[str, int]:
    """What each section may take of `tokens`, beside a `frame` and a persona of so many. Raises SettingsError."""
    room = tokens - frame - _SEAMS
    rest = room - persona
    shares = {PERSONA: int(room * _MOST_PERSONA)} | {name: int(rest * share) for name, share in _SHARES.items()}
    if persona > (free := max(0, shares[PERSONA])):
        raise SettingsError(
            f"BOT_DESCRIPTION takes {persona} tokens and {free} are free for it: shorten it, raise "
            "CONTEXT_TOKENS, or lower MAX_NEW_TOKENS"
        )
    if shares[MESSAGE] < _LEAST_MESSAGE:
        raise SettingsError(
            f"only {max(0, shares[MESSAGE])} tokens are left for the message: raise CONTEXT_TOKENS, or "
            f"lower MAX_NEW_TOKENS"
        )
    return shares
