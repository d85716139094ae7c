"""The GGUF files themselves: read back they are what they were made of; what cannot be written is refused."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import gguf
import numpy as np
import pytest
import sentencepiece
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from sususbot.errors import AdapterUnfit, BaseNotFound, BaseUnfit, ExportFailed
from sususbot.training.gguf_adapter import adapter_to_gguf
from sususbot.training.gguf_base import base_to_gguf
from sususbot.training.gguf_names import FAMILIES
from tests.training import killable, tiny

Q8_0: Final = gguf.GGMLQuantizationType.Q8_0
# transformers' name of a layer -> llama.cpp's.
NAMES: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTSIDE: Final = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def theirs(name: str) -> str:
    """llama.cpp's name of a module."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}"


def read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Metadata and tensors of a GGUF file, in fp32."""
    reader = gguf.GGUFReader(path)
    facts = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    return facts, tensors


def undone(name: str, rows: NDArray[np.float32], heads: dict[str, int]) -> NDArray[np.float32]:
    """Rows in llama.cpp's order put back in transformers': each head's even rows first, then its odd ones."""
    if name not in heads:
        return rows
    parts = np.split(rows, heads[name])
    return np.concatenate([half for part in parts for half in (part[0::2], part[1::2])])


HEADS: Final = {"attn_q": 4, "attn_k": 2}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), base)


# -- adapters


def test_an_adapter_read_back_is_what_peft_adds(adapter: Path, base: Path, tmp_path: Path) -> None:
    written = adapter_to_gguf(adapter, tmp_path / "adapter.gguf")
    facts, tensors = read(written.path)
    assert facts["general.type"] == "adapter"
    assert facts["general.architecture"] == "llama"
    assert facts["adapter.type"] == "lora"
    assert facts["adapter.lora.alpha"] == 16.0
    assert (written.kind, written.tensors) == ("lora", len(tensors))
    assert written.bytes == written.path.stat().st_size
    assert len(tensors) == 2 * 7 * 2
    learned: Any = tiny.adapted(tiny.load(base))
    for name, module in learned.named_modules():
        if hasattr(module, "get_delta_weight"):
            key = theirs(name.removeprefix("base_model.model."))
            a, b = (tensors[f"{key}.weight.lora_{half}"] for half in "ab")
            delta = 16 / a.shape[0] * undone(key.split(".")[-1], b, HEADS) @ a
            np.testing.assert_allclose(delta, module.get_delta_weight("default").detach().numpy(), atol=1e-6)


def test_without_undoing_the_order_q_and_k_are_not(adapter: Path, base: Path, tmp_path: Path) -> None:
    adapter_to_gguf(adapter, tmp_path / "adapter.gguf")
    _, tensors = read(tmp_path / "adapter.gguf")
    learned: Any = tiny.adapted(tiny.load(base))
    wrong = {
        key
        for name, module in learned.named_modules()
        if hasattr(module, "get_delta_weight")
        for key in [theirs(name.removeprefix("base_model.model."))]
        if not np.allclose(
            2 * tensors[f"{key}.weight.lora_b"] @ tensors[f"{key}.weight.lora_a"],
            module.get_delta_weight("default").detach().numpy(),
            atol=1e-6,
        )
    }
    assert wrong == {f"blk.{layer}.{part}" for layer in (0, 1) for part in HEADS}


@pytest.mark.parametrize("family", FAMILIES)
def test_only_llamas_rows_are_put_in_another_order(family: str, tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "base", family=family)
    adapter_to_gguf(tiny.adapter(tmp_path / "adapter", base), tmp_path / "adapter.gguf")
    facts, tensors = read(tmp_path / "adapter.gguf")
    assert facts["general.architecture"] == ("llama" if family in ("llama", "mistral") else family)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    b = saved["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"].numpy()
    assert np.array_equal(tensors["blk.0.attn_q.weight.lora_b"], b) == (family not in ("llama", "mistral"))


def test_of_the_base_only_its_config_is_needed(adapter: Path, base: Path, tmp_path: Path) -> None:
    shutil.copy(base / "config.json", tmp_path / "config.json")
    adapter_to_gguf(adapter, tmp_path / "a.gguf")
    adapter_to_gguf(adapter, tmp_path / "b.gguf", tmp_path)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_an_adapter_on_few_layers_is_enough(base: Path, tmp_path: Path) -> None:
    tiny.adapter(tmp_path / "few", base, target_modules=["v_proj"], layers_to_transform=[1])
    adapter_to_gguf(tmp_path / "few", tmp_path / "few.gguf")
    assert set(read(tmp_path / "few.gguf")[1]) == {f"blk.1.attn_v.weight.lora_{half}" for half in "ab"}


OTHER_BASES: dict[str, tuple[dict[str, Any], str]] = {
    "wider": ({"hidden_size": 128}, "made for another base: its model.layers.0.mlp.down_proj is 64 × 128"),
    "fewer heads for keys": ({"num_key_value_heads": 1}, "its model.layers.0.self_attn.k_proj is 32 × 64"),
    "fewer layers": ({"num_hidden_layers": 1}, "changes model.layers.1.mlp.down_proj"),
}


@pytest.mark.parametrize("case", OTHER_BASES)
def test_an_adapter_of_another_base_is_refused(adapter: Path, tmp_path: Path, case: str) -> None:
    config, sentence = OTHER_BASES[case]
    tiny.config_of(**config).save_pretrained(tmp_path)
    with pytest.raises(AdapterUnfit, match=sentence) as caught:
        adapter_to_gguf(adapter, tmp_path / "adapter.gguf", tmp_path)
    assert "--base" in str(caught.value)
    assert not (tmp_path / "adapter.gguf").exists()


def test_a_module_that_is_no_linear_layer_is_refused(base: Path, tmp_path: Path) -> None:
    tiny.adapter(tmp_path / "odd", base, target_modules=["lm_head", "q_proj"])
    with pytest.raises(AdapterUnfit, match="changes lm_head, which is no linear layer of a block"):
        adapter_to_gguf(tmp_path / "odd", tmp_path / "odd.gguf")


def test_a_base_that_is_not_there_is_told(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(BaseNotFound, match=r"no base model at .*nowhere .*give its folder with --base"):
        adapter_to_gguf(adapter, tmp_path / "a.gguf", tmp_path / "nowhere")


def test_a_base_of_a_kind_that_is_not_known_is_refused(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}), encoding="utf-8")
    with pytest.raises(BaseUnfit, match=r"kind gpt2 .*convert_lora_to_gguf\.py"):
        adapter_to_gguf(adapter, tmp_path / "a.gguf", tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": "never heard of"}'])
def test_a_broken_config_of_a_base_is_told(adapter: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(BaseUnfit, match="cannot be read"):
        adapter_to_gguf(adapter, tmp_path / "a.gguf", tmp_path)


# -- bases


@pytest.mark.parametrize(("kind", "worst"), [("F16", 3e-4), ("Q8_0", 3e-3)])
def test_a_base_read_back_is_what_it_was(base: Path, tmp_path: Path, kind: Any, worst: float) -> None:
    written = base_to_gguf(base, tmp_path / "base.gguf", kind)
    facts, tensors = read(written.path)
    weights = load_file(base / "model.safetensors")
    assert len(tensors) == len(weights) == written.tensors
    assert facts["general.file_type"] == {"F16": 1, "Q8_0": 7}[kind]
    for name, weight in weights.items():
        key = theirs(name.removesuffix(".weight"))
        back = undone(key.split(".")[-1], tensors[f"{key}.weight"], HEADS)
        np.testing.assert_allclose(back, weight.numpy(), atol=0 if weight.dim() == 1 else worst)


def test_facts_are_those_of_the_config(tmp_path: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 1e6}
    tiny.base(tmp_path, head_dim=32, sliding_window=256, rope_parameters=rope, rms_norm_eps=1e-5)
    base_to_gguf(tmp_path, tmp_path / "base.gguf")
    facts, _ = read(tmp_path / "base.gguf")
    said = {name.removeprefix("llama."): value for name, value in facts.items() if name.startswith("llama.")}
    assert said.pop("attention.layer_norm_rms_epsilon") == pytest.approx(1e-5)
    assert said == {
        "vocab_size": tiny.pieces(),
        # Where its window ends, llama.cpp would see more than it should.
        "context_length": 256,
        "embedding_length": 64,
        "block_count": 2,
        "feed_forward_length": 128,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "attention.key_length": 32,
        "attention.value_length": 32,
        "rope.dimension_count": 32,
        "rope.freq_base": 1e6,
    }


def test_the_vocabulary_is_told_piece_by_piece(base: Path, tmp_path: Path) -> None:
    base_to_gguf(base, tmp_path / "base.gguf")
    facts, _ = read(tmp_path / "base.gguf")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(base / "tokenizer.model"))
    ids = range(len(pieces))
    assert facts["tokenizer.ggml.model"] == "llama"
    assert facts["tokenizer.ggml.tokens"] == [pieces.id_to_piece(id_) for id_ in ids]
    assert facts["tokenizer.ggml.scores"] == pytest.approx([pieces.get_score(id_) for id_ in ids])
    kinds = facts["tokenizer.ggml.token_type"]
    assert kinds[:3] == [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    assert set(kinds[3:259]) == {gguf.TokenType.BYTE}
    assert set(kinds[259:]) == {gguf.TokenType.NORMAL}
    special = {name: facts[f"tokenizer.ggml.{name}_token_id"] for name in ("unknown", "bos", "eos")}
    assert special == {"unknown": 0, "bos": 1, "eos": 2}
    assert facts["tokenizer.ggml.add_bos_token"] is True
    assert facts["tokenizer.ggml.add_eos_token"] is False
    assert facts["tokenizer.ggml.add_space_prefix"] is True


def test_tokens_beyond_the_vocabulary(tmp_path: Path) -> None:
    pieces = tiny.pieces()
    tiny.base(tmp_path, vocab_size=pieces + 4)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    for number, special in ((0, True), (1, False)):
        tokenizer["added_tokens"].append({"id": pieces + number, "content": f"<more {number}>", "special": special})
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    base_to_gguf(tmp_path, tmp_path / "base.gguf")
    facts, _ = read(tmp_path / "base.gguf")
    assert facts["tokenizer.ggml.tokens"][pieces:] == [
        "<more 0>",
        "<more 1>",
        f"[PAD{pieces + 2}]",
        f"[PAD{pieces + 3}]",
    ]
    kinds = gguf.TokenType
    expected = [kinds.CONTROL, kinds.USER_DEFINED, kinds.UNUSED, kinds.UNUSED]
    assert facts["tokenizer.ggml.token_type"][pieces:] == expected


def test_rows_that_are_no_multiple_of_a_block_stay_in_16_bits(tmp_path: Path) -> None:
    tiny.base(tmp_path, intermediate_size=80)
    base_to_gguf(tmp_path, tmp_path / "base.gguf", "Q8_0")
    kinds = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(tmp_path / "base.gguf").tensors}
    assert kinds["blk.0.ffn_down.weight"] == gguf.GGMLQuantizationType.F16
    assert kinds["blk.0.ffn_up.weight"] == Q8_0


def test_weights_in_several_files_and_bf16(tmp_path: Path) -> None:
    model = tiny.random_model(tiny.config_of()).to(torch.bfloat16)
    one, many = tiny.base(tmp_path / "one", dtype=torch.bfloat16), tiny.base(tmp_path / "many")
    (many / "model.safetensors").unlink()
    model.save_pretrained(many, max_shard_size="100KB")
    assert len(list(many.glob("*.safetensors"))) > 2
    for folder in (one, many):
        base_to_gguf(folder, folder / "base.gguf")
    assert (one / "base.gguf").read_bytes() == (many / "base.gguf").read_bytes()


Change = Callable[[Path], object]


# -- written whole


def too_large(export: Callable[[Path, Path], object], source: Path, out: Path, limit: int) -> None:
    """In a process whose files may have so many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with pytest.raises(ExportFailed) as caught:
        export(source, out)
    told = str(caught.value)
    assert told.startswith(f"{out} cannot be written (")
    assert "\n" not in told


def killed_in_the_middle(base: Path, out: Path) -> None:
    def die(done: int, total: int) -> None:
        if done == total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    base_to_gguf(base, out, "F16", die)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("what", ["adapter", "base"])
def test_a_full_disk_is_told_and_the_old_file_stays(adapter: Path, base: Path, tmp_path: Path, what: str) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    export, source = (adapter_to_gguf, adapter) if what == "adapter" else (base_to_gguf, base)
    for limit in (100, 30_000):
        killable.run(too_large, export, source, out, limit)
        assert out.read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills otherwise")
def test_a_kill_in_the_middle_leaves_the_old_file(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    base_to_gguf(base, out, "Q8_0")
    old = out.read_bytes()
    killable.run_to_its_kill(killed_in_the_middle, base, out)
    assert out.read_bytes() == old
    base_to_gguf(base, out)
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]
    assert read(out)[0]["general.file_type"] == 1


def test_a_place_that_cannot_be_written(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportFailed, match="cannot be written"):
        adapter_to_gguf(adapter, tmp_path / "file" / "adapter.gguf")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(ExportFailed, match="cannot be written"):
        adapter_to_gguf(adapter, tmp_path / "folder")
    assert not (tmp_path / ".folder.part").exists()


def test_no_room_is_told_before_anything_is_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(ExportFailed, match="needs 1 MB, its disk has 0: make room"):
        base_to_gguf(base, tmp_path / "base.gguf")
