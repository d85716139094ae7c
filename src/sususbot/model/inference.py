"""The queue before the backends: one bounded line, few workers, a deadline for each reply, and what happens otherwise.

Fallback chain: the chosen backend, then the others in order (recall), then a short line in character. Every step down
is named in the reply. `submit` either takes a request and later gives exactly one reply, or raises Busy at once.
What a backend said and may not be sent (it is empty, repeats itself, holds what must not be said) is asked for once
more, with another seed, if there is time; if that is no better the next backend is asked, or, where it must not be
said, a line that deflects goes out.
The first backend runs in as many threads as it makes replies at once; the event loop only ever waits on futures. A
backend that does not come back in time is left behind: its deadline is cancelled, what it still says is not heard, and
the next one answers in a thread of its own. The time spent waiting in line counts.
What is no reply (`aside`) is done while nobody waits, and ends the moment somebody does.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sususbot.errors import BackendFailed, Busy, ModelError
from sususbot.model.backend import Backend, Chunk, Deadline, Facts, Finish, Request, Source, Usage

logger = logging.getLogger(__name__)

# Of a reply's time, what is kept back for falling back once the first backend is late.
_RESERVE: Final = 0.25
# Of a reply's time, what a backend may take longer than its deadline before it is left behind.
_MARGIN: Final = 0.05
CANNED: Final = "canned"
DEFLECTED: Final = "deflected"
# A second try draws its words at least as freely, or it would say the same again.
_SECOND_TEMPERATURE: Final = 0.7
# The step before any backend, as it is named when it takes too long.
PREPARING: Final = "context"


Complaint = Literal["empty", "repeated", "filtered"]
Cause = Literal["late", "failed", "broke", "empty", "repeated", "filtered"]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Raw output as it may be sent; with a complaint it may not be."""

    text: str
    complaint: Complaint | None = None


# Makes of raw output what may be sent; told whether it is a quotation.
Clean = Callable[[str, bool], Cleaned]


@dataclass(frozen=True, slots=True)
class Fallback:
    """A try that gave no reply: whose, why in words, and why in one of few words."""

    backend: str
    reason: str
    cause: Cause = "failed"


@dataclass(frozen=True, slots=True)
class Generation:
    """What came out. `backend` is "canned" when nothing but the short line was left, "deflected" when all that came
    was nothing to be said.
    """

    text: str
    backend: str
    usage: Usage
    fallbacks: tuple[Fallback, ...] = ()
    source: Source | None = None
    seconds: dict[str, float] = field(default_factory=dict)


_LATE: Final = "its time was over"
_COMPLAINTS: Final[dict[Complaint, str]] = {
    "empty": "it said nothing",
    "repeated": "it repeated itself",
    "filtered": "it said what must not be said",
}
_ENDED: Final = "nothing is answered any more: start again"

# Told each chunk of text as it comes, on the event loop; None means: forget what came so far, another backend begins.
OnText = Callable[[str | None], None]


def _nobody(_: str | None) -> None:
    """Listens to no text."""


def stripped(raw: str) -> Cleaned:
    """The least that output is cleaned by: something must be left of it."""
    text = raw.strip()
    return Cleaned(text, None if text else "empty")


def _once_more(request: Request) -> Request:
    """The same request, to be answered otherwise."""
    sampling = request.sampling
    seed = None if sampling.seed is None else sampling.seed + 1
    return replace(
        request,
        sampling=replace(sampling, seed=seed, temperature=max(sampling.temperature, _SECOND_TEMPERATURE)),
    )


class Inference:
    """Answers requests one after another, each within its deadline."""

    def __init__(
        self,
        backends: Sequence[Backend],
        *,
        canned: Sequence[str],
        queue_size: int,
        deadline_seconds: float,
        deflecting: Sequence[str] = (),
    ) -> None:
        """`backends` in the order they are tried; `canned` are the lines of last resort; at most `queue_size` wait.

        `deflecting` are the lines for what must not be said; without any it is `canned`.
        """
        self._backends = list(backends)
        self._canned = list(canned)
        self._deflecting = list(deflecting) or self._canned
        self._queue_size = queue_size
        self._seconds = deadline_seconds
        self._waiting = 0
        self._running: set[Deadline] = set()
        self._asides: set[Deadline] = set()
        self._random = random.Random()
        self.retired: str | None = None
        """Why the first backend is not asked any more; None while it is."""
        self._context_thread = ThreadPoolExecutor(1, "context")
        parallel = self._backends[0].parallel if self._backends else 1
        self._model_thread = ThreadPoolExecutor(parallel, "model")
        self._spare_threads = ThreadPoolExecutor(2, "fallback")

    def change(self, *, canned: Sequence[str], deflecting: Sequence[str]) -> None:
        """Settings that were read anew."""
        self._canned = list(canned)
        self._deflecting = list(deflecting) or self._canned

    def retire(self, reason: str) -> None:
        """The first backend is closed and answers nothing any more, whoever asks; what comes after it does."""
        self.retired = reason
        self._backends[0].close()

    def facts(self) -> Facts:
        """What an owner may want to know of the first backend."""
        facts = self._backends[0].facts()
        return facts if self.retired is None else {**facts, "state": f"down: {self.retired}"}

    @property
    def waiting(self) -> int:
        """Requests that were taken and are not answered yet."""
        return self._waiting

    async def submit(
        self,
        prepare: Callable[[], Request],
        *,
        clean: Clean = lambda raw, _quoted: stripped(raw),
        on_text: OnText | None = None,
    ) -> Generation:
        """One reply. `prepare` (may block) makes the request; `clean` turns raw output into what may be sent.

        Raises Busy when too many wait already, and nothing else that a model can cause.
        """
        if self._waiting >= self._queue_size:
            raise Busy("too many questions at once: ask again in a moment")
        self._waiting += 1
        for aside in self._asides.copy():
            aside.cancel()
        try:
            return await self._answer(prepare, clean, on_text or _nobody)
        finally:
            self._waiting -= 1

    def aside(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        """What the first backend makes of a request that is no reply. Blocks: call it in a thread of its own.

        A reply goes first: it cancels the deadline. Raises Busy where one is waiting already, and the backend's errors.
        """
        self._asides.add(deadline)
        try:
            if self._waiting:
                raise Busy("a reply goes first: try again later")
            yield from self._in_turn(request, deadline).result()
        except CancelledError as error:
            raise Busy(_ENDED) from error
        finally:
            self._asides.discard(deadline)

    def close(self) -> None:
        """End what runs, drop what waits."""
        for deadline in self._running | self._asides:
            deadline.cancel()
        for executor in (self._context_thread, self._model_thread, self._spare_threads):
            executor.shutdown(wait=False, cancel_futures=True)
        for backend in self._backends:
            backend.close()

    def _in_turn(self, request: Request, deadline: Deadline) -> "Future[list[Chunk]]":
        first = self._backends[0]
        if self.retired is not None:
            raise BackendFailed(self.retired)
        try:
            return self._model_thread.submit(lambda: list(first.generate(request, deadline)))
        except RuntimeError as error:
            raise Busy(_ENDED) from error

    async def _answer(self, prepare: Callable[[], Request], clean: Clean, tell: OnText) -> Generation:
        begun = time.monotonic()
        fallbacks: list[Fallback] = []

        def fall_back(step: str, cause: Cause, reason: str) -> None:
            logger.warning("%s did not answer: %s", step, reason)
            fallbacks.append(Fallback(step, reason, cause))
            tell(None)

        request = await self._prepared(prepare)
        seconds = {"context": time.monotonic() - begun}
        if request is None:
            fall_back(PREPARING, "late", _LATE)
            return self._last_line(self._canned, CANNED, fallbacks, seconds, tell)
        for place, backend in enumerate(self._backends):
            for asking in (request, _once_more(request)):
                attempt = await self._attempt(place, asking, begun, tell)
                for step, took in attempt.seconds.items():
                    seconds[step] = seconds.get(step, 0.0) + took
                if attempt.failure is not None:
                    fall_back(backend.name, *attempt.failure)
                    break
                # In a thread: reading a long text through its disguises takes as long as a frame.
                cleaned = await asyncio.to_thread(clean, attempt.text, attempt.source is not None)
                if cleaned.complaint is None:
                    usage, source = attempt.usage, attempt.source
                    return Generation(cleaned.text, backend.name, usage, tuple(fallbacks), source, seconds)
                fall_back(backend.name, cleaned.complaint, _COMPLAINTS[cleaned.complaint])
                if asking is not request or not attempt.leaves_time:
                    if cleaned.complaint == "filtered":
                        return self._last_line(self._deflecting, DEFLECTED, fallbacks, seconds, tell)
                    break
        if any(one.cause == "filtered" for one in fallbacks):
            return self._last_line(self._deflecting, DEFLECTED, fallbacks, seconds, tell)
        return self._last_line(self._canned, CANNED, fallbacks, seconds, tell)

    async def _attempt(self, place: int, request: Request, begun: float, tell: OnText) -> "_Attempt":
        """What a backend makes of the request in what is left of the reply's time."""
        left = begun + self._seconds - time.monotonic()
        later = place + 1 < len(self._backends)
        deadline = Deadline(max(0.0, left - self._seconds * _RESERVE * later))
        attempt = _Attempt(self._backends[place], request, deadline, tell)
        if self.retired is not None and place == 0:
            attempt.failure = ("failed", self.retired)
            return attempt
        self._running.add(deadline)
        try:
            await attempt.run(self._spare_threads if place else self._model_thread, self._seconds * _MARGIN)
        finally:
            self._running.discard(deadline)
        return attempt

    async def _prepared(self, prepare: Callable[[], Request]) -> Request | None:
        """The request, or None when making it takes so long that nothing could be done with it."""
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.get_running_loop().run_in_executor(self._context_thread, prepare)
        except TimeoutError:
            return None

    def _last_line(
        self,
        lines: Sequence[str],
        name: str,
        fallbacks: Sequence[Fallback],
        seconds: dict[str, float],
        tell: OnText,
    ) -> Generation:
        text = self._random.choice(lines)
        tell(text)
        return Generation(text, name, Usage(), tuple(fallbacks), None, seconds)


class _Attempt:
    """One backend's try at one request."""

    def __init__(self, backend: Backend, request: Request, deadline: Deadline, tell: OnText) -> None:
        self._backend = backend
        self._request = request
        self._deadline = deadline
        self._tell_caller = tell
        self._loop = asyncio.get_running_loop()
        self._over = False
        self.text = ""
        self.failure: tuple[Cause, str] | None = None
        # For another of the same length.
        self.leaves_time = False
        self.usage = Usage()
        self.source: Source | None = None
        self.seconds: dict[str, float] = {}

    async def run(self, executor: Executor, margin: float) -> None:
        """Fill in `text`, or `failure`: why there is none."""
        begun = time.monotonic()
        allowed = self._deadline.remaining
        try:
            # A backend looks at its deadline itself; the margin is for those that are stuck inside the engine.
            async with asyncio.timeout(allowed + margin):
                finish = await self._loop.run_in_executor(executor, self._generate, begun)
            if finish in ("deadline", "cancelled"):
                self.failure = ("late", _LATE)
        except TimeoutError:
            self.failure = ("late", _LATE)
        except ModelError as error:
            self.failure = ("failed", str(error))
        except Exception as error:
            # A bug in a backend must not cost the member the reply; the log has the whole of it.
            logger.exception("%s broke", self._backend.name)
            self.failure = ("broke", f"it broke ({type(error).__name__})")
        finally:
            # Also when the caller was cancelled: nobody waits any more.
            self._over = True
            self._deadline.cancel()
        took = time.monotonic() - begun
        self.leaves_time = allowed - took > took

    def _generate(self, submitted: float) -> Finish | None:
        begun = time.monotonic()
        self.seconds["queue"] = begun - submitted
        pieces: list[str] = []
        finish: Finish | None = None
        for chunk in self._backend.generate(self._request, self._deadline):
            if self._over:
                return "cancelled"
            if chunk.text:
                self.seconds.setdefault("first_token", time.monotonic() - begun)
                pieces.append(chunk.text)
                self._loop.call_soon_threadsafe(self._tell, chunk.text)
            finish, self.source = chunk.finish, chunk.source
            self.usage = chunk.usage or self.usage
        self.text = "".join(pieces)
        self.seconds["model"] = time.monotonic() - begun
        return finish

    def _tell(self, text: str) -> None:
        """On the event loop: a backend that was left behind may still be talking."""
        if not self._over:
            self._tell_caller(text)
