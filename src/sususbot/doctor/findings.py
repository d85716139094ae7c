"""What a check found, as a value: how it is, one sentence, and the next step where there is one to take."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "wrong", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`wrong` keeps something from working, `warning` makes it worse than it could be, `skipped` was not looked at."""

    name: str
    state: State
    sentence: str
    step: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(name: str, sentence: str) -> Finding:
    return Finding(name, "ok", sentence)


def warning(name: str, sentence: str, step: str) -> Finding:
    return Finding(name, "warning", sentence, step)


def wrong(name: str, sentence: str, step: str) -> Finding:
    return Finding(name, "wrong", sentence, step)


def skipped(name: str, sentence: str, step: str = "") -> Finding:
    return Finding(name, "skipped", sentence, step)


def told_by(name: str, error: Exception) -> Finding:
    """An error of ours is a sentence that ends with its next step."""
    sentence, _, step = str(error).rpartition(": ")
    return wrong(name, sentence or str(error), step if sentence else "")


def number(count: int, noun: str) -> str:
    """`1 message`, `2,000 messages`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
