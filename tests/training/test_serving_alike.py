"""The backend of transformers and llama.cpp with what was exported say the same, and mean the same by every knob."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel

from sususbot.model.backend import DRY_BREAKERS, Deadline, Request, Sampling
from sususbot.model.causal_lm import CausalLM
from sususbot.model.llamacpp import LlamaCpp
from sususbot.model.sampling import Sampler
from sususbot.model.transformers import Transformers
from sususbot.training.gguf_adapter import adapter_to_gguf
from sususbot.training.gguf_base import base_to_gguf
from tests.training import tiny
from tests.training.engine import Engine, engine

PROMPTS: Final = (
    "mia: did anybody feed the starter 😂?\nbob: ",
    "percival: why no kettles ⏎ please\nmia:",
    "zoë: 東京  and sunny </s>\n",
)
STEPS: Final = 24
# Between two tokens that are closer than this, llama.cpp's half precision may decide the other way.
CLOSE: Final = 0.05


class Trained(NamedTuple):
    base: Path
    adapter: Path
    base_gguf: Path
    adapter_gguf: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    base = tiny.base(folder / "base", dtype=torch.float16)
    adapter = tiny.adapter(folder / "adapter", base)
    made = Trained(base, adapter, folder / "base.gguf", folder / "adapter.gguf")
    base_to_gguf(base, made.base_gguf)
    adapter_to_gguf(adapter, made.adapter_gguf)
    return made


@pytest.fixture(scope="module")
def running(trained: Trained) -> Iterator[Engine]:
    with engine(trained.base_gguf, trained.adapter_gguf) as running:
        yield running


@pytest.fixture(scope="module")
def reference(trained: Trained) -> Any:
    with tiny.known_warnings():
        return PeftModel.from_pretrained(tiny.load(trained.base).float(), str(trained.adapter)).eval()


def logits(model: Any, ids: Sequence[int]) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = model(input_ids=torch.tensor([list(ids)])).logits[0, -1].numpy()
    return found


def said(backend: Transformers | LlamaCpp, prompt: str) -> str:
    sampling = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=STEPS)
    chunks = list(backend.generate(Request(prompt, (), stop=(), sampling=sampling), Deadline(60)))
    return "".join(chunk.text for chunk in chunks)


@pytest.fixture(scope="module")
def ours(trained: Trained) -> Iterator[Transformers]:
    with closing(Transformers(str(trained.base), adapter_path=trained.adapter, threads=1)) as ours:
        yield ours


@pytest.fixture(scope="module")
def theirs(trained: Trained) -> Iterator[LlamaCpp]:
    with closing(LlamaCpp(trained.base_gguf, adapter_path=trained.adapter_gguf, threads=1)) as theirs:
        yield theirs


def test_both_backends_say_the_same_with_the_adapter(
    ours: Transformers, theirs: LlamaCpp, running: Engine, reference: Any
) -> None:
    for prompt in PROMPTS:
        assert ours.count_tokens(prompt) == theirs.count_tokens(prompt)
        one, other = said(ours, prompt), said(theirs, prompt)
        assert len(one) > STEPS / 2
        if one != other:
            # Only where the model itself is undecided.
            ids = running.tokens(prompt)
            best = np.sort(logits(reference, ids + agreed(running, ids, one)))
            assert best[-1] - best[-2] < CLOSE, (one, other)


TEXTS: Final = ("I did 😂", "why no kettles?", "東京では雨です ☔\nmia: ok", "", "x", "🫠🪿 </s>")


def test_both_backends_find_texts_as_likely_as_the_model_does(
    ours: Transformers, theirs: LlamaCpp, running: Engine, reference: Any
) -> None:
    """With the adapter and without; characters that the vocabulary has only in parts among them."""
    for prompt in PROMPTS:
        expected = [likelihood(reference, running, prompt, text) for text in TEXTS]
        for backend in (ours, theirs):
            scored = backend.score(prompt, TEXTS, Deadline(60))
            assert [one.tokens for one in scored] == [tokens for _, tokens in expected]
            for one, (logprob, tokens) in zip(scored, expected, strict=True):
                # llama.cpp computes in half precision.
                assert one.logprob == pytest.approx(logprob, abs=tokens * (1e-5 if backend is ours else CLOSE / 5))
    adapted = ours.score(PROMPTS[0], TEXTS, Deadline(60))
    ours.use_adapter(None)
    assert said(ours, PROMPTS[0]) != said(theirs, PROMPTS[0])
    theirs.use_adapter(None)
    plain, others = (backend.score(PROMPTS[0], TEXTS, Deadline(60)) for backend in (ours, theirs))
    for one, other, before in zip(plain, others, adapted, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=one.tokens * CLOSE / 5)
        assert one.tokens == 0 or abs(one.logprob - before.logprob) > CLOSE


def likelihood(reference: Any, running: Engine, prompt: str, text: str) -> tuple[float, int]:
    """log P(text | prompt) and of how many tokens; one across the border is where prompt and both begin to differ."""
    before, ids = running.tokens(prompt), running.tokens(prompt + text)
    pairs = enumerate(zip(before, ids, strict=False))
    start = next((place for place, (one, other) in pairs if one != other), len(before))
    with torch.no_grad():
        shares = reference(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
    return sum(float(shares[place - 1, ids[place]]) for place in range(start, len(ids))), len(ids) - start


def agreed(running: Engine, ids: Sequence[int], text: str) -> list[int]:
    """The tokens of llama.cpp's reply that ours has, too."""
    tokens = running.says(ids, STEPS)
    return next(tokens[:count] for count in range(STEPS, -1, -1) if text.startswith(running.text(tokens[:count])))


KNOBS: Final = {
    "nothing": Sampling(1.0, 1.0, 0, 1.0),
    "temperature": Sampling(0.6, 1.0, 0, 1.0),
    "top-k": Sampling(1.0, 1.0, 7, 1.0),
    "top-p": Sampling(1.3, 0.6, 0, 1.0),
    "min-p": Sampling(0.8, 1.0, 0, 1.0, min_p=0.2),
    "repetition": Sampling(1.0, 1.0, 0, 1.4),
    "dry": Sampling(1.0, 1.0, 0, 1.0, dry_multiplier=0.9, dry_base=1.5, dry_allowed_length=2),
    "all": Sampling(0.7, 0.9, 40, 1.15, min_p=0.02, dry_multiplier=0.8),
}
# A run of tokens that stood there before, and one that a name breaks.
REPEATING: Final = "the jar nearly exploded, flour everywhere, the jar nearly exploded, flour every"
NAMED: Final = "mia: why no kettles?\nbob: ok\nmia: why no"


@pytest.fixture(scope="module")
def pieces(running: Engine) -> list[str]:
    """Each token as llama.cpp writes it."""
    return [running.text([token]) for token in range(tiny.pieces())]


@pytest.mark.parametrize("prompt", [REPEATING, NAMED])
@pytest.mark.parametrize("knob", KNOBS)
def test_every_knob_means_the_same(running: Engine, reference: Any, pieces: list[str], knob: str, prompt: str) -> None:
    sampling = KNOBS[knob]
    ids = running.tokens(prompt)
    breakers = {token for token, text in enumerate(pieces) if any(breaker in text for breaker in DRY_BREAKERS)}
    tokens, shares = Sampler(sampling, breakers).candidates(logits(reference, ids), ids)
    ours = dict(zip(map(int, tokens), map(float, shares), strict=True))
    theirs = running.shares(ids, sampling, tiny.pieces())
    for token in ours.keys() | theirs.keys():
        assert ours.get(token, 0.0) == pytest.approx(theirs.get(token, 0.0), abs=0.01), (token, pieces[token])


def test_the_breakers_of_runs_are_found(trained: Trained, pieces: list[str]) -> None:
    model = CausalLM(trained.base, adapter=None, four_bit=False, context_tokens=512, threads=1)
    assert model._breakers == {at for at, text in enumerate(pieces) if any(breaker in text for breaker in DRY_BREAKERS)}
