"""Hugging Face transformers in a process of its own: a base as it was trained on, in 4 bits or not, with its adapter.

The reference: what comes out here is what training measured, at a fraction of llama.cpp's speed. The process
(`transformers_process`) is the only one that loads torch. When it dies, replies in hand end with an error at once and
another one is started (`kept`); a request that comes while it loads waits for it as long as its deadline lets it.
One reply at a time. What was computed is kept for the last four channels.
"""

import itertools
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import util
from pathlib import Path
from typing import Final

from sususbot import errors
from sususbot.errors import BackendFailed, MissingExtra, ModelError, ModelLoadFailed, ModelNotFound
from sususbot.model.backend import Chunk, Deadline, Facts, Finish, Request, Usage
from sususbot.model.child import Child, Message
from sususbot.model.estimate import estimate_tokens
from sususbot.model.kept import Kept
from sususbot.model.scoring import Scored, check_time

_log = logging.getLogger(__name__)

_PROCESS: Final = "sususbot.model.transformers_process"
_NEEDED: Final = ("torch", "transformers", "accelerate", "peft", "bitsandbytes", "sentencepiece")
_GLANCE_SECONDS: Final = 0.05
_COUNT_SECONDS: Final = 2.0
_MEGABYTE: Final = 1_000_000
_LOAD_SECONDS: Final = 600.0
# A process that was told to stop and does not is stuck after so long: a step on a slow processor takes seconds.
_STUCK_SECONDS: Final = 60.0
_COUNTS_KEPT: Final = 4096


class Transformers:
    """`base` is a folder or a name on the hub; `four_bit` None: in 4 bits (NF4) where a card is, else not.

    Raises MissingExtra, ModelNotFound and ModelLoadFailed.
    """

    name: Final = "transformers"
    parallel: Final = 1

    def __init__(
        self,
        base: str,
        *,
        adapter_path: Path | None = None,
        four_bit: bool | None = None,
        context_tokens: int = 2048,
        threads: int | None = None,
        stuck_seconds: float = _STUCK_SECONDS,
    ) -> None:
        if any(util.find_spec(package) is None for package in _NEEDED):
            raise MissingExtra("BACKEND=transformers", "train")
        _check_adapter(adapter_path)
        self._base = base
        self._load: Message = {
            "do": "load",
            "base": str(find_folder(base)),
            "four_bit": four_bit,
            "context_tokens": context_tokens,
            "threads": threads,
        }
        self._adapter = adapter_path
        self._stuck_seconds = stuck_seconds
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._counts_lock = threading.Lock()
        self._starting: _Process | None = None
        self._starts = 0
        self._closed = False
        self._lost: Callable[[_Process], None] = _nobody
        self._kept = Kept("The model's process", self._start)
        self._lost = self._kept.lost
        if (first := self._kept.now) is not None and first.ended is not None:
            self._lost(first)

    def facts(self) -> Facts:
        process = self._kept.now
        running: Facts = process.told() if process is not None else {}
        facts: Facts = {"state": self._kept.state, "model": self._base, "restarts": self._starts - 1}
        return facts | running

    def count_tokens(self, text: str) -> int:
        return self._counted([text])[text]

    def count_ahead(self, texts: Sequence[str]) -> None:
        self._counted(texts)

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        process = self._running(deadline)
        if process is None or deadline.over() is not None:
            yield Chunk("", deadline.over() or "deadline", Usage())
            return
        asked = {
            "do": "generate",
            "prompt": _whole(request.prompt),
            "stop": [stop for stop in request.stop if stop],
            "sampling": asdict(request.sampling),
            "channel": request.channel_id,
            "seconds": deadline.remaining,
        }
        with process.ask(asked) as answers:
            while (over := deadline.over()) is None:
                message = answers.next(min(_GLANCE_SECONDS, deadline.remaining))
                if message is None:
                    continue
                if not message.get("done"):
                    yield Chunk(message["text"])
                    continue
                finish: Finish = message["finish"]
                yield Chunk(message["text"], finish, Usage(*message["usage"]))
                return
        yield Chunk("", over, Usage())

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """As `Scoring.score`."""
        process = self._running(deadline)
        check_time(deadline)
        assert process is not None
        asked = {"do": "score", "prompt": _whole(prompt), "texts": [_whole(text) for text in texts]}
        with process.ask(asked | {"seconds": deadline.remaining}) as answers:
            while (message := answers.next(min(_GLANCE_SECONDS, deadline.remaining))) is None:
                check_time(deadline)
        return [Scored(*scored) for scored in message["scored"]]

    def use_adapter(self, path: Path | None) -> None:
        """Serve with this adapter from now on. Blocks; raises ModelError and keeps the old one.

        None takes the old one off, and never fails: it may have learned from who does not agree any more.
        """
        _check_adapter(path)
        old, self._adapter = self._adapter, path
        process = None
        try:
            process = self._running(Deadline(_LOAD_SECONDS))
            if process is None:
                raise BackendFailed("The model is still being loaded: try again later.")
            process.call({"do": "adapter", "path": str(path) if path is not None else None}, _LOAD_SECONDS)
        except ModelError:
            if path is not None:
                self._adapter = old
                raise
            if process is not None:
                process.kill()

    def close(self) -> None:
        self._closed = True
        if self._starting is not None:
            self._starting.stop()
        self._kept.close()

    def _running(self, deadline: Deadline) -> "_Process | None":
        process = self._kept.get(deadline)
        if process is not None and process.silent > self._stuck_seconds:
            _log.warning("process %d hangs and is ended", process.pid)
            process.kill()
            self._lost(process)
            process = self._kept.get(deadline)
        return process

    def _start(self) -> "_Process":
        self._starts += 1
        process = self._starting = _Process(lambda dead: self._lost(dead))
        try:
            if self._closed:
                raise BackendFailed("The model was closed.")
            adapter = str(self._adapter) if self._adapter is not None else None
            loaded = process.call({**self._load, "adapter": adapter})
        except BaseException as error:
            process.stop()
            if isinstance(error, BackendFailed):
                raise ModelLoadFailed(f"The base {self._base} cannot be loaded. {error}") from error
            raise
        finally:
            self._starting = None
        self.context_tokens: int = loaded["context_tokens"]
        return process

    def _counted(self, texts: Sequence[str]) -> dict[str, int]:
        """Token counts of texts, in one call for those that are not known."""
        with self._counts_lock:
            known = {text: self._counts[text] for text in texts if text in self._counts}
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if not fresh:
            return known
        process = self._kept.now
        if process is None or process.quiet:
            return known | {text: estimate_tokens(text) for text in fresh}
        answer = process.call({"do": "count", "texts": [_whole(text) for text in fresh]}, _COUNT_SECONDS)
        counted = dict(zip(fresh, answer["counts"], strict=True))
        with self._counts_lock:
            self._counts |= counted
            while len(self._counts) > _COUNTS_KEPT:
                self._counts.popitem(last=False)
        return known | counted


class _Process:
    """A process that runs, and what it still has to answer."""

    def __init__(self, lost: "Callable[[_Process], None]") -> None:
        # What it told last: with each reply, and when it changed what it is.
        self._facts: Facts = {}
        # Whether it said nothing since a question was left unanswered.
        self.quiet = False
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._open: dict[int, _Answers] = {}
        # What was cancelled and did not end yet, and when.
        self._cancelled: dict[int, float] = {}
        self._lost = lost
        self._child = Child(_PROCESS, hear=self._hear, died=self._died)

    @property
    def ended(self) -> str | None:
        return self._child.ended

    @property
    def silent(self) -> float:
        """For how many seconds it has not ended what it was told to end."""
        with self._lock:
            return max((time.monotonic() - at for at in self._cancelled.values()), default=0.0)

    @property
    def pid(self) -> int:
        return self._child.pid

    def told(self) -> Facts:
        """`memory_mb` as it is now, `vram_mb` as it was after the last reply."""
        return {"pid": self.pid, "memory_mb": self._child.memory // _MEGABYTE, **self._facts}

    def ask(self, question: Message) -> "_Answers":
        """To be used as a context: leaving it cancels what is not answered by then."""
        answers = _Answers(self, next(self._ids))
        with self._lock:
            self._open[answers.id] = answers
        self.say({**question, "id": answers.id})
        if self.ended is not None:
            answers.put(None)
        return answers

    def call(self, question: Message, seconds: float | None = None) -> Message:
        """The one answer to a question. Raises ModelError."""
        with self.ask(question) as answers:
            answer = answers.next(seconds)
        if answer is None:
            self.quiet = True
            raise BackendFailed("The model's process does not answer: restart the program if it happens again.")
        return answer

    def say(self, message: Message) -> None:
        self._child.say(message)

    def leave(self, answers: "_Answers", *, done: bool) -> None:
        """Nobody waits for these any more."""
        with self._lock:
            del self._open[answers.id]
            if not done:
                self._cancelled[answers.id] = time.monotonic()
        if not done:
            self.say({"do": "cancel", "id": answers.id})

    def kill(self) -> None:
        self._child.kill()

    def stop(self) -> None:
        self._child.stop()

    def _hear(self, message: Message) -> None:
        self.quiet = False
        self._facts = message.get("facts", self._facts)
        with self._lock:
            answers = self._open.get(message["id"])
            if message.get("done"):
                self._cancelled.pop(message["id"], None)
        if answers is not None:
            answers.put(message)

    def _died(self, _: Child) -> None:
        with self._lock:
            waiting = list(self._open.values())
        for answers in waiting:
            answers.put(None)
        self._lost(self)


class _Answers:
    """What a process answers to one question."""

    def __init__(self, process: _Process, number: int) -> None:
        self.id = number
        self._process = process
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._done = False

    def put(self, message: Message | None) -> None:
        """None: there will be no more."""
        self._inbox.put(message)

    def next(self, seconds: float | None = None) -> Message | None:
        """The next answer; None when there is none within `seconds`. Raises ModelError."""
        try:
            message = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        self._done = message is None or message.get("done", False)
        if message is None:
            raise BackendFailed(f"The model's process stopped in the middle: {self._process.ended}.")
        if "error" in message:
            kind: type[ModelError] = getattr(errors, message["error"])
            raise kind(message["says"])
        return message

    def __enter__(self) -> "_Answers":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.leave(self, done=self._done)


def find_folder(base: str) -> Path:
    """Where a base lies, by its path or by its name on the hub, from which nothing is fetched here."""
    local = Path(base).expanduser()
    if (local / "config.json").is_file():
        return local.resolve()
    if local.exists():
        raise ModelLoadFailed(f"{local} is no folder of a base model (it has no config.json): correct BASE_MODEL.")
    if base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise ModelNotFound(f"There is no base model at {base}: correct BASE_MODEL.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(base, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise ModelNotFound(
            f"The base model {base} is not on this machine: fetch it with  sususbot models download {base}  and set "
            "BASE_MODEL to its folder."
        ) from error


def _check_adapter(path: Path | None) -> None:
    """What is plain to see is told at once, not after the base was loaded."""
    if path is None or (path / "adapter_config.json").is_file():
        return
    if path.is_file():
        raise ModelLoadFailed(
            f"{path} is a file: BACKEND=transformers wants ADAPTER_PATH to be the adapter's folder, e.g. "
            "data/runs/NAME/adapter."
        )
    raise ModelNotFound(f"There is no adapter in {path} (adapter_config.json is missing): correct ADAPTER_PATH.")


def _whole(text: str) -> str:
    """Halves of surrogate pairs are no text to a tokenizer."""
    return text.encode(errors="replace").decode()


def _nobody(_: _Process) -> None:
    """Keeps nothing: one that dies before it is kept."""
