"""What is known of a channel's talk before its window: a value that summarizers make and prompts show.

It stands between them, so that neither knows the other.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """The gist of `messages` messages, said from `first_at` to `last_at` (ms).

    `text` may have several lines, oldest first. `by` names what made it; `note` says why it was not the one asked for.
    """

    text: str
    by: str
    first_at: int
    last_at: int
    messages: int
    note: str | None = None
