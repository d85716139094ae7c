"""The ways to train that are compared compute the same; the benchmark runs from exports to figures."""

import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sususbot.benchmarks import python_docs
from sususbot.benchmarks.training import Sizes, bench_train
from sususbot.benchmarks.training_race import TRL, WayFailed, requirements, trl_python
from sususbot.benchmarks.training_ways import HARDWARE, Packed, Padded, padded_nats, stock_model
from sususbot.training.base import attach_adapter, find_base, load_weights
from sususbot.training.batches import batch
from sususbot.training.documents import Document
from sususbot.training.metrics import CURVE
from sususbot.training.recipe import Recipe
from sususbot.training.train_lora import Trainee
from tests.support.kettle import small_exports
from tests.training import tiny


def some_documents(count: int, seed: int = 0) -> list[Document]:
    """Of 5 to 60 tokens, a third of them without weight."""
    chance = np.random.default_rng(seed)
    made = []
    for place in range(count):
        size = int(chance.integers(5, 60))
        weights = (chance.random(size) * (chance.random(size) < 0.67)).astype(np.float32)
        weights[0] = 0.0
        made.append(Document(str(place), chance.integers(3, tiny.pieces(), size).astype(np.int32), weights, 1.0, 0))
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.base(tmp_path_factory.mktemp("base") / "base")


def with_adapter(model: torch.nn.Module) -> Any:
    """The same adapter on any model, with something in both of its matrices."""
    adapted = attach_adapter(model, Recipe(), HARDWARE)
    chance = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=chance) * 0.1)
    return adapted


def test_packed_and_padded_learn_the_same_of_the_same_documents(base: Path) -> None:
    documents = some_documents(8)
    packed = with_adapter(load_weights(find_base(str(base), download=False), HARDWARE))
    padded = with_adapter(stock_model(base))
    ours, theirs = Trainee(packed, HARDWARE)(batch(documents)), padded_nats(padded, documents)
    assert float(ours.detach()) > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)
    ours.backward()
    theirs.backward()  # type: ignore[no-untyped-call]
    gradients = {name: weight.grad for name, weight in padded.named_parameters() if weight.requires_grad}
    assert gradients
    for name, weight in packed.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-3, atol=1e-3)


def test_both_ways_count_what_they_train(base: Path) -> None:
    documents = some_documents(16)
    tokens = sum(map(len, documents))
    packed = Packed(base, Recipe(pack_tokens=256, epochs=1))(documents)
    assert (packed.tokens, packed.positions) == (tokens, tokens)
    assert packed.operations > 0
    assert packed.rate > 0
    padded = Padded(base, Recipe(), accumulate=2)(documents)
    filled = 8 * sum(max(map(len, documents[begin : begin + 8])) for begin in (0, 8))
    assert (padded.tokens, padded.positions) == (tokens, filled)


def test_an_environment_that_cannot_be_made_says_why_and_one_that_is_complete_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pip finds nothing, as without a network.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    told: list[str] = []
    with pytest.raises(WayFailed, match="pip cannot install it"):
        trl_python(tmp_path / "trl", told.append)
    assert len(told) == 1
    (tmp_path / "trl" / "complete").write_text("\n".join(requirements()), encoding="utf-8")
    assert trl_python(tmp_path / "trl", told.append).is_file()
    assert len(told) == 1


def test_general_text_is_plenty_and_fits_into_rows() -> None:
    texts = python_docs.texts()
    assert len(set(texts)) == len(texts)
    assert sum(map(len, texts)) > 1_000_000
    assert max(map(len, texts)) < 10_000


def test_the_benchmark_in_little_whose_third_way_fails(tmp_path: Path) -> None:
    """A way that fails says why and leaves the others going: here its environment is complete, but has no TRL."""
    venv.create(tmp_path / f"trl-{TRL}")
    (tmp_path / f"trl-{TRL}" / "complete").write_text("\n".join(requirements()), encoding="utf-8")
    few = Recipe(learning_rate=2e-3, epochs=1, rows=1)
    sizes = Sizes("tiny", few, rounds=1, documents=8, base="tiny", base_recipe=few, recipe=few, texts=60)
    result = bench_train(small_exports(), tmp_path, lambda _: None, sizes=sizes)
    metrics = result.metrics
    assert metrics["speedup_vs_trl"] is None
    assert "without TRL: ModuleNotFoundError: No module named" in result.what
    assert metrics["useful_share"] == 1.0
    assert 0 < result.baseline["useful_share"] < 1
    for name in ("useful_tokens_per_s", "speedup_vs_unpacked", "mfu", "pack_fill", "bits_per_byte_base"):
        value = metrics[name]
        assert value is not None
        assert value > 0, name
    assert metrics["bits_per_byte_lora"] < metrics["bits_per_byte_base"]
    assert (tmp_path / CURVE).is_file()
