"""The queue before the backends: one reply for each request, in time, whatever the backends do."""

import asyncio
import logging
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

import pytest

from sususbot.errors import Busy
from sususbot.model.backend import Backend, Deadline, Request, Sampling
from sususbot.model.inference import CANNED, DEFLECTED, PREPARING, Cleaned, Fallback, Inference
from sususbot.model.scripted import Scripted
from tests.model.unruly import Broken, Stuck, Watched

REQUEST = Request("hello", ())
LATE = "its time was over"
# Long enough that a busy machine still falls back in what is kept for that: nearly all of it, where it is `hurried`.
TIME = 15.0


def inference(*backends: Backend, queue_size: int = 16, seconds: float = 10.0) -> closing[Inference]:
    return closing(Inference(backends, canned=["hm."], queue_size=queue_size, deadline_seconds=seconds))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first backend has little of a reply's time, so that waiting for one that is late takes no longer."""
    monkeypatch.setattr("sususbot.model.inference._RESERVE", 0.95)
    monkeypatch.setattr("sususbot.model.inference._MARGIN", 0.01)


def prepare() -> Request:
    return REQUEST


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 60)


def slow(line: str = "far too slow") -> Scripted:
    return Scripted([line], seconds_per_token=5.0)


async def test_the_first_backend_answers() -> None:
    with inference(Scripted(["  hello there "]), Scripted(["second"])) as queue:
        reply = await queue.submit(prepare)
    assert (reply.text, reply.backend, reply.fallbacks) == ("hello there", "scripted", ())
    assert reply.usage.completion == 3
    assert {"context", "queue", "first_token", "model"} <= reply.seconds.keys()


async def test_a_failing_backend_hands_on_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    with inference(Scripted(["one"], fail_at={1}), Scripted(["two"])) as queue:
        first, second = await queue.submit(prepare), await queue.submit(prepare)
    assert first.text == "two"
    assert first.fallbacks == (Fallback("scripted", "The script says that request 1 fails."),)
    assert (second.text, second.fallbacks) == ("one", ())
    assert "scripted did not answer: The script says that request 1 fails." in caplog.text


@pytest.mark.usefixtures("hurried")
async def test_when_all_fail_a_line_in_character_is_left_and_each_step_is_named() -> None:
    with inference(Scripted(["one"], fail_at={1}), slow(), Scripted([" "]), seconds=TIME) as queue:
        reply = await queue.submit(prepare)
    assert (reply.text, reply.backend) == ("hm.", CANNED)
    assert [fallback.reason for fallback in reply.fallbacks] == [
        "The script says that request 1 fails.",
        LATE,
        "it said nothing",
        "it said nothing",
    ]


async def test_without_backends_there_is_still_an_answer() -> None:
    with inference() as queue:
        assert (await queue.submit(prepare)).backend == CANNED


@pytest.mark.usefixtures("hurried")
async def test_a_slow_backend_leaves_the_next_one_time_to_answer() -> None:
    with inference(slow(), Scripted(["quick"]), seconds=TIME) as queue:
        begun = time.monotonic()
        reply = await queue.submit(prepare)
        assert time.monotonic() - begun < TIME
    assert reply.text == "quick"
    assert reply.fallbacks == (Fallback("scripted", LATE, "late"),)


@pytest.mark.usefixtures("hurried")
async def test_a_stuck_backend_is_left_behind_and_the_next_request_is_answered_too() -> None:
    stuck = Stuck()
    heard: list[str | None] = []
    with inference(stuck, Scripted(["quick"]), seconds=TIME) as queue:
        first = await queue.submit(prepare, on_text=heard.append)
        second = await queue.submit(prepare)
        assert [reply.text for reply in (first, second)] == ["quick", "quick"]
        assert first.fallbacks == second.fallbacks == (Fallback("scripted", LATE, "late"),)
        # What it says afterwards is not heard, and its thread comes free.
        stuck.released.set()
        await happened(stuck.ended)
        # Whatever its thread handed to the event loop has been run after this.
        await asyncio.to_thread(int)
    assert heard == ["erm", None, "quick"]


async def test_empty_after_cleaning_is_asked_once_more_and_then_the_next_one_is() -> None:
    def clean(text: str, _quoted: bool) -> Cleaned:
        return Cleaned("", "empty") if text == "rude" else Cleaned(text.upper())

    first = Scripted(["rude"])
    with inference(first, Scripted(["kind"])) as queue:
        reply = await queue.submit(prepare, clean=clean)
    nothing = Fallback("scripted", "it said nothing", "empty")
    assert (reply.text, reply.fallbacks) == ("KIND", (nothing, nothing))
    assert len(first.requests) == 2


@pytest.mark.parametrize("seed", [None, 7])
async def test_what_is_asked_once_more_is_drawn_otherwise(seed: int | None) -> None:
    script = Scripted(["", "better"])
    with inference(script) as queue:
        sampling = Sampling(temperature=0.0, seed=seed)
        reply = await queue.submit(lambda: replace(REQUEST, sampling=sampling))
    assert reply.text == "better"
    assert [one.cause for one in reply.fallbacks] == ["empty"]
    first, second = (request.sampling for request in script.requests)
    assert (first.temperature, first.seed) == (0.0, seed)
    assert second.temperature > 0.5
    assert second.seed == (None if seed is None else 8)


async def test_what_must_not_be_said_twice_is_deflected_and_never_heard_from_another() -> None:
    def clean(text: str, _quoted: bool) -> Cleaned:
        return Cleaned("", "filtered") if text == "rude" else Cleaned(text)

    script = Scripted(["rude", "rude", "rude", "nice"])
    backends = [script, Scripted(["second"])]
    lines = {"canned": ["hm."], "deflecting": ["not saying that"]}
    with closing(Inference(backends, queue_size=4, deadline_seconds=10, **lines)) as queue:
        forbidden = await queue.submit(prepare, clean=clean)
        allowed = await queue.submit(prepare, clean=clean)
    assert (forbidden.text, forbidden.backend) == ("not saying that", DEFLECTED)
    assert [one.cause for one in forbidden.fallbacks] == ["filtered", "filtered"]
    assert (allowed.text, allowed.backend) == ("nice", "scripted")
    assert [one.cause for one in allowed.fallbacks] == ["filtered"]


@pytest.mark.usefixtures("hurried")
async def test_nothing_is_asked_once_more_for_which_there_is_no_time() -> None:
    script = Scripted([" . . . . . . "], seconds_per_token=0.1)
    with inference(script, Scripted(["second"]), seconds=TIME) as queue:
        reply = await queue.submit(prepare, clean=lambda text, _: Cleaned("" if "." in text else text, "empty"))
    assert len(script.requests) == 1
    assert reply.backend == CANNED


async def test_a_backend_that_makes_several_replies_at_once_is_let() -> None:
    class Two(Scripted):
        parallel: int = 2  # type: ignore[misc]

    together = threading.Barrier(2)

    def meet(request: Request) -> str:
        together.wait(60)
        return request.prompt

    with inference(Two(meet)) as queue:
        replies = await asyncio.gather(*(queue.submit(partial(Request, f"number {n}", ())) for n in range(2)))
    assert [reply.text for reply in replies] == ["number 0", "number 1"]


async def test_a_bug_in_a_backend_costs_no_reply_and_is_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str | None] = []
    with inference(Broken(["x"]), Scripted(["whole"])) as queue:
        reply = await queue.submit(prepare, on_text=heard.append)
    assert reply.text == "whole"
    assert reply.fallbacks == (Fallback("scripted", "it broke (ZeroDivisionError)", "broke"),)
    assert heard == ["I am", None, "whole"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_text_is_told_in_order_on_the_event_loop() -> None:
    loop_thread = threading.get_ident()
    heard: list[tuple[str | None, int]] = []
    words = " ".join(map(str, range(100)))
    with inference(Scripted([words], fail_at={2})) as queue:
        await queue.submit(prepare, on_text=lambda text: heard.append((text, threading.get_ident())))
        assert "".join(text or "" for text, _ in heard) == words
        assert len(heard) == 100
        assert {thread for _, thread in heard} == {loop_thread}
        heard.clear()
        await queue.submit(prepare, on_text=lambda text: heard.append((text, threading.get_ident())))
    assert heard == [(None, loop_thread), ("hm.", loop_thread)]


@pytest.mark.usefixtures("hurried")
async def test_beyond_the_queue_size_it_is_busy_at_once_and_free_again_afterwards() -> None:
    with inference(Watched(), Scripted(["quick"]), queue_size=3, seconds=TIME) as queue:
        waiting = [asyncio.create_task(queue.submit(prepare)) for _ in range(3)]
        await asyncio.sleep(0)
        assert queue.waiting == 3
        begun = time.monotonic()
        with pytest.raises(Busy, match="too many questions at once"):
            await queue.submit(prepare)
        assert time.monotonic() - begun < TIME / 2
        assert [reply.text for reply in await asyncio.gather(*waiting)] == ["quick"] * 3
        assert queue.waiting == 0
        assert (await queue.submit(prepare)).text == "quick"


@pytest.mark.usefixtures("hurried")
async def test_one_that_waited_past_its_time_falls_back_quickly() -> None:
    stuck = Stuck()
    with inference(stuck, Scripted(["quick"]), seconds=TIME) as queue:
        begun = time.monotonic()
        replies = await asyncio.gather(*(queue.submit(prepare) for _ in range(8)))
        assert time.monotonic() - begun < TIME
        assert {reply.text for reply in replies} == {"quick"}
        stuck.released.set()
        await happened(stuck.ended)


async def test_cancelling_the_caller_cancels_the_backend() -> None:
    backend = Watched()
    with inference(backend) as queue:
        task = asyncio.create_task(queue.submit(prepare))
        await happened(backend.began)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await happened(backend.ended)
        assert backend.finish == "cancelled"
        assert queue.waiting == 0


async def test_making_the_request_counts_and_is_not_waited_for_for_ever() -> None:
    let_go = threading.Event()

    def hang() -> Request:
        let_go.wait(20)
        return REQUEST

    with inference(Scripted(["never asked"]), seconds=0.2) as queue:
        reply = await queue.submit(hang)
        let_go.set()
        assert (reply.text, reply.backend, reply.fallbacks) == ("hm.", CANNED, (Fallback(PREPARING, LATE, "late"),))
        queue._seconds = 20.0
        assert (await queue.submit(prepare)).text == "never asked"


async def test_what_goes_wrong_before_any_backend_is_the_callers() -> None:
    def fail() -> Request:
        raise LookupError("no such channel")

    with inference(Scripted(["one"])) as queue:
        with pytest.raises(LookupError):
            await queue.submit(fail)
        assert queue.waiting == 0


async def test_closing_ends_what_runs_at_once() -> None:
    backend = Watched()
    queue = Inference([backend], canned=["hm."], queue_size=4, deadline_seconds=30)
    tasks = [asyncio.create_task(queue.submit(prepare)) for _ in range(3)]
    await happened(backend.began)
    begun = time.monotonic()
    queue.close()
    assert time.monotonic() - begun < 5
    await happened(backend.ended)
    assert backend.finish == "cancelled"
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(not isinstance(outcome, Exception) for outcome in outcomes)


@pytest.mark.parametrize("queue_size", [40, 200])
async def test_of_200_at_once_each_gets_exactly_one_outcome(queue_size: int) -> None:
    outcomes: Counter[str] = Counter()

    async def ask(queue: Inference, number: int) -> None:
        try:
            reply = await queue.submit(partial(Request, f"number {number}", ()))
        except Busy:
            outcomes["busy"] += 1
        else:
            assert reply.text in (f"echo number {number}", f"second number {number}")
            outcomes[reply.text.split()[0]] += 1

    backends = [
        Scripted(lambda request: f"echo {request.prompt}", fail_at=range(3, 500, 3)),
        Scripted(lambda request: f"second {request.prompt}"),
    ]
    with inference(*backends, queue_size=queue_size) as queue:
        await asyncio.gather(*(ask(queue, number) for number in range(200)))
    assert outcomes["busy"] == 200 - queue_size
    assert outcomes["second"] == queue_size // 3
    assert outcomes.total() == 200


async def test_cancelled_callers_among_many_cost_the_others_nothing() -> None:
    with inference(Scripted(lambda request: request.prompt, seconds_per_token=0.002)) as queue:
        tasks = [asyncio.create_task(queue.submit(prepare)) for _ in range(16)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        for task in tasks[::3]:
            with suppress(asyncio.CancelledError):
                await task
        others = [task for number, task in enumerate(tasks) if number % 3]
        assert [reply.text for reply in await asyncio.gather(*others)] == ["hello"] * len(others)


async def test_what_is_no_reply_is_done_by_the_first_backend_while_nobody_waits() -> None:
    first = Scripted(["in short"])
    with inference(first, Scripted(["second"])) as queue:
        chunks = await asyncio.to_thread(lambda: list(queue.aside(REQUEST, Deadline(TIME))))
    assert "".join(chunk.text for chunk in chunks) == "in short"
    assert list(first.requests) == [REQUEST]


@pytest.mark.usefixtures("hurried")
async def test_a_reply_ends_what_is_none_and_comes_at_once() -> None:
    watched = Watched()
    deadline = Deadline(60.0)
    with inference(watched, Scripted(["second"]), seconds=TIME) as queue:
        aside = asyncio.create_task(asyncio.to_thread(lambda: list(queue.aside(REQUEST, deadline))))
        await happened(watched.began)
        watched.ended.clear()
        reply = asyncio.create_task(queue.submit(prepare))
        chunks = await aside
        assert chunks[-1].finish == "cancelled"
        assert (await reply).text == "second"
    assert deadline.over() == "cancelled"


async def test_while_a_reply_is_made_nothing_else_begins() -> None:
    watched = Watched()
    with inference(watched, seconds=60) as queue:
        reply = asyncio.create_task(queue.submit(prepare))
        await happened(watched.began)
        with pytest.raises(Busy, match="a reply goes first"):
            await asyncio.to_thread(lambda: list(queue.aside(REQUEST, Deadline(TIME))))
        assert watched.finish is None
        reply.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reply


async def test_closing_ends_what_is_no_reply_and_nothing_begins_afterwards() -> None:
    watched = Watched()
    with inference(watched) as queue:
        aside = asyncio.create_task(asyncio.to_thread(lambda: list(queue.aside(REQUEST, Deadline(60.0)))))
        await happened(watched.began)
    assert (await aside)[-1].finish == "cancelled"
    with pytest.raises(Busy, match="start again"):
        list(queue.aside(REQUEST, Deadline(TIME)))
