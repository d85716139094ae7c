"""What llama.cpp says with an exported base and adapter is what transformers and peft say.

Tolerances, measured on base and adapter of four families, two seeds and three prompts of 24 steps each: with F16 the
log probability of no token is off by more than 0.018, with Q8_0 by more than 0.45 (0.03 on average). An adapter whose
q and k are in transformers' order is off by 5.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel

from sususbot.model.backend import Chunk, Deadline, Request, Sampling
from sususbot.model.llamacpp import LlamaCpp
from sususbot.training.gguf_adapter import adapter_to_gguf
from sususbot.training.gguf_base import base_to_gguf
from sususbot.training.gguf_names import Layout
from tests.training import tiny
from tests.training.engine import Engine, engine

Quant = Literal["F16", "Q8_0"]

# Largest and mean difference of log probabilities.
TOLERANCE: Final[dict[Quant, tuple[float, float]]] = {"F16": (0.05, 0.005), "Q8_0": (0.9, 0.06)}
STEPS: Final = 16
PROMPTS: Final = (
    "mia: did anybody feed the starter 😂?\nbob: ",
    "percival: why no kettles ⏎ please\nmia:",
    "zoë: 東京  and sunny\n",
)


class Folders(NamedTuple):
    base: Path
    adapter: Path


@pytest.fixture(scope="module", params=["mistral", "llama", "qwen2", "qwen3"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folder = tmp_path_factory.mktemp("trained")
    base = tiny.base(folder / "base", family=request.param, dtype=torch.float16)
    return Folders(base, tiny.adapter(folder / "adapter", base))


@pytest.fixture(scope="module")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folder = tmp_path_factory.mktemp("mistral")
    base = tiny.base(folder / "base", tie_word_embeddings=True)
    return Folders(base, tiny.adapter(folder / "adapter", base))


def reference(base: Path, adapter: Path | None) -> torch.nn.Module:
    model = tiny.load(base).float()
    if adapter is not None:
        with tiny.known_warnings():
            model = PeftModel.from_pretrained(model, str(adapter))
    return model.eval()  # type: ignore[no-any-return]


def differences(running: Engine, model: torch.nn.Module) -> Iterator[tuple[NDArray[np.float64], bool]]:
    """At each step of the engine's greedy replies: how far each log probability is off, and whether it was decided
    as the reference decides. A tie within the tolerance may go either way."""
    for prompt in PROMPTS:
        ids = running.tokens(prompt)
        said = running.says(ids, STEPS)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + said])).logits[0].double()
        theirs = torch.log_softmax(logits, -1).numpy()[len(ids) - 1 :]
        for step, token in enumerate(said):
            ours = running.chances(ids + said[:step], theirs.shape[1])
            yield ours - theirs[step], theirs[step].max() - theirs[step][token] <= 2 * TOLERANCE["F16"][0]


def furthest(running: Engine, model: torch.nn.Module) -> float:
    return max(float(np.abs(off).max()) for off, _ in differences(running, model))


@pytest.mark.parametrize("quant", ["F16", "Q8_0"])
@pytest.mark.parametrize("adapted", [False, True], ids=["base", "adapter"])
def test_probabilities_agree(trained: Folders, tmp_path: Path, quant: Quant, adapted: bool) -> None:
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    base_to_gguf(trained.base, base, quant)
    adapter_to_gguf(trained.adapter, adapter)
    with engine(base, adapter if adapted else None) as running:
        seen = list(differences(running, reference(trained.base, trained.adapter if adapted else None)))
    off = np.abs(np.stack([step for step, _ in seen]))
    assert len(seen) > STEPS
    assert off.max() < TOLERANCE[quant][0]
    assert off.mean() < TOLERANCE[quant][1]
    if quant == "F16":
        assert all(decided for _, decided in seen)


def test_without_the_other_order_of_rows_they_do_not(
    mistral: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    base_to_gguf(mistral.base, base)
    monkeypatch.setattr(Layout, "ordered", lambda _self, _module, rows: rows)
    adapter_to_gguf(mistral.adapter, adapter)
    with engine(base, adapter) as running:
        assert furthest(running, reference(mistral.base, mistral.adapter)) > 1


def test_one_matrix_for_tokens_in_and_out(mistral: Folders, tmp_path: Path) -> None:
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    written = base_to_gguf(mistral.base, base)
    assert written.tensors == 2 * 9 + 2
    adapter_to_gguf(mistral.adapter, adapter)
    with engine(base, adapter) as running:
        assert furthest(running, reference(mistral.base, mistral.adapter)) < TOLERANCE["F16"][0]


def test_layers_with_biases(tmp_path: Path) -> None:
    folder = tiny.base(tmp_path / "base", family="llama", attention_bias=True, mlp_bias=True)
    written = base_to_gguf(folder, tmp_path / "base.gguf")
    assert written.tensors == 2 * 16 + 3
    with engine(written.path) as running:
        assert furthest(running, reference(folder, None)) < TOLERANCE["F16"][0]


def test_ranks_and_alphas_that_differ_by_layer(mistral: Folders, tmp_path: Path) -> None:
    patterns: dict[str, Any] = {
        "rank_pattern": {"q_proj": 4, "layers.1.mlp.up_proj": 16},
        "alpha_pattern": {"q_proj": 3, "down_proj": 40},
    }
    odd = tiny.adapter(tmp_path / "odd", mistral.base, **patterns)
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    base_to_gguf(mistral.base, base)
    adapter_to_gguf(odd, adapter)
    with engine(base, adapter) as running:
        assert furthest(running, reference(mistral.base, odd)) < TOLERANCE["F16"][0]


def test_the_bots_own_backend_reads_a_prompt_once(mistral: Folders, tmp_path: Path) -> None:
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    base_to_gguf(mistral.base, base)
    adapter_to_gguf(mistral.adapter, adapter)
    start = "\n".join(tiny.TEXTS)
    with closing(LlamaCpp(base, adapter_path=adapter, context_tokens=1024, threads=1)) as backend:
        first, second = reply(backend, f"{start}\nmia:"), reply(backend, f"{start}\nbob:")
    assert first.usage is not None
    assert second.usage is not None
    assert first.usage.cached <= 1
    # All but the line that changed.
    assert second.usage.cached > second.usage.prompt - 12


def reply(backend: LlamaCpp, prompt: str) -> Chunk:
    sampling = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=4)
    return list(backend.generate(Request(prompt, (), stop=(), sampling=sampling), Deadline(30)))[-1]
