"""The process that `model.transformers` starts: a `CausalLM`, asked in JSON lines.

Asked `load`, `generate`, `score`, `adapter`: one after the other, in the main thread. Asked `count` and `cancel`: at
once, by the thread that listens. Each question has an `id`, which every answer to it bears; the last one is `done`, and
may be an `error`: the name of a ModelError, and its sentence.
"""

import os
import queue
import threading
import traceback
from pathlib import Path
from typing import Any, Final

from sususbot.errors import BackendFailed, ModelError
from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.child import Message, Parent

# What is served was fetched before: nothing here asks the hub.
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


class _Served:
    """The model, and what is asked of it."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._model: Any = None
        self._tasks: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._deadlines: dict[int, Deadline] = {}
        self._lock = threading.Lock()

    def hear(self, message: Message) -> None:
        """In the thread that listens."""
        match message["do"]:
            case "cancel":
                with self._lock:
                    deadline = self._deadlines.get(message["id"])
                if deadline is not None:
                    deadline.cancel()
            case "count":
                self._answer(message, self._count)
            case "generate" | "score":
                # From now on, so that the time it waits here counts, and that it can be cancelled meanwhile.
                with self._lock:
                    self._deadlines[message["id"]] = Deadline(message["seconds"])
                self._tasks.put(message)
            case _:
                self._tasks.put(message)

    def run(self) -> None:
        """In the main thread, until the process ends."""
        do = {"load": self._load, "generate": self._generate, "score": self._score, "adapter": self._use_adapter}
        while True:
            message = self._tasks.get()
            self._answer(message, do[message["do"]])

    def _answer(self, message: Message, do: Any) -> None:
        try:
            answer = do(message)
        except ModelError as error:
            answer = {"error": type(error).__name__, "says": str(error)}
        except Exception as error:  # noqa: BLE001 - told to the parent, as its own
            traceback.print_exc()
            says = f"transformers failed ({type(error).__name__}: {_first_line(error)}): look at the log at DEBUG."
            answer = {"error": BackendFailed.__name__, "says": says}
        self._parent.say({"id": message["id"], "done": True, **answer})

    def _load(self, message: Message) -> Message:
        from sususbot.model.causal_lm import CausalLM

        adapter = message["adapter"]
        self._model = CausalLM(
            Path(message["base"]),
            adapter=Path(adapter) if adapter else None,
            four_bit=message["four_bit"],
            context_tokens=message["context_tokens"],
            threads=message["threads"],
        )
        return {"context_tokens": self._model.context_tokens, "facts": self._model.facts()}

    def _use_adapter(self, message: Message) -> Message:
        path = message["path"]
        self._model.use_adapter(Path(path) if path else None)
        return {"facts": self._model.facts()}

    def _count(self, message: Message) -> Message:
        return {"counts": [len(self._model.tokens(text)) for text in message["texts"]]}

    def _generate(self, message: Message) -> Message:
        request = Request(
            message["prompt"],
            (),
            stop=tuple(message["stop"]),
            sampling=Sampling(**message["sampling"]),
            channel_id=message["channel"],
        )
        last = Chunk("")
        try:
            for last in self._model.generate(request, self._deadlines[message["id"]]):
                if last.finish is None:
                    self._parent.say({"id": message["id"], "text": last.text})
        finally:
            self._forget(message)
        usage = last.usage
        assert usage is not None
        return {
            "text": last.text,
            "finish": last.finish,
            "usage": [usage.prompt, usage.completion, usage.cached],
            "facts": self._model.facts(),
        }

    def _score(self, message: Message) -> Message:
        try:
            scored = self._model.score(message["prompt"], message["texts"], self._deadlines[message["id"]])
        finally:
            self._forget(message)
        return {"scored": [[one.logprob, one.tokens] for one in scored]}

    def _forget(self, message: Message) -> None:
        with self._lock:
            del self._deadlines[message["id"]]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


if __name__ == "__main__":
    served = _Served(parent := Parent())
    os.environ.update(_OFFLINE)
    parent.listen(served.hear)
    served.run()
