"""transformers in its process: adapters, four bits, what is kept of a channel, and a process that dies."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import util
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import torch

from sususbot.errors import BackendFailed, MissingExtra, ModelLoadFailed, ModelNotFound
from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.causal_lm import CausalLM
from sususbot.model.transformers import Transformers
from tests.model.conftest import OneTransformers
from tests.support import tiny_gguf, tiny_hf
from tests.training.tiny import known_warnings

PATIENCE = 60.0
GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=14)


@pytest.fixture
def backend(one_transformers: OneTransformers) -> Transformers:
    return one_transformers.get()


def asked(prompt: str, channel: int | None = None, **knobs: float) -> Request:
    return Request(prompt, (), stop=(), sampling=replace(GREEDY, **knobs), channel_id=channel)  # type: ignore[arg-type]


def reply(backend: Transformers | CausalLM, request: Request) -> list[Chunk]:
    return list(backend.generate(request, Deadline(PATIENCE)))


def text(backend: Transformers | CausalLM, prompt: str) -> str:
    return "".join(chunk.text for chunk in reply(backend, asked(prompt)))


def cached(backend: Transformers | CausalLM, prompt: str, channel: int) -> tuple[int, int]:
    usage = reply(backend, asked(prompt, channel))[-1].usage
    assert usage is not None
    return usage.prompt, usage.cached


def test_the_model_says_what_its_weights_say(backend: Transformers) -> None:
    assert text(backend, "eats the quick").startswith(" fox eats cake🎉 and naps the quick")
    (last,) = reply(backend, asked(f"good {tiny_gguf.END}"))
    assert (last.text, last.finish) == ("", "stop")


def test_of_a_channels_prompt_only_what_is_new_is_read(backend: Transformers) -> None:
    start = "the quick fox " * 50
    whole, before = cached(backend, start, 71)
    assert before == 0
    assert cached(backend, "another channel " * 50, 72)[1] <= 1
    longer, kept = cached(backend, f"{start}eats", 71)
    assert kept > whole - 5
    assert longer - kept < 10
    # What was said in between is no hindrance, and a prompt that turns off elsewhere is cut there.
    turned, kept = cached(backend, f"{start[:400]}naps and naps", 71)
    assert whole / 2 < kept < turned


def test_an_adapter_is_exchanged_while_it_runs(backend: Transformers, tiny_peft: Path, tmp_path: Path) -> None:
    plain = text(backend, "eats the quick")
    other = tiny_hf.write_adapter(tmp_path / "other", seed=5)
    try:
        backend.use_adapter(tiny_peft)
        adapted = text(backend, "eats the quick")
        assert backend.facts()["adapter"] == tiny_peft.name
        backend.use_adapter(other)
        third = text(backend, "eats the quick")
        assert len({plain, adapted, third}) == 3
        wide = tiny_hf.write_adapter(tmp_path / "wide", width=128)
        with pytest.raises(ModelLoadFailed, match=r"does not fit .*: train it on this base, or correct ADAPTER_PATH"):
            backend.use_adapter(wide)
        with pytest.raises(ModelNotFound, match="correct ADAPTER_PATH"):
            backend.use_adapter(tmp_path / "nowhere")
        short = tiny_hf.write_adapter(tmp_path / "short") / "adapter_model.safetensors"
        short.write_bytes(short.read_bytes()[:-9])
        with pytest.raises(ModelLoadFailed, match="does not fit"):
            backend.use_adapter(short.parent)
        short.unlink()
        with pytest.raises(ModelLoadFailed, match="is missing"):
            backend.use_adapter(short.parent)
        assert text(backend, "eats the quick") == third
        assert backend.facts()["adapter"] == "other"
        backend.use_adapter(tiny_peft)
        assert text(backend, "eats the quick") == adapted
    finally:
        backend.use_adapter(None)
    assert text(backend, "eats the quick") == plain
    assert backend.facts()["adapter"] == "none"


def test_it_tells_what_runs(backend: Transformers, tiny_base: Path) -> None:
    text(backend, "hello")
    process = psutil.Process(int(backend.facts()["pid"]))
    assert backend.facts() == {
        "state": "running",
        "model": str(tiny_base),
        "adapter": "none",
        "quantization": "float32",
        "device": "cpu",
        "context_tokens": tiny_gguf.CONTEXT,
        "pid": process.pid,
        "memory_mb": pytest.approx(process.memory_info().rss / 1e6, rel=0.1),
        "restarts": backend.facts()["restarts"],
    }


def test_a_prompt_that_is_too_long_is_told(backend: Transformers) -> None:
    with pytest.raises(BackendFailed, match=r"has \d+ tokens and the model's context only 65536: raise CONTEXT_TOKENS"):
        reply(backend, asked("a " * tiny_gguf.CONTEXT))
    assert text(backend, "hello")


def test_halves_of_surrogate_pairs_are_no_hindrance(backend: Transformers) -> None:
    assert backend.count_tokens("a\ud800b") > 0
    assert text(backend, "a\udc00 the quick")


def test_a_long_prompt_is_dropped_while_it_is_read(backend: Transformers) -> None:
    """Cancelled after 50 ms, where reading it takes seconds; and the channel's next request goes on from there."""
    request = asked("the quick fox " * 8000, 73)
    deadline = Deadline(0.05)
    (last,) = backend.generate(request, deadline)
    assert (last.text, last.finish) == ("", "deadline")
    assert text(backend, "eats the quick").startswith(" fox")


def test_a_process_that_dies_costs_one_reply(backend: Transformers, tmp_path: Path) -> None:
    # With this one the model never ends by itself: it is in the middle of its reply whenever it is killed.
    endless = tiny_hf.write_adapter(tmp_path / "endless", seed=3)
    backend.use_adapter(endless)
    try:
        adapted = text(backend, "eats the quick")
        first, restarts = int(backend.facts()["pid"]), int(backend.facts()["restarts"])
        chunks = backend.generate(asked("the quick", max_new_tokens=50_000), Deadline(PATIENCE))
        next(chunks)
        os.kill(first, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        with pytest.raises(BackendFailed, match="stopped in the middle: it was killed"):
            list(chunks)
        assert str(backend.facts()["state"]) in ("loading", "running")
        assert backend.count_tokens("never counted before") > 0
        # A request that cannot wait for the process that takes its place is not kept waiting; another is, and answered.
        (last,) = backend.generate(asked("eats the quick"), Deadline(0.05))
        assert last.finish == "deadline"
        assert text(backend, "eats the quick") == adapted
        assert backend.facts()["state"] == "running"
        assert backend.facts()["pid"] != first
        assert backend.facts()["adapter"] == "endless"
        assert backend.facts()["restarts"] == restarts + 1
    finally:
        backend.use_adapter(None)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot stop a process for a while")
def test_a_process_that_hangs_keeps_nobody_waiting_and_is_replaced(
    backend: Transformers, tiny_peft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it reads nothing any more: a pipe holds 64 KB, which a few prompts fill."""
    monkeypatch.setattr("sususbot.model.transformers._COUNT_SECONDS", 0.2)
    plain = text(backend, "eats the quick")
    backend.use_adapter(tiny_peft)
    first = int(backend.facts()["pid"])
    os.kill(first, signal.SIGSTOP)
    begun = time.monotonic()
    for _ in range(4):
        (last,) = backend.generate(asked("я" * 6000), Deadline(0.05))
        assert last.finish == "deadline"
    with pytest.raises(BackendFailed, match="does not answer"):
        backend.count_tokens("never counted before")
    # From then on tokens are estimated at once.
    assert all(backend.count_tokens(f"never counted before: {number}") for number in range(50))
    assert time.monotonic() - begun < 8
    monkeypatch.setattr(backend, "_stuck_seconds", 1.0)
    Deadline(PATIENCE).wait(1.0)
    # Taken off whatever the process is doing: it may have learned from who does not agree any more.
    backend.use_adapter(None)
    assert text(backend, "eats the quick") == plain
    assert backend.facts()["pid"] != first


def test_what_is_plain_to_see_is_told_before_anything_is_loaded(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.gguf").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelLoadFailed, match="wants ADAPTER_PATH to be the adapter's folder"):
        Transformers(str(tiny_base), adapter_path=tmp_path / "file.gguf")
    with pytest.raises(ModelNotFound, match=r"adapter_config\.json is missing"):
        Transformers(str(tiny_base), adapter_path=tmp_path / "empty")
    with pytest.raises(ModelLoadFailed, match=r"has no config\.json.: correct BASE_MODEL"):
        Transformers(str(tmp_path / "empty"))
    with pytest.raises(ModelNotFound, match="There is no base model at nowhere: correct BASE_MODEL"):
        Transformers("nowhere")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelNotFound, match="is not on this machine: fetch it"):
        Transformers("nobody/has-this-base")


def test_without_the_packages_it_says_what_to_install(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *more: None if name == "peft" else installed(name, *more))
    with pytest.raises(MissingExtra, match=r"pip install -e .\.\[train\]"):
        Transformers(str(tiny_base))


# -- the model itself, in this process


@contextmanager
def loaded(base: Path, **options: object) -> Iterator[CausalLM]:
    before = torch.get_num_threads()
    settings = {"adapter": None, "four_bit": None, "context_tokens": 2048, "threads": 1, **options}
    try:
        with known_warnings():
            yield CausalLM(base, **settings)  # type: ignore[arg-type]
    finally:
        torch.set_num_threads(before)


def test_in_four_bits_it_says_the_same(tiny_base: Path, tiny_peft: Path) -> None:
    """The weights are rounded to sixteen values, and yet prefer what they did; with an adapter beside them, too."""
    with loaded(tiny_base, four_bit=True) as model:
        assert model.facts()["quantization"] == "nf4"
        assert sum(weight.dtype == torch.uint8 for weight in model._model.parameters()) == 7 * tiny_gguf.LAYERS
        plain = text(model, "eats the quick")
        assert plain.startswith(" fox eats cake🎉 and naps")
        model.use_adapter(tiny_peft)
        assert text(model, "eats the quick") != plain


def test_a_window_that_slides_is_read_anew_where_it_forgot(tmp_path: Path) -> None:
    base = tiny_hf.write_base(tmp_path, sliding_window=32)
    with loaded(base) as model:
        start = "the quick fox " * 30
        alone = text(model, f"{start}naps")
        cached(model, f"{start}eats cake", 1)
        assert "".join(chunk.text for chunk in reply(model, asked(f"{start}naps", 1))) == alone


class Full:
    """A card whose memory is full for the next so many passes."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_full_memory_costs_the_other_channels_what_was_kept(tiny_base: Path) -> None:
    with loaded(tiny_base) as model:
        expected = text(model, "eats the quick")
        cached(model, "the quick fox", 1)
        model._model.model.layers[1].register_forward_pre_hook(Full(1))
        assert "".join(chunk.text for chunk in reply(model, asked("eats the quick", 2))) == expected
        assert cached(model, "the quick fox", 1)[1] == 0


def test_memory_that_stays_full_is_told_in_a_sentence(tiny_base: Path) -> None:
    with loaded(tiny_base) as model:
        expected = text(model, "eats the quick")
        hook = model._model.model.layers[1].register_forward_pre_hook(Full(2))
        with pytest.raises(
            BackendFailed, match=r"memory is full, this reply needs more: set LOAD_IN_4BIT=true, or lower"
        ):
            reply(model, asked("eats the quick"))
        hook.remove()
        assert text(model, "eats the quick") == expected


def test_numbers_that_are_none_are_told(tmp_path: Path) -> None:
    base = tiny_hf.write_base(tmp_path)
    with loaded(base) as model:
        model._model.requires_grad_(False).lm_head.weight.fill_(torch.nan)
        with pytest.raises(BackendFailed, match="what is no number"):
            reply(model, asked("hello"))


def test_files_that_are_cut_short_are_told(tmp_path: Path) -> None:
    base = tiny_hf.write_base(tmp_path)
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with (
        pytest.raises(ModelLoadFailed, match=r"cannot be loaded .*: fetch it again, or correct BASE_MODEL"),
        loaded(base),
    ):
        pass
    tiny_hf.write_base(base)
    (base / "tokenizer.model").write_bytes(b"none")
    with pytest.raises(ModelLoadFailed, match="tokenizer of the base cannot be read"), loaded(base):
        pass
