"""What goes onto a card: with the numbers of a real model, and the sizes that a file tells."""

from pathlib import Path
from typing import Final

import gguf
import pytest

from sususbot.model.gguf_header import ModelSize, model_size
from sususbot.model.placement import KV_BYTES, LEAST_CONTEXT, Demand, Placement
from tests.support import tiny_gguf

MIB: Final = 1 << 20
# Mistral-7B-v0.3 as Q4_K_M, 4.37 GB: half of the values and of the way down are Q6_K.
_LAYER: Final = 125 * MIB
MISTRAL: Final = ModelSize(
    layers=(_LAYER,) * 32, output=105 * MIB, key=1024, value=1024, width=4096, heads=32, vocabulary=32_768
)
RESERVE: Final = 512 * 1_000_000
# What an RTX 2080 Ti with a desktop on it has free, and with a game.
DESKTOP: Final = int(10.2 * 1024) * MIB
GAME: Final = 4 * 1024 * MIB


def demand(**changes: object) -> Demand:
    return Demand(MISTRAL, **{"context_tokens": 4096, **changes})  # type: ignore[arg-type]


def test_all_of_mistral_goes_onto_a_2080_ti() -> None:
    assert demand().fitting([DESKTOP], RESERVE) == 33
    # Keys and values of 4096 tokens in f16 are 512 MiB, and in all it is about 4.9 GB.
    without = Demand(MISTRAL, context_tokens=0)
    assert demand().needed(33) - without.needed(33) == pytest.approx(512 * MIB, rel=0.02)
    assert 4.6e9 < demand().needed(33) < 5.2e9


def test_beside_a_game_it_is_some_of_it() -> None:
    layers = demand().fitting([GAME], RESERVE)
    assert 20 <= layers < 30
    assert demand().needed(layers) <= GAME - RESERVE < demand().needed(layers + 1)


def test_no_card_and_a_full_one_take_nothing() -> None:
    assert demand().fitting([], RESERVE) == 0
    assert demand().fitting([300 * MIB], RESERVE) == 0
    assert demand().needed(0) == 0


def test_a_long_context_costs_layers_and_smaller_numbers_bring_them_back() -> None:
    long = demand(context_tokens=16_384, slots=4)
    small = demand(context_tokens=16_384, slots=4, kv="q8_0")
    assert long.fitting([DESKTOP], RESERVE) < 33 == small.fitting([DESKTOP], RESERVE)
    assert KV_BYTES["q8_0"] / KV_BYTES["f16"] == pytest.approx(0.53, abs=0.01)


def test_attention_that_is_not_flash_takes_its_matrix() -> None:
    more = demand(flash=False).needed(33) - demand().needed(33)
    assert more == pytest.approx(512 * 4096 * 32 * 4, rel=0.02)


def test_an_adapter_counts_and_two_cards_are_one() -> None:
    assert demand(adapter=84_000_000).needed(33) - demand().needed(33) == 84_000_000
    assert demand().fitting([GAME, GAME], RESERVE) == 33


def test_more_layers_never_need_less() -> None:
    needed = [demand(adapter=84_000_000).needed(count) for count in range(34)]
    assert needed == sorted(needed)


def test_when_memory_runs_out_there_are_fewer_layers_then_less_context() -> None:
    tried = [Placement(33, 4096)]
    while (smaller := tried[-1].smaller("card")) is not None:
        tried.append(smaller)
    layers = [one.gpu_layers for one in tried]
    assert layers == sorted(layers, reverse=True)
    assert [one.context_tokens for one in tried if one.gpu_layers] == [4096] * sum(map(bool, layers))
    assert tried[-1] == Placement(0, LEAST_CONTEXT)
    assert len(tried) < 20


def test_where_main_memory_is_short_fewer_layers_would_make_it_worse() -> None:
    assert Placement(33, 4096).smaller("main") == Placement(33, 2048)
    assert Placement(33, LEAST_CONTEXT).smaller("main") is None


def test_a_file_tells_its_size(tiny_model: Path) -> None:
    size = model_size(tiny_model)
    assert size is not None
    reader = gguf.GGUFReader(tiny_model)
    told = {tensor.name: int(tensor.n_bytes) for tensor in reader.tensors}
    assert len(size.layers) == tiny_gguf.LAYERS
    for number, layer in enumerate(size.layers):
        exact = sum(size for name, size in told.items() if name.startswith(f"blk.{number}."))
        # Tensors begin at multiples of 32.
        assert exact <= layer < exact + 32 * 9
    assert size.output == pytest.approx(told["output.weight"] + told["output_norm.weight"], abs=64)
    assert (size.key, size.value) == (32, 32)
    assert (size.width, size.heads) == (tiny_gguf.WIDTH, tiny_gguf.HEADS)
    assert size.vocabulary == len(reader.fields["tokenizer.ggml.tokens"].data)


def test_what_is_no_whole_model_tells_nothing(tiny_model: Path, tmp_path: Path) -> None:
    whole = tiny_model.read_bytes()
    for name, data in {
        "empty": b"",
        "text": b"version https://git-lfs",
        "cut": whole[:3000],
        "huge": b"GGUF\x03\x00\x00\x00" + b"\xff" * 15 + b"\x7f",
        "noise": b"GGUF\x03\x00\x00\x00" + bytes(range(256)) * 40,
    }.items():
        (tmp_path / name).write_bytes(data)
        assert model_size(tmp_path / name) is None
    assert model_size(tmp_path / "nowhere") is None
    assert model_size(tiny_gguf.write_adapter(tmp_path / "adapter.gguf")) is None
