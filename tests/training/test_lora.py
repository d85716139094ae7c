"""An adapter as it is read, and one after the other what makes it unfit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sususbot.errors import AdapterUnfit, BaseNotFound
from sususbot.training.lora import CONFIG, WEIGHTS, read_adapter
from tests.training import tiny

Q = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), base)


def copy(adapter: Path, folder: Path, *, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """The adapter with other settings, and other tensors (None takes one away)."""
    said = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**said, **config}), encoding="utf-8")
    held: dict[str, Any] = {**load_file(adapter / WEIGHTS), **(tensors or {})}
    save_file({name: tensor for name, tensor in held.items() if tensor is not None}, folder / WEIGHTS)
    return folder


def test_a_layers_change_is_what_peft_adds(adapter: Path, base: Path) -> None:
    read = read_adapter(adapter)
    assert read.named_base() == str(base)
    with tiny.known_warnings():
        learned: Any = tiny.adapted(tiny.load(base))
    modules = {
        name.removeprefix("base_model.model."): module
        for name, module in learned.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    assert read.pairs.keys() == modules.keys()
    for name, module in modules.items():
        torch.testing.assert_close(read.pairs[name].delta(), module.get_delta_weight("default"))


def test_ranks_and_alphas_are_those_of_the_layer(base: Path, tmp_path: Path) -> None:
    patterns: dict[str, Any] = {
        "rank_pattern": {"q_proj": 4, r"layers\.1\.mlp\.up_proj": 16, "^model.layers.0.mlp.up_proj": 2},
        "alpha_pattern": {"q_proj": 3, "down_proj": 40, "layers.1.self_attn.v_proj": 7},
    }
    with tiny.known_warnings():
        learned: Any = tiny.adapted(tiny.load(base), **patterns)
        learned.save_pretrained(str(tmp_path))
    read = read_adapter(tmp_path)
    for name, pair in read.pairs.items():
        module = learned.get_submodule(f"base_model.model.{name}")
        assert (pair.a.shape[0], pair.alpha) == (module.r["default"], module.lora_alpha["default"])
        torch.testing.assert_close(pair.delta(), module.get_delta_weight("default"))


BAD_SETTINGS: dict[str, tuple[Any, str]] = {
    "use_rslora": (True, r"scaled by alpha / √rank \(rsLoRA\)"),
    "use_dora": (True, "is a DoRA"),
    "modules_to_save": (["lm_head"], r"trained whole modules .*\(modules_to_save\)"),
    "trainable_token_indices": ([5, 6], "embeddings of single tokens"),
    "bias": ("lora_only", r"biases of its base, too \(bias=lora_only\)"),
    "lora_bias": (True, "trained biases, too"),
    "fan_in_fan_out": (True, "the other way round"),
    "layer_replication": ([[0, 2]], "repeats layers"),
    "alora_invocation_tokens": ([1, 2], "aLoRA"),
    "target_parameters": (["experts.w1"], "no linear layers"),
    "init_lora_weights": ("pissa_niter_4", "began by changing its base"),
    "peft_type": ("LOHA", "no LoRA but LOHA"),
    "lora_alpha": (0, "weighs nothing"),
}


@pytest.mark.parametrize("setting", BAD_SETTINGS)
def test_what_is_more_than_a_plain_lora_is_refused(adapter: Path, tmp_path: Path, setting: str) -> None:
    value, sentence = BAD_SETTINGS[setting]
    folder = copy(adapter, tmp_path, **{setting: value})
    with pytest.raises(AdapterUnfit, match=sentence) as caught:
        read_adapter(folder)
    assert str(folder) in str(caught.value)
    assert "train" in str(caught.value)


def test_all_that_is_too_much_is_said_at_once(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterUnfit, match=r"rsLoRA.*; it is a DoRA"):
        read_adapter(copy(adapter, tmp_path, use_rslora=True, use_dora=True))


BAD_TENSORS: dict[str, tuple[dict[str, Any], str]] = {
    "DoRA's lengths": ({f"{Q}.lora_magnitude_vector": torch.ones(64)}, "is a DoRA"),
    "embeddings": ({"base_model.model.model.embed_tokens.weight": torch.ones(4, 4)}, "trained embeddings"),
    "LoRA on embeddings": ({"base_model.model.model.embed_tokens.lora_embedding_A": torch.ones(4, 4)}, "embeddings"),
    "a saved head": ({"base_model.model.lm_head.weight": torch.ones(4, 4)}, "trained a whole module"),
    "a bias": ({f"{Q}.lora_B.bias": torch.ones(4)}, "more than two matrices"),
    "half a layer": ({f"{Q}.lora_B.weight": None}, "one half only of model.layers.0.self_attn.q_proj"),
    "halves that do not fit": ({f"{Q}.lora_B.weight": torch.ones(64, 5)}, r"do not fit each other \(\(8, 64\)"),
    "no matrix": ({f"{Q}.lora_B.weight": torch.ones(64)}, "do not fit each other"),
    "no number": ({f"{Q}.lora_A.weight": torch.full((8, 64), torch.nan)}, "what is no number"),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_that_are_no_plain_lora_are_refused(adapter: Path, tmp_path: Path, case: str) -> None:
    tensors, sentence = BAD_TENSORS[case]
    with pytest.raises(AdapterUnfit, match=sentence):
        read_adapter(copy(adapter, tmp_path, tensors=tensors))


def test_an_adapter_of_nothing_is_refused(adapter: Path, tmp_path: Path) -> None:
    copy(adapter, tmp_path)
    save_file({}, tmp_path / WEIGHTS)
    with pytest.raises(AdapterUnfit, match="holds no matrices"):
        read_adapter(tmp_path)


BROKEN: dict[str, tuple[str, Callable[[bytes], bytes | None], str]] = {
    "no config": (CONFIG, lambda _: None, "there is no adapter in .* is missing"),
    "no JSON": (CONFIG, lambda _: b"{", "cannot be read"),
    "a list": (CONFIG, lambda _: b"[]", "cannot be read"),
    "no alpha": (CONFIG, lambda _: b'{"peft_type": "LORA"}', "cannot be read"),
    "no weights": (WEIGHTS, lambda _: None, "as safetensors"),
    "cut short": (WEIGHTS, lambda data: data[:-100], "cut short"),
    "cut in the header": (WEIGHTS, lambda data: data[:50], "cut short"),
    "empty": (WEIGHTS, lambda _: b"", "cut short"),
    "a pointer": (WEIGHTS, lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "no safetensors"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused(adapter: Path, tmp_path: Path, case: str) -> None:
    name, change, sentence = BROKEN[case]
    copy(adapter, tmp_path)
    data = change((tmp_path / name).read_bytes())
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(AdapterUnfit, match=sentence):
        read_adapter(tmp_path)


def test_an_adapter_need_not_know_its_base_until_it_is_asked(adapter: Path, tmp_path: Path) -> None:
    read = read_adapter(copy(adapter, tmp_path, base_model_name_or_path=None))
    with pytest.raises(BaseNotFound, match="does not say what its base is: give it with --base"):
        read.named_base()
