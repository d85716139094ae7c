"""llama.cpp itself, with a model of half a megabyte."""

import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sususbot.errors import BackendFailed, ModelLoadFailed, ModelNotFound
from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.llamacpp import LlamaCpp
from tests.support import tiny_gguf

CONTEXT = 16_384


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> Iterator[LlamaCpp]:
    with closing(LlamaCpp(tiny_model, context_tokens=CONTEXT, threads=1)) as backend:
        yield backend


def asked(prompt: str, count: int = 14) -> Request:
    sampling = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=count)
    return Request(prompt, (), stop=(), sampling=sampling)


def reply(backend: LlamaCpp, request: Request, seconds: float = 30.0) -> list[Chunk]:
    return list(backend.generate(request, Deadline(seconds)))


def text(backend: LlamaCpp, prompt: str) -> str:
    return "".join(chunk.text for chunk in reply(backend, asked(prompt)))


def test_the_model_says_what_its_weights_say(backend: LlamaCpp) -> None:
    assert text(backend, "eats the quick").startswith(" fox eats cake🎉 and naps the quick")


def test_an_adapter_changes_the_text(backend: LlamaCpp, tiny_model: Path, tiny_adapter: Path) -> None:
    with closing(LlamaCpp(tiny_model, adapter_path=tiny_adapter, context_tokens=512, threads=1)) as adapted:
        assert text(adapted, "eats the quick") != text(backend, "eats the quick")


def test_the_model_may_end_its_reply_at_once(backend: LlamaCpp) -> None:
    (last,) = reply(backend, asked(f"good {tiny_gguf.END}"))
    assert (last.text, last.finish) == ("", "stop")


def test_the_second_request_reads_only_what_is_new(backend: LlamaCpp) -> None:
    start = "the quick fox " * 50
    reply(backend, asked(start))
    usage = reply(backend, asked(start + "eats"))[-1].usage
    assert usage is not None
    assert usage.cached > usage.prompt * 0.9
    assert usage.completion == 14


def test_what_a_member_writes_is_never_a_control_token(backend: LlamaCpp) -> None:
    assert backend.count_tokens("</s>") > 1
    usage = reply(backend, asked("</s><s>"))[-1].usage
    assert usage is not None
    assert usage.prompt > 4


def test_texts_are_counted_ahead_as_they_are_alone(backend: LlamaCpp, tiny_model: Path) -> None:
    texts = ["the quick fox\n", "", "cake 🎉", "</s><s>", "naps, ünïcode; 東京", "x" * 300]
    backend.count_ahead(texts)
    with closing(LlamaCpp(tiny_model, context_tokens=512, threads=1)) as other:
        assert [backend.count_tokens(text) for text in texts] == [other.count_tokens(text) for text in texts]


def test_a_prompt_longer_than_the_context_is_told(backend: LlamaCpp) -> None:
    with pytest.raises(BackendFailed, match=rf"has \d+ tokens .* only {CONTEXT}: raise CONTEXT_TOKENS"):
        reply(backend, asked("a " * CONTEXT))
    assert text(backend, "hello")


def test_the_deadline_ends_it_while_the_prompt_is_being_read(backend: LlamaCpp) -> None:
    started = time.monotonic()
    (last,) = reply(backend, asked("a b " * 8000), seconds=0.3)
    assert last.finish == "deadline"
    assert time.monotonic() - started < 5
    assert text(backend, "hello")


def test_it_can_be_closed_while_it_answers(tiny_model: Path) -> None:
    backend = LlamaCpp(tiny_model, context_tokens=CONTEXT, threads=1)
    chunks = backend.generate(asked("hello", CONTEXT), Deadline(30))
    next(chunks)
    closing_thread = threading.Thread(target=backend.close)
    closing_thread.start()
    with pytest.raises(BackendFailed, match="halfway"):
        list(chunks)
    closing_thread.join()


def test_a_program_may_end_while_it_answers(tiny_model: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sususbot.model.backend import Deadline, Request, Sampling\n"
        "from sususbot.model.llamacpp import LlamaCpp\n"
        f"backend = LlamaCpp(Path(sys.argv[1]), context_tokens={CONTEXT}, threads=1)\n"
        f"request = Request('hello', (), stop=(), sampling=Sampling(temperature=0, max_new_tokens={CONTEXT}))\n"
        "print(next(backend.generate(request, Deadline(30))).text)\n"
        "chunks = backend.generate(request, Deadline(30)); next(chunks)"
    )
    ended = subprocess.run([sys.executable, "-c", program, tiny_model], capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, b"fox", b"")


def test_every_slot_has_the_whole_context(tiny_model: Path) -> None:
    with closing(LlamaCpp(tiny_model, context_tokens=512, slots=3, threads=1)) as backend:
        assert backend.context_tokens == 512


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("GET", "/props"), ("POST", "/completion"), ("POST", "/tokenize"), ("GET", "/slots")],
)
def test_its_port_is_for_this_process_alone(backend: LlamaCpp, method: str, path: str) -> None:
    assert httpx.URL(backend.address).host == "127.0.0.1"
    answer = httpx.request(
        method, backend.address + path, headers={"Authorization": "Bearer guessed"}, trust_env=False, verify=False
    )
    assert answer.status_code == 401


def test_it_shows_no_page_and_no_port_when_closed(tiny_model: Path) -> None:
    with closing(LlamaCpp(tiny_model, context_tokens=512, threads=1)) as backend:
        assert httpx.get(backend.address, trust_env=False, verify=False).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(backend.address, trust_env=False, verify=False)


def test_it_is_silent(tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with closing(LlamaCpp(tiny_model, context_tokens=512, threads=1)) as backend:
        text(backend, "hello")
    with pytest.raises(ModelLoadFailed):
        LlamaCpp(cut(tiny_model, tmp_path, 300_000))
    assert capfd.readouterr() == ("", "")


def cut(model: Path, folder: Path, length: int) -> Path:
    path = folder / "cut.gguf"
    path.write_bytes(model.read_bytes()[:length])
    return path


def written(data: bytes) -> Callable[[Path, Path], Path]:
    def write(_: Path, folder: Path) -> Path:
        path = folder / "file.gguf"
        path.write_bytes(data)
        return path

    return write


BAD_FILES: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "folder": (lambda _, folder: folder, "is a folder"),
    "empty": (written(b""), r"no GGUF file \(it is empty\)"),
    "text": (written(b"version https://git-lfs.github.com/spec/v1\n"), "no GGUF file .*b'vers'"),
    "magic alone": (written(b"GGUF"), "refuses the model"),
    "noise": (written(b"GGUF\x03\x00\x00\x00" + bytes(range(256)) * 40), "refuses the model"),
    "huge counts": (written(b"GGUF\x03\x00\x00\x00" + b"\xff" * 15 + b"\x7f"), "refuses the model"),
    "cut in the header": (lambda model, folder: cut(model, folder, 3000), "refuses the model"),
    "cut in a tensor": (lambda model, folder: cut(model, folder, 300_000), "refuses the model"),
    "an adapter": (lambda _, folder: tiny_gguf.write_adapter(folder / "a.gguf"), "refuses the model"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_model_is_refused_in_one_sentence(case: str, tiny_model: Path, tmp_path: Path) -> None:
    make, sentence = BAD_FILES[case]
    path = make(tiny_model, tmp_path)
    with pytest.raises(ModelLoadFailed, match=sentence) as caught:
        LlamaCpp(path)
    assert str(path) in str(caught.value)


def test_a_missing_model_names_the_path_and_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no model at .*nowhere\.gguf: download it, or correct MODEL_PATH"):
        LlamaCpp(tmp_path / "nowhere.gguf")


def test_a_missing_adapter_names_the_path_and_the_setting(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no adapter at .*nowhere\.gguf: .* ADAPTER_PATH"):
        LlamaCpp(tiny_model, adapter_path=tmp_path / "nowhere.gguf")


def test_an_adapter_that_does_not_fit_is_told_from_the_model(tiny_model: Path, tmp_path: Path) -> None:
    other = tiny_gguf.write_adapter(tmp_path / "wide.gguf", width=2 * tiny_gguf.WIDTH)
    with pytest.raises(ModelLoadFailed, match="made for another model"):
        LlamaCpp(tiny_model, adapter_path=other)


def test_min_p_leaves_only_what_is_about_as_likely_as_the_likeliest(backend: LlamaCpp) -> None:
    wild = Sampling(temperature=1.5, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=30, seed=3)
    said = [
        "".join(chunk.text for chunk in reply(backend, Request("eats the quick", (), stop=(), sampling=sampling)))
        for sampling in (wild, replace(wild, min_p=0.9))
    ]
    assert said[0] != said[1]
    # Of nearly equals there is only one here: the next word of the cycle.
    assert said[1].startswith(" fox eats cake🎉 and naps the quick fox")


def test_dry_ends_a_run_that_stood_there_before_and_a_new_line_begins_another(backend: LlamaCpp) -> None:
    dry = Sampling(
        temperature=0.0, repetition_penalty=1.0, max_new_tokens=8, dry_multiplier=100.0, dry_allowed_length=3
    )

    def said(prompt: str, sampling: Sampling) -> str:
        return "".join(chunk.text for chunk in reply(backend, Request(prompt, (), stop=(), sampling=sampling)))

    before = "mia: the quick fox eats cake\nbob: "
    assert said(f"{before}the quick fox", replace(dry, dry_multiplier=0.0)).startswith(" eats cake")
    # Three tokens are the same: the fourth would be a run that is too long.
    assert not said(f"{before}the quick fox", dry).startswith(" eats")
    # Broken by a name, a line or our mark of one, the run has only one token.
    for breaker in (":", "\n", " ⏎"):
        assert said(f"{before}the quick{breaker} fox", dry).startswith(" eats cake")


def test_what_the_engine_prints_is_logged_until_it_reads_prompts(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two prompts it may print where they part."""
    caplog.set_level(logging.DEBUG, "sususbot")
    with closing(LlamaCpp(tiny_model, context_tokens=512, threads=1)) as backend:
        reply(backend, asked("eats the quick"))
        reply(backend, asked("eats the fox"))
    lines = [line for line in caplog.messages if line.startswith("llamacpp_process: ")]
    hidden = [re.fullmatch(r"llamacpp_process: \(\d+ characters\)", line) is not None for line in lines]
    assert any("tiny.gguf" in line for line in lines)
    assert hidden[-1]
    assert hidden == sorted(hidden)
