"""The door of the room: what every backend takes, gives and promises.

A backend is synchronous and is called from at most `parallel` worker threads at a time; `inference` makes it
asynchronous.
Contract, held by one conformance suite for all (`tests/model/test_conformance.py`):

- `generate` yields chunks whose texts, joined, are the reply. Neither a stop string nor anything after it appears.
- The last chunk, and only the last, has `finish` set: "stop" (a stop string or the model's own end), "length"
  (`max_new_tokens` reached), "cancelled" (`deadline.cancel()` was called) or "deadline" (its time is over).
- It looks at the deadline at least once per token, and before the first one.
- Temperature 0, or the same seed, gives the same text for the same request on the same machine; what was said before in
  its channel is part of a request.
- What goes wrong comes out as a `ModelError`, never as the engine's own exception. `generate` works again afterwards.
- `count_tokens` and `facts` may be called from any thread at any time. `close` may be called twice.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from sususbot.messages import Audience, Turn

Finish = Literal["stop", "length", "cancelled", "deadline"]

# How far back DRY looks: the message, and what stands right before it; a memory further up may be quoted.
DRY_TOKENS: Final = 256
# What ends a run of tokens that DRY looks at: in a chat, a line, a name, and a newline within a message.
DRY_BREAKERS: Final = ("\n", ":", "⏎", '"', "*")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; names as llama.cpp and the OpenAI API use them. A seed of None draws a fresh one.

    `min_p` drops what is less likely than this share of the likeliest. DRY makes it ever less likely to go on with a
    run of tokens that stood there before: `dry_multiplier` 0 is off, longer runs than `dry_allowed_length` are punished
    by `dry_multiplier * dry_base ** (length - dry_allowed_length)`. Repetition looks at the last 64 tokens, DRY at the
    last DRY_TOKENS.
    """

    temperature: float = 0.8
    top_p: float = 0.9
    top_k: int = 50
    repetition_penalty: float = 1.1
    max_new_tokens: int = 120
    seed: int | None = None
    min_p: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2


@dataclass(frozen=True, slots=True)
class Request:
    """One reply to make.

    `prompt` is for backends that read text; `turns` is the conversation behind it, oldest first, the message to be
    answered last, for backends that choose instead of write. `audience` bounds whose words may be chosen.
    """

    prompt: str
    turns: tuple[Turn, ...]
    stop: tuple[str, ...] = ("\n",)
    sampling: Sampling = field(default_factory=Sampling)
    audience: Audience = None
    channel_id: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one reply; `cached` of the prompt's tokens needed no new computation."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Whose words a reply is made of, where a backend quotes: when it was said (ms), in answer to what, how fitting.

    `answers_id` is the message that it answers.
    """

    message_id: int
    author: str
    at: int
    answers: str | None
    score: float
    answers_id: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the reply; `finish`, `usage` and `source` come with the last one."""

    text: str
    finish: Finish | None = None
    usage: Usage | None = None
    source: Source | None = None


Facts = dict[str, str | int | float]
"""A name, with its unit where it has one (`vram_mb`), to a value. `state` is "running", "loading" or "down: why"."""


class Deadline:
    """The time a reply may still take, and the switch that ends it early. Safe to use from any thread."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when cancelled."""
        return 0.0 if self._cancelled.is_set() else max(0.0, self._at - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the deadline is over if that is sooner."""
        self._cancelled.wait(min(seconds, self.remaining))

    def over(self) -> Literal["cancelled", "deadline"] | None:
        """Why to stop now, or None to go on."""
        if self._cancelled.is_set():
            return "cancelled"
        return "deadline" if time.monotonic() >= self._at else None


class Backend(Protocol):
    """One way to make a reply."""

    @property
    def name(self) -> str:
        """As in the settings and in the trace: `llamacpp`, `recall`, …"""

    @property
    def context_tokens(self) -> int | None:
        """How many tokens prompt and reply may have together; None when there is no such limit."""

    @property
    def parallel(self) -> int:
        """How many replies may be made at once."""

    def facts(self) -> Facts:
        """What an owner may want to know of the engine: state, model, adapter, memory; empty where there is none."""

    def count_tokens(self, text: str) -> int:
        """The length of `text` in this model's tokens (an estimate where the backend has no tokenizer)."""

    def count_ahead(self, texts: Sequence[str]) -> None:
        """Be told what will be counted next: where counting goes over a wire, it is done in one call."""

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        """Make the reply; see the contract at the top of this file."""

    def close(self) -> None:
        """Free memory, ports and threads."""
