"""A prompt and a text that goes on from it, cut into tokens together: where the text begins, and what fits.

What every scoring backend measures is `Joint.ids[start:]`, each token after all that stand before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sususbot.errors import BackendFailed, CannotScore


@dataclass(frozen=True, slots=True)
class Joint:
    """`ids` of both, the mark of a beginning included where the model has one; of the text are those from `start`."""

    ids: tuple[int, ...]
    start: int


def fitting(joints: Sequence[Joint], context_tokens: int, *, marks: int) -> list[Joint]:
    """The same, shortened at the beginning by as much as the longest of them needs; `marks` ids at the front stay.

    Raises BackendFailed where a text alone is too long, and CannotScore where nothing stands before one.
    """
    if any(not joint.start for joint in joints):
        raise CannotScore("This model has no mark of a beginning, so it scores nothing without a prompt: give it one.")
    beyond = max((len(joint.ids) for joint in joints), default=0) - context_tokens
    if beyond <= 0:
        return list(joints)
    if any(joint.start - beyond < max(marks, 1) for joint in joints):
        longest = max(len(joint.ids) - joint.start for joint in joints)
        raise BackendFailed(
            f"A text to score has {longest} tokens and the model's context only {context_tokens}: raise CONTEXT_TOKENS."
        )
    return [
        replace(joint, ids=joint.ids[:marks] + joint.ids[marks + beyond :], start=joint.start - beyond)
        for joint in joints
    ]
