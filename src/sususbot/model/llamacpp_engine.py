"""One process of llama.cpp, as its parent sees it: from its start over its loading to its end, and why it ended."""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sususbot.errors import BackendFailed, ModelLoadFailed
from sususbot.model.backend import Deadline, Facts
from sususbot.model.child import Child, Message
from sususbot.model.loopback import Loopback, Refused
from sususbot.model.placement import Placement, Where
from sususbot.model.slots import Slots

_log = logging.getLogger(__name__)

_MODULE: Final = "sususbot.model.llamacpp_process"
_MEGABYTE: Final = 1_000_000
# Weights on a slow disk.
_LOAD_SECONDS: Final = 600.0
_GLANCE_SECONDS: Final = 0.05
# How long a reply may still take in an engine that is being replaced.
_RETIRE_SECONDS: Final = 60.0
# What an engine that ran out of memory says, and of which.
_NO_MEMORY: Final = re.compile(
    r"out of memory|insufficient memory|failed to allocate|bad_alloc|OutOf(?:Device|Host)Memory", re.IGNORECASE
)
_MAIN_MEMORY: Final = re.compile(r"CPU buffer|CPU_|ggml_aligned_malloc|bad_alloc|OutOfHostMemory|Host buffer")
# How `child` says that the system may have ended it.
_KILLED: Final = "for want of memory"


class Died(Exception):
    """The engine's process ended while it loaded; the message says how."""


class OutOfMemory(Died):
    """`sure` where it said so; else somebody may have killed it as well."""

    def __init__(self, where: Where, how: str, *, sure: bool) -> None:
        super().__init__(how)
        self.where: Where = where
        self.sure = sure


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What an engine that answers is."""

    wire: Loopback
    address: str
    placement: Placement
    context_tokens: int
    separator: int | None
    vram: int


class Engine:
    """One process, from its start to its end. Made, asked for `devices`, told to `load`, used, then retired or stopped.

    `lost` is told once it ends although nobody stopped it.
    """

    def __init__(self, lost: Callable[["Engine"], None]) -> None:
        self._lost = lost
        self._changed = threading.Condition()
        self._heard: list[Message] = []
        self._loaded: _Loaded | None = None
        self._uses = 0
        self._leaving = False
        self._mourned = threading.Event()
        self.slots = Slots(1)
        self.ended: str | None = None
        self.last_words: list[str] = []
        self._child = Child(_MODULE, hear=self._hear, died=self._end)

    # -- its life

    @property
    def loaded(self) -> bool:
        return self._loaded is not None

    def devices(self, closing: threading.Event) -> list[int]:
        """Bytes free on each card."""
        answer = self._answer(0, closing)
        for card in answer["devices"]:
            _log.info("llama.cpp finds %s, %d MB free", card["name"], card["free"] // _MEGABYTE)
        return [card["free"] for card in answer["devices"]]

    def load(self, order: Message, placement: Placement, closing: threading.Event) -> None:
        """Raises Died, OutOfMemory, and ModelLoadFailed where it loads and does not run."""
        self._child.say(order)
        answer = self._answer(1, closing)
        self.slots = Slots(order["slots"])
        wire = Loopback(answer["address"], order["key"])
        deadline = Deadline(_LOAD_SECONDS)
        try:
            first = wire.call("/completion", {"prompt": " ", "n_predict": 1}, deadline)
            facts = wire.call("/props", None, deadline)
            begin = wire.call("/tokenize", {"content": "", "add_special": True}, deadline)
        except OSError as error:
            raise self._death(closing) from error
        except Refused as refused:
            raise ModelLoadFailed(f"llama.cpp loads {order['model']} but cannot run it: {refused}") from refused
        if first is None or facts is None or begin is None:
            raise ModelLoadFailed(f"llama.cpp loads {order['model']} but is too slow to run it: use a smaller model.")
        # Where it begins to read anew it tells the tokens at which two prompts part.
        self._child.heard_members = True
        self._loaded = _Loaded(
            wire,
            answer["address"],
            placement,
            int(facts["default_generation_settings"]["n_ctx"]),
            # What begins a prompt is a control token: no text becomes it, so that it can stand between texts.
            next(iter(begin["tokens"]), None),
            answer["vram"],
        )

    def _answer(self, number: int, closing: threading.Event) -> Message:
        with self._changed:
            self._changed.wait_for(lambda: len(self._heard) > number or self.ended, _LOAD_SECONDS)
            if len(self._heard) > number:
                return self._heard[number]
        raise self._death(closing)

    def _death(self, closing: threading.Event) -> Exception:
        """What its end means, which has come or is about to."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended, _GLANCE_SECONDS if closing.is_set() else _LOAD_SECONDS)
        if closing.is_set():
            return BackendFailed("llama.cpp was closed while it was loading.")
        how = self.ended or "it does not react"
        if (where := short_of(self.last_words)) is not None:
            return OutOfMemory(where, how, sure=True)
        return OutOfMemory("main", how, sure=False) if _KILLED in how else Died(how)

    def _hear(self, message: Message) -> None:
        with self._changed:
            self._heard.append(message)
            self._changed.notify_all()

    def _end(self, child: Child) -> None:
        with self._changed:
            self.last_words = child.words
            self.ended = child.ended or "it ended"
            lost = self.loaded and not self._leaving
            self._changed.notify_all()
        if lost:
            self._lost(self)
        self._mourned.set()

    def gone(self, seconds: float) -> bool:
        """Whether it ended, and whoever minds knows it; waits so long to see."""
        return self._mourned.wait(seconds)

    def stop(self) -> None:
        """End it now."""
        with self._changed:
            self._leaving = True
        self._child.stop()

    def retire(self) -> None:
        """End it once the replies in hand are made."""
        with self._changed:
            self._leaving = True
            self._changed.wait_for(lambda: not self._uses or self.ended, _RETIRE_SECONDS)
        self._child.stop()

    def kill(self) -> None:
        self._child.kill()

    # -- using it

    def enter(self) -> bool:
        """Begin to use it, if it is not about to go; `used` ends that."""
        with self._changed:
            self._uses += not self._leaving
            return not self._leaving

    @contextmanager
    def used(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._uses -= 1
                self._changed.notify_all()

    def reacts(self, seconds: float) -> bool:
        """Whether its loop answers within so many seconds; a dead one counts as reacting, since that is known."""
        try:
            return self.wire.answers("/metrics", Deadline(seconds))
        except (OSError, Refused):
            return True

    @property
    def _here(self) -> _Loaded:
        assert self._loaded is not None
        return self._loaded

    @property
    def wire(self) -> Loopback:
        return self._here.wire

    @property
    def address(self) -> str:
        return self._here.address

    @property
    def placement(self) -> Placement:
        return self._here.placement

    @property
    def context_tokens(self) -> int:
        return self._here.context_tokens

    @property
    def separator(self) -> int | None:
        return self._here.separator

    def facts(self) -> Facts:
        """`memory_mb` is what it holds now, `vram_mb` what loading took: on a card it asks for all it needs then."""
        here = self._here
        return {
            "pid": self._child.pid,
            "context_tokens": here.context_tokens,
            "gpu_layers": here.placement.gpu_layers,
            "vram_mb": here.vram // _MEGABYTE,
            "memory_mb": self._child.memory // _MEGABYTE,
        }

    def told(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.facts().items())


def short_of(words: Sequence[str]) -> Where | None:
    """Which memory an engine ran out of, by its last words; None when it was not that."""
    lines = [line for line in words if _NO_MEMORY.search(line)]
    if not lines:
        return None
    return "main" if any(_MAIN_MEMORY.search(line) for line in lines) else "card"
