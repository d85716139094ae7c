"""Bytes reckoned beforehand against bytes counted by torch's allocator, on models small enough for seconds."""

from dataclasses import replace
from typing import Any, Final, NamedTuple

import pytest
import torch
from transformers import AutoConfig, PreTrainedConfig

from sususbot.benchmarks.train_gpu import random_base
from sususbot.training.base import attach_adapter, checkpointed
from sususbot.training.batches import Batch
from sususbot.training.counting import counted_peak, held_bytes
from sususbot.training.memory_model import Memory, memory, plain_layers_that_fit
from sususbot.training.recipe import Hardware, Recipe
from sususbot.training.shape import Shape, pairs
from sususbot.training.train_lora import Trainee

MISTRAL: Final = Shape(32, 4096, 14336, 32, 8, 128, 32768)


@pytest.fixture(autouse=True)
def no_kernels_of_this_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN asks the allocator for copies of matrices in an order that one processor likes, and another does not."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


class Size(NamedTuple):
    """Hidden, intermediate, layers, heads, heads of keys, vocabulary; and documents of one row."""

    widths: tuple[int, int, int, int, int, int]
    lengths: tuple[int, ...]

    def config(self, family: str = "mistral") -> PreTrainedConfig:
        hidden, intermediate, layers, heads, kv_heads, vocab = self.widths
        config: PreTrainedConfig = AutoConfig.for_model(
            family,
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=hidden // heads,
            vocab_size=vocab,
            tie_word_embeddings=False,
        )
        return config


# Few words; much vocabulary and heads of their own keys; many documents, more tokens than the loss takes at once; fewer
# tokens than an unpacked matrix has rows. As small as what is large in it lets it be: a fault of 5 % shows in them as
# in larger ones, of which most processors multiply matrices of 16 bits too slowly.
SIZES: Final = {
    "small": Size((64, 224, 4, 8, 2, 256), (100, 100, 56)),
    "wide head": Size((96, 256, 3, 6, 6, 2048), (192,)),
    "long row": Size((64, 224, 3, 4, 2, 256), (50,) * 15 + (18,)),
    "short row": Size((320, 1068, 2, 4, 2, 160), (62, 44)),
}


class Counted(NamedTuple):
    """What stays, and the most that was there beside it in one micro-batch of a step that is not the first."""

    staying: int
    moving: int


def counted(config: PreTrainedConfig, recipe: Recipe, laid_out: Hardware, lengths: tuple[int, ...]) -> Counted:
    model = attach_adapter(random_base(config, laid_out), recipe, laid_out).train()
    checkpointed(model, laid_out.plain_layers)
    trainee = Trainee(model, laid_out)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad])

    def micro_batch() -> None:
        trainee(_batch(config.vocab_size, list(lengths))).backward()

    micro_batch()
    optimizer.step()
    return Counted(held_bytes(model, optimizer), counted_peak(micro_batch))


def _batch(vocab: int, lengths: list[int]) -> Batch:
    tokens = sum(lengths)
    ids = torch.randint(0, vocab, (1, tokens))
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    return Batch(ids, positions, lengths, ids[0].roll(-1), torch.ones(tokens))


def staying(taken: Memory) -> int:
    return taken.weights + taken.embeddings_and_head + taken.adapter + taken.gradients + taken.optimizer_states


def checked(config: PreTrainedConfig, lengths: tuple[int, ...], laid_out: Hardware, **recipe: Any) -> None:
    """What stays to a thousandth, the whole to a twentieth; nothing is promised closer than a tenth."""
    learning = Recipe(pack_tokens=sum(lengths), **recipe)
    reckoned = memory(Shape.of(config), learning, laid_out)
    found = counted(config, learning, laid_out, lengths)
    assert staying(reckoned) == pytest.approx(found.staying, rel=1e-3)
    assert reckoned.total - staying(reckoned) == pytest.approx(found.moving, rel=0.05)
    assert reckoned.total == reckoned.allocated == pytest.approx(sum(found), rel=0.05)


@pytest.mark.parametrize(
    # Few processors multiply in fp16 at any speed.
    ("name", "precision", "kept"),
    [
        *(("small", "fp16", kept) for kept in ("none", "all")),
        *((name, "fp32", kept) for name in SIZES for kept in ("none", "all")),
        *((name, "bf16", kept) for name in SIZES for kept in ("none", "some", "all")),
    ],
)
def test_bytes_in_4_bits_are_those_counted(name: str, precision: str, kept: str) -> None:
    size = SIZES[name]
    layers = {"none": 0, "some": 1, "all": size.widths[2]}[kept]
    checked(size.config(), size.lengths, Hardware("cpu", precision, True, 1, layers))


@pytest.mark.parametrize("kept", [0, 4])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_bytes_of_plain_weights_are_those_counted(precision: str, kept: int) -> None:
    size = SIZES["small"]
    checked(size.config(), size.lengths, Hardware("cpu", precision, False, 1, kept))


@pytest.mark.parametrize("kept", [0, 4])
def test_dropout_and_rank_are_counted_too(kept: int) -> None:
    size = SIZES["small"]
    checked(size.config(), size.lengths, Hardware("cpu", "bf16", True, 1, kept), dropout=0.1, rank=64)


@pytest.mark.parametrize("kept", [0, 4])
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_other_families_take_what_their_norms_add(family: str, kept: int) -> None:
    size = SIZES["small"]
    checked(size.config(family), size.lengths, Hardware("cpu", "bf16", True, 1, kept))


def test_the_shape_of_each_family_is_read_from_its_config() -> None:
    size = SIZES["small"]
    for family in ("llama", "mistral", "qwen2", "qwen3"):
        shape = Shape.of(size.config(family))
        assert shape == Shape(4, 64, 224, 8, 2, 8, 256, normed_heads=family == "qwen3")
    assert Shape.of(AutoConfig.for_model("llama", num_attention_heads=8, hidden_size=512)).kv_heads == 8


def test_mistral_is_as_large_as_it_is_known_to_be() -> None:
    assert MISTRAL.linear_weights == 6_979_321_856
    assert MISTRAL.adapter_weights(16) == 41_943_040
    assert MISTRAL.linear_weights + MISTRAL.other_weights == 7_248_023_552


def test_mistral_at_2048_tokens_stays_below_8_gb() -> None:
    taken = memory(MISTRAL, Recipe(), Hardware("cuda", "fp16", True))
    assert taken.weights / 1e9 == pytest.approx(3.60, abs=0.01)
    assert taken.layer_inputs == 32 * 2048 * 4096 * 2
    assert 6.0e9 < taken.total < 8.0e9


def test_more_layers_kept_take_more_and_fit_what_is_free() -> None:
    recipe, laid_out = Recipe(), Hardware("cuda", "fp16", True)
    taken = [memory(MISTRAL, recipe, replace(laid_out, plain_layers=kept)) for kept in range(33)]
    assert [one.total for one in taken] == sorted(one.total for one in taken)
    for kept in (1, 9, 32):
        free = taken[kept].total - taken[kept].context
        assert plain_layers_that_fit(MISTRAL, recipe, laid_out, free) == kept
        assert plain_layers_that_fit(MISTRAL, recipe, laid_out, free - 1) == kept - 1
    assert plain_layers_that_fit(MISTRAL, recipe, laid_out, 0) == 0


def test_only_a_card_has_a_context_and_loses_some() -> None:
    on_card = memory(MISTRAL, Recipe(), Hardware("cuda:1", "fp16", True))
    beside = memory(MISTRAL, Recipe(), Hardware("cpu", "fp16", True))
    assert on_card.allocated == beside.allocated == beside.total
    assert on_card.fragments + on_card.context > 0


def test_bytes_are_counted_as_they_come_and_go() -> None:
    def work() -> None:
        first = torch.empty(1_000_000, dtype=torch.uint8)
        del first
        second = torch.empty(400_000, dtype=torch.uint8)
        third = torch.empty(500_000, dtype=torch.uint8)
        del second, third

    assert counted_peak(work) == pytest.approx(1_000_000, abs=1000)


def test_operations_of_mistral_are_those_of_its_weights() -> None:
    """Two a weight forwards, two backwards, two where a layer is computed twice; the adapter's own are 0.34 more."""
    work = MISTRAL.operations(1, 0, 0)
    assert work.done / 1e9 == pytest.approx(41.9 + 0.34, abs=0.2)
    assert work.needed / 1e9 == pytest.approx(41.9 * 2 / 3 + 0.25, abs=0.2)
    kept = MISTRAL.operations(1, 0, 0, plain_layers=32)
    assert kept.recomputed == 0
    assert kept.needed == work.needed
    # A full row as one document: 2.4 of 44 GFLOP a token with everything twice.
    full = MISTRAL.operations(2048, pairs([2048]), 0)
    assert (full.done / 2048 - work.done) / 1e9 == pytest.approx(2.15, abs=0.1)
    assert pairs([1, 3]) == 7
