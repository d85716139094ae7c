"""llama.cpp by the package `xllamacpp`: a GGUF model and, where there is one, a LoRA adapter.

The engine runs in a process of its own (`llamacpp_process`), which may be killed, run out of memory or abort without
taking the bot along: the reply in hand ends at once with an error, and the engine is started again in the background
(`kept`). Replies come over its loopback port, closed by a key, and not by the package's callback: only a connection
that is closed ends a prompt that is still being read.

A prompt goes in as token ids, so that nothing a member writes (`</s>`) becomes a control token.
How many layers go onto the card is planned by what is free there (`placement`). Where memory runs out all the same,
while loading or later, the engine comes up again with fewer layers on the card, then with a shorter context, and says
so.
Not promised: bit-equal replies for the same seed on a GPU, where a prompt of which a part is cached is computed in
other batches than the whole of it; and, of a reply cut by its length, an end that could have begun a stop string.
"""

import logging
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sususbot.errors import BackendFailed, ModelError, ModelLoadFailed
from sususbot.model.backend import Chunk, Deadline, Facts, Finish, Request, Usage
from sususbot.model.child import Message
from sususbot.model.gguf_header import model_size
from sususbot.model.kept import Kept
from sususbot.model.llamacpp_engine import Died, Engine, OutOfMemory, short_of
from sususbot.model.llamacpp_files import check_file, refusal
from sususbot.model.llamacpp_requests import FINISHES, completion, refused, usage_of
from sususbot.model.llamacpp_scoring import LlamaCppScorer
from sususbot.model.llamacpp_watch import Watch
from sususbot.model.loopback import Refused
from sususbot.model.openmp import LIBRARY
from sususbot.model.placement import Demand, Flash, KVType, Placement
from sususbot.model.scoring import Scored, check_time

_log = logging.getLogger(__name__)

_MEGABYTE: Final = 1_000_000
# llama.cpp's levels: 2 are errors and warnings, 3 its usual flow of facts about the model.
_QUIET: Final = 2
_TALKATIVE: Final = 3
_GLANCE_SECONDS: Final = 0.05
_MOURN_SECONDS: Final = 2.0
_COUNT_SECONDS: Final = 2.0
_COUNTS_KEPT: Final = 1024


class LlamaCpp:
    """A model in `slots` slots of `context_tokens` each.

    `gpu_layers` None puts onto the card what fits, with `reserve_mb` of it left free; `threads` None takes half of the
    cores. An engine that does not react for `hung_seconds` once a reply came too late is ended and started again.
    Raises ModelError where it cannot be loaded.
    """

    name: Final = "llamacpp"

    def __init__(
        self,
        model_path: Path,
        *,
        adapter_path: Path | None = None,
        context_tokens: int = 4096,
        gpu_layers: int | None = None,
        threads: int | None = None,
        slots: int = 1,
        kv_type: KVType = "f16",
        flash_attention: Flash = "auto",
        reserve_mb: int = 512,
        hung_seconds: float = 120.0,
    ) -> None:
        check_file(model_path, "model", "MODEL_PATH")
        check_file(adapter_path, "adapter", "ADAPTER_PATH")
        self._model = model_path
        self._adapter = adapter_path
        self._asked_context = context_tokens
        self._asked_layers = gpu_layers
        self._reserve = reserve_mb * _MEGABYTE
        # Quantized values are only read by flash attention.
        flash = "on" if kv_type != "f16" and flash_attention == "auto" else flash_attention
        # The engine's threads spin until the last one arrives. With one on every core, any other program makes it wait:
        # 5 s instead of 0.02 s for a tiny reply on two busy cores, 0.04 s with a single thread.
        self._how: Message = {
            "slots": slots,
            "threads": threads or max(1, (os.cpu_count() or 2) // 2),
            "kv": kv_type,
            "flash": flash,
        }
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._closing = threading.Event()
        self._loading: Engine | None = None
        self._watch = Watch(hung_seconds, self._closing)
        self._deaths = 0
        # No larger one is tried again until the program is started again.
        self._largest: Placement | None = None
        # The last one that ran.
        self._engine: Engine
        self._lost: Callable[[Engine], None] = _nobody
        self._kept = Kept("llama.cpp", lambda: self._load(self._adapter))
        self._lost = self._kept.lost
        if self._engine.ended is not None:
            self._lost(self._engine)
        self.context_tokens: int = self._engine.context_tokens

    @property
    def parallel(self) -> int:
        slots: int = self._how["slots"]
        return slots

    @property
    def address(self) -> str:
        """Where the engine listens, or listened when it ran last."""
        return self._engine.address

    def facts(self) -> Facts:
        facts: Facts = {"state": self._kept.state, "model": self._model.name, "restarts": self._deaths}
        facts["adapter"] = self._adapter.name if self._adapter is not None else "none"
        if self._largest is not None:
            facts["smaller"] = f"memory ran out: {self._largest}, not the {self._asked_context} tokens asked for"
        facts |= {"slots": self.parallel, "kv_type": self._how["kv"], "context_tokens": self.context_tokens}
        return facts | self._engine.facts()

    def tokens(self, text: str) -> list[int]:
        """The ids that a text becomes within a prompt."""
        return self._tokens(self._running(), text, begin=False)

    def count_tokens(self, text: str) -> int:
        count = self._counts.get(text)
        if count is None:
            count = self._counts[text] = len(self.tokens(text))
        return count

    def count_ahead(self, texts: Sequence[str]) -> None:
        """One call for all: a call costs a third of a millisecond, and a context is made of dozens of lines."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._counts]
        if not fresh:
            return
        engine = self._running()
        if engine.separator is None:
            return
        mixed = [item for text in fresh for item in (text, engine.separator)]
        count = 0
        left = iter(fresh)
        for token in self._tokens(engine, mixed, begin=False):
            if token == engine.separator:
                self._counts[next(left)] = count
            count = 0 if token == engine.separator else count + 1
        while len(self._counts) > _COUNTS_KEPT:
            self._counts.popitem(last=False)

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        said = False
        try:
            for chunk in self._generated(request, deadline):
                said = True
                yield chunk
            return
        except _Gone:
            if said or deadline.over() is not None:
                raise
        # It had died since the reply before, or of this request: the next one tries once more.
        yield from self._generated(request, deadline)

    def _generated(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        finish: Finish | None = deadline.over()
        usage = Usage()
        engine = self._entered(deadline) if finish is None else None
        if engine is not None:
            with engine.used(), self._translated(engine), engine.slots.taken(request.channel_id) as slot:
                prompt = self._fitting(engine, request, deadline)
                for event in engine.wire.events("/completion", completion(request, prompt, slot), deadline):
                    usage = usage_of(event)
                    # A character cut in half by the end of the reply arrives as U+FFFD.
                    if text := event.get("content", "").replace("\ufffd", ""):
                        yield Chunk(text)
                    if event.get("stop"):
                        finish = FINISHES.get(event.get("stop_type", ""), "stop")
        finish = finish or deadline.over()
        if finish is None:
            raise BackendFailed("llama.cpp ended its reply halfway: it is asked again next time.")
        if finish == "deadline" and engine is not None and not usage.completion:
            self._watch.suspect(engine)
        yield Chunk("", finish, usage)

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """As `Scoring.score`, in a slot that nobody's talk is in if there is one."""
        try:
            return self._scored(prompt, texts, deadline)
        except _Gone:
            check_time(deadline)
        return self._scored(prompt, texts, deadline)

    def _scored(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        engine = self._entered(deadline)
        check_time(deadline)
        assert engine is not None
        try:
            with engine.used(), self._translated(engine), engine.slots.taken(None) as slot:
                return LlamaCppScorer(engine, slot, deadline).scored(prompt, texts)
        finally:
            if deadline.over() == "deadline":
                self._watch.suspect(engine)

    def use_adapter(self, path: Path | None) -> None:
        """Speak with another adapter, or with none. Blocks until the engine does; replies go on meanwhile.

        The new engine is loaded beside the old one, or, where memory is too small for both, after it.
        Raises ModelError where the new adapter cannot be used; the old one stays then.
        """
        check_file(path, "adapter", "ADAPTER_PATH")

        def make() -> Engine:
            engine = self._load(path, beside=beside)
            self._adapter = path
            return engine

        beside = True
        try:
            self._kept.exchange(make, beside=True, retire=Engine.retire)
        except _NoRoom:
            _log.info("llama.cpp ends before it is loaded with another adapter: memory is too small for both")
            beside = False
            self._kept.exchange(make, beside=False, retire=Engine.retire)
        _log.info("llama.cpp speaks with %s", path.name if path is not None else "no adapter")

    def close(self) -> None:
        self._closing.set()
        if (loading := self._loading) is not None:
            loading.kill()
        self._kept.close()
        self._counts.clear()

    # -- loading

    def _load(self, adapter: Path | None, *, beside: bool = False) -> Engine:
        """An engine that answers, as large as planned or as memory allows. Raises _NoRoom instead of a smaller one
        where it is loaded beside another."""
        placement: Placement | None = None
        doubted: Placement | None = None
        while True:
            engine = self._loading = Engine(self._died)
            try:
                if self._closing.is_set():
                    raise BackendFailed("llama.cpp was closed and is not loaded any more.")
                placement = placement or self._planned(engine.devices(self._closing), adapter)
                if beside and placement.gpu_layers < self._engine.placement.gpu_layers:
                    raise _NoRoom
                engine.load(self._order(adapter, placement), placement, self._closing)
                break
            except OutOfMemory as error:
                if beside:
                    raise _NoRoom from error
                if not error.sure and placement != doubted:
                    doubted = placement
                    continue
                smaller = placement.smaller(error.where) if placement is not None else None
                if placement is None or smaller is None:
                    raise ModelLoadFailed(
                        f"There is too little memory for {self._model}, even with a short context on the processor: "
                        "choose a smaller model, or end other programs."
                    ) from error
                _log.warning("llama.cpp: %s memory is too small for %s: trying %s", error.where, placement, smaller)
                placement = self._largest = smaller
            except Died as error:
                if placement is None:
                    advice = "run  pip install --force-reinstall xllamacpp"
                    if LIBRARY in str(error):
                        advice = "install OpenMP's library (Debian, Ubuntu: sudo apt install libgomp1)"
                    raise ModelLoadFailed(f"llama.cpp cannot be started ({error}): {advice}") from error
                raise ModelLoadFailed(refusal(self._model, adapter, str(error))) from error
            finally:
                self._loading = None
                if not engine.loaded:
                    engine.stop()
        self._engine = engine
        _log.info("llama.cpp runs: %s", engine.told())
        return engine

    def _planned(self, free: Sequence[int], adapter: Path | None) -> Placement:
        layers = self._asked_layers
        if layers is None:
            size = model_size(self._model) if free else None
            layers = 0
            if size is not None:
                demand = Demand(
                    size,
                    self._asked_context,
                    self.parallel,
                    self._how["kv"],
                    adapter=adapter.stat().st_size if adapter is not None else 0,
                    flash=self._how["flash"] != "off",
                )
                layers = demand.fitting(free, self._reserve)
        planned = Placement(layers, self._asked_context)
        if self._largest is None:
            return planned
        return Placement(
            min(planned.gpu_layers, self._largest.gpu_layers),
            min(planned.context_tokens, self._largest.context_tokens),
        )

    def _order(self, adapter: Path | None, placement: Placement) -> Message:
        return self._how | {
            "model": str(self._model),
            "adapter": None if adapter is None else str(adapter),
            "context": placement.context_tokens,
            "gpu_layers": placement.gpu_layers,
            "key": secrets.token_urlsafe(32),
            "verbosity": _TALKATIVE if _log.isEnabledFor(logging.DEBUG) else _QUIET,
        }

    def _died(self, engine: Engine) -> None:
        """In the thread that found out, of each engine that was loaded and not stopped."""
        self._deaths += 1
        if (where := short_of(engine.last_words)) is not None:
            smaller = engine.placement.smaller(where)
            if smaller is not None:
                _log.warning("llama.cpp ran out of %s memory as %s: trying %s", where, engine.placement, smaller)
                self._largest = smaller
        self._lost(engine)

    # -- talking to it

    def _running(self) -> Engine:
        """For what does not wait: counting. Raises BackendFailed while there is none."""
        engine = self._kept.get(Deadline(0))
        if engine is None or self._watch.suspects:
            raise BackendFailed("llama.cpp does not answer just now: it is started again.")
        return engine

    def _entered(self, deadline: Deadline) -> Engine | None:
        """The engine, which will not be retired before this reply is made; None when the time was over before."""
        while True:
            engine = self._kept.get(deadline)
            if engine is None or engine.enter():
                return engine
            # It is being replaced, this very moment.
            deadline.wait(_GLANCE_SECONDS)

    def _fitting(self, engine: Engine, request: Request, deadline: Deadline) -> list[int]:
        """The prompt. One made for a longer context than the engine has come up with since loses its beginning."""
        tokens = self._tokens(engine, request.prompt, begin=True, deadline=deadline)
        room = engine.context_tokens - request.sampling.max_new_tokens
        if engine.context_tokens < self.context_tokens and len(tokens) > room > 0:
            return tokens[:1] + tokens[1 - room :] if room > 1 else tokens[-1:]
        return tokens

    def _tokens(
        self, engine: Engine, text: str | list[str | int], *, begin: bool, deadline: Deadline | None = None
    ) -> list[int]:
        """Token ids; of a list, those of its texts, with its ids between them. Empty when the deadline was over."""
        body = {"content": text, "add_special": begin, "parse_special": False}
        with self._translated(engine):
            answer = engine.wire.call("/tokenize", body, deadline or Deadline(_COUNT_SECONDS))
        if answer is None:
            if deadline is not None:
                return []
            self._watch.suspect(engine)
            raise BackendFailed("llama.cpp does not answer just now: tokens are estimated.")
        tokens: list[int] = answer["tokens"]
        return tokens

    @contextmanager
    def _translated(self, engine: Engine) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            raise refused(error) from error
        except OSError as error:
            if self._closing.is_set():
                raise BackendFailed("llama.cpp was closed halfway: start the program again.") from error
            # The system takes a moment to say that a process ended whose connections are closed already.
            engine.gone(_MOURN_SECONDS)
            raise _Gone("llama.cpp stopped halfway: it is started again.") from error


def _nobody(_: Engine) -> None:
    """Is told of an engine's death before there is anybody to mind."""


class _Gone(BackendFailed):
    """The engine's process went away."""


class _NoRoom(ModelError):
    """There is no room for another engine beside the one that runs."""
