"""A base is loaded as it was asked for, what is not so is said, and what is computed twice changes nothing."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from peft import PeftModel
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from sususbot.errors import BaseNotFound, BaseUnfit, ContractBroken
from sususbot.training import attention, base, recipe
from sususbot.training.base import (
    Base,
    attach_adapter,
    check_contract,
    check_length,
    checkpointed,
    find_base,
    fingerprint,
    layers,
    load_weights,
)
from sususbot.training.batches import batch
from sususbot.training.recipe import Hardware
from sususbot.training.train_lora import Trainee
from tests.training import tiny
from tests.training.learning import CPU, RECIPE, documents, furthest, gradients, learner, stirred

QLORA = Hardware(four_bit=True, precision="fp16")


@pytest.fixture
def found(base: Path) -> Base:
    return find_base(str(base), download=False)


# -- the contract


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("four_bit", [True, False])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_what_is_loaded_is_what_was_asked_for(tmp_path: Path, family: str, four_bit: bool, precision: str) -> None:
    """Biases (qwen2) and norms of heads (qwen3) included; a base stored in another type, too."""
    hardware = Hardware(four_bit=four_bit, precision=precision)
    found = find_base(str(tiny.base(tmp_path, family=family, dtype=torch.bfloat16)), download=False)
    model = attach_adapter(load_weights(found, hardware), RECIPE, hardware)
    check_contract(model, found, hardware)
    types = {name: weight.dtype for name, weight in model.named_parameters()}
    assert {type_ for name, type_ in types.items() if ".lora_" in name} == {torch.float32}
    matrices = {type_ for name, type_ in types.items() if name.endswith("base_layer.weight")}
    assert matrices == {torch.uint8 if four_bit else base_type(precision)}
    assert sum(".lora_A." in name for name in types) == 2 * 7


def base_type(precision: str) -> torch.dtype:
    return base.DTYPES[precision]


def plainly(found: Base, **options: Any) -> Any:
    """The base as somebody would load it who leaves something out."""
    load: Any = AutoModelForCausalLM.from_pretrained
    settings = {"dtype": torch.float16, "device_map": {"": "cpu"}, "attn_implementation": attention.register()}
    return load(found.folder, **{**settings, **options}).requires_grad_(False)


def quantised(**changes: Any) -> Any:
    settings = {
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": torch.float16,
    }  # fmt: skip
    make: Any = BitsAndBytesConfig
    return make(**{**settings, **changes})


def _learning_in_fp16(found: Base) -> PeftModel:
    model = attach_adapter(load_weights(found, QLORA), RECIPE, QLORA)
    next(weight for weight in model.parameters() if weight.requires_grad).data = torch.zeros(4, 64, dtype=torch.float16)
    return model


def _without_a_layer(found: Base) -> PeftModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "TARGETS", recipe.TARGETS[:-1])
        return attach_adapter(load_weights(found, QLORA), RECIPE, QLORA)


def _learning_norms(found: Base) -> PeftModel:
    model = attach_adapter(load_weights(found, QLORA), RECIPE, QLORA)
    model.get_base_model().get_parameter("model.norm.weight").requires_grad_(True)
    return model


def _not_quantised(found: Base) -> PeftModel:
    return attach_adapter(plainly(found), RECIPE, QLORA)


def _quantised_once(found: Base) -> PeftModel:
    loaded = plainly(found, quantization_config=quantised(bnb_4bit_use_double_quant=False))
    return attach_adapter(loaded, RECIPE, QLORA)


def _in_bf16(found: Base) -> PeftModel:
    loaded = plainly(found, quantization_config=quantised(), dtype=torch.bfloat16)
    return attach_adapter(loaded, RECIPE, QLORA)


def _attending_as_usual(found: Base) -> PeftModel:
    loaded = plainly(found, quantization_config=quantised(), attn_implementation="sdpa")
    return attach_adapter(loaded, RECIPE, QLORA)


BROKEN: dict[str, tuple[Callable[[Base], PeftModel], str]] = {
    "trained": (_learning_in_fp16, "weights that learn are torch.float16 instead of float32"),
    "layer": (_without_a_layer, "12 layers have an adapter instead of 14"),
    "norms": (_learning_norms, "1 weights of the base learn (base_model.model.model.norm.weight …)"),
    "plain": (_not_quantised, "0 matrices are in 4 bits instead of 14"),
    "once": (_quantised_once, "not every matrix in 4 bits has its scales quantised again"),
    "bf16": (_in_bf16, "the base is torch.bfloat16 instead of torch.float16"),
    "attention": (_attending_as_usual, "attention is sdpa instead of document by document"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_not_as_it_was_asked_for_is_said(found: Base, fault: str) -> None:
    build, told = BROKEN[fault]
    with pytest.raises(ContractBroken) as caught:
        check_contract(build(found), found, QLORA)
    assert told in str(caught.value)
    assert "please report it" in str(caught.value)


def test_all_faults_are_said_at_once(found: Base) -> None:
    model = attach_adapter(plainly(found, attn_implementation="eager", dtype=torch.bfloat16), RECIPE, QLORA)
    with pytest.raises(ContractBroken) as caught:
        check_contract(model, found, QLORA)
    assert str(caught.value).count(";") == 3
    with pytest.raises(ContractBroken, match="14 matrices are in 4 bits instead of 0"):
        check_contract(learner(found.folder, RECIPE, QLORA).model, found, CPU)


class Types(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers of which types the results of all operations were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        self.seen |= {
            one.dtype
            for one in (given if isinstance(given, tuple | list) else (given,))
            if isinstance(one, torch.Tensor)
        }
        return given


def test_nothing_is_computed_in_bf16_where_fp16_was_chosen(found: Base) -> None:
    one = stirred(learner(found.folder, RECIPE, QLORA))
    with Types() as types:
        gradients(one, [documents(3)], QLORA)
    assert torch.float16 in types.seen
    assert torch.bfloat16 not in types.seen
    assert {weight.grad.dtype for weight in one.weights().values() if weight.grad is not None} == {torch.float32}


def test_adapters_take_their_input_as_it_is(found: Base) -> None:
    """Copied to fp32 first, as peft does unless it is told not to, it would take twice the room."""
    one = learner(found.folder, RECIPE, QLORA)
    seen: set[torch.dtype] = set()
    for name, module in one.model.named_modules():
        if name.endswith("lora_A.default"):
            module.register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].dtype))
    gradients(one, [documents(2)], QLORA)
    assert seen == {torch.float16}


# -- gradients through a base in 4 bits


def test_gradients_are_those_of_the_same_weights_in_full_also_after_a_measurement(found: Base, tmp_path: Path) -> None:
    hardware = Hardware(four_bit=True)
    small = stirred(learner(found.folder, RECIPE, hardware))
    full = stirred(learner(_dequantised(small.model, found, tmp_path / "full")))
    expected = gradients(full, [documents(4)])
    assert furthest(gradients(small, [documents(4)], hardware), expected) < 1e-4
    # Outside of training bitsandbytes may take other ways, and stay on them.
    with torch.no_grad():
        Trainee(small.model, hardware).eval()(batch(documents(4)))
    assert furthest(gradients(small, [documents(4)], hardware), expected) < 1e-4


def _dequantised(model: Any, found: Base, folder: Path) -> Path:
    """The base as a folder, its matrices as they are after 4 bits."""
    from bitsandbytes.functional import dequantize_4bit

    shutil.copytree(found.folder, folder)
    full = tiny.load(found.folder)
    with torch.no_grad():
        for name, weight in model.get_base_model().named_parameters():
            if weight.dtype == torch.uint8:
                plain = full.get_parameter(name.replace(".base_layer", ""))
                plain.copy_(dequantize_4bit(weight.data, weight.quant_state))
    full.save_pretrained(folder)
    return folder


# -- what is computed twice


def passes(one: Any, hardware: Hardware = CPU) -> list[int]:
    """How often each block is begun for one gradient."""
    counts: list[int] = []
    hooks = []
    for place, block in enumerate(layers(one.model)):
        counts.append(0)

        def count(*_: object, place: int = place) -> None:
            counts[place] += 1

        hooks.append(block.mlp.register_forward_pre_hook(count))  # type: ignore[union-attr]
    gradients(one, [documents(2)], hardware)
    for hook in hooks:
        hook.remove()
    return counts


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_layers_computed_twice_give_the_same_gradients(tmp_path: Path, dropout: float) -> None:
    one = stirred(learner(tiny.base(tmp_path, num_hidden_layers=4), replace(RECIPE, dropout=dropout)))
    found = {}
    for plain_layers in (4, 0, 1, 3, 4):
        checkpointed(one.model, plain_layers)
        assert passes(one) == [2] * (4 - plain_layers) + [1] * plain_layers
        torch.manual_seed(3)
        found[plain_layers] = gradients(one, [documents(3)])
        assert found[plain_layers].keys() == found[4].keys()
        assert all(torch.equal(slope, found[4][name]) for name, slope in found[plain_layers].items())


def test_layers_computed_twice_keep_less(tmp_path: Path) -> None:
    one = stirred(learner(tiny.base(tmp_path, num_hidden_layers=4)))
    kept = []
    for plain_layers in (0, 2, 4):
        checkpointed(one.model, plain_layers)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(_counting(sizes), lambda tensor: tensor):
            Trainee(one.model, CPU).train()(batch(documents(4)))
        kept.append(sum(sizes))
    assert kept[0] < kept[1] / 2 < kept[2] / 3


def _counting(sizes: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    def count(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    return count


# -- bases that cannot be had


def test_a_base_is_told_from_another(found: Base, tmp_path: Path) -> None:
    assert fingerprint(found.folder) == fingerprint(Path(shutil.copytree(found.folder, tmp_path / "same")))
    assert fingerprint(found.folder) != fingerprint(tiny.base(tmp_path / "other", seed=1))
    assert fingerprint(found.folder) != fingerprint(tiny.base(tmp_path / "wide", rope_theta=1e6))
    assert found.as_json()["family"] == "mistral"


def _settings(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def _lacking(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weight for name, weight in weights.items() if "k_proj" not in name},
        folder / "model.safetensors",
        {"format": "pt"},
    )


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    (folder / "tokenizer.model").unlink()


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "config": (
        lambda folder: (folder / "config.json").write_text("{", encoding="utf-8"),
        "the config.json of .* cannot be read",
    ),
    "family": (
        lambda folder: _settings(folder, model_type="gpt2"),
        "a model of the kind gpt2, and only llama, mistral",
    ),
    "quantised": (lambda folder: _settings(folder, quantization_config={"quant_method": "awq"}), "already quantised"),
    "tokenizer": (_no_tokenizer, "the tokenizer of the base .* cannot be read"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no folder of a base model"),
    "weights": (_cut, "the weights of .* cannot be loaded"),
    "lacking": (_lacking, r"lack 2 weights \(model.layers.0.self_attn.k_proj.weight"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "the weights of .* cannot be loaded"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_a_base_that_will_not_do_is_refused_in_a_sentence(base: Path, tmp_path: Path, fault: str) -> None:
    spoil, told = UNFIT[fault]
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    spoil(folder)
    with pytest.raises(BaseUnfit, match=told) as caught:
        load_weights(find_base(str(folder), download=False), CPU)
    assert "\n" not in str(caught.value)


def test_a_row_longer_than_a_base_reads_is_refused(tmp_path: Path) -> None:
    check_length(find_base(str(tiny.base(tmp_path / "long")), download=False), tiny.CONTEXT)
    changes: Any
    for name, changes in {"short": {"max_position_embeddings": 512}, "window": {"sliding_window": 512}}.items():
        short = find_base(str(tiny.base(tmp_path / name, **changes)), download=False)
        with pytest.raises(BaseUnfit, match="reads 512 tokens at most: set PACK_TOKENS=512 or less"):
            check_length(short, 513)


class Hub(BaseHTTPRequestHandler):
    """A hub that gives nothing to anybody."""

    def do_GET(self) -> None:
        code, kind = (403, "GatedRepo") if "gated" in self.path else (404, "RepoNotFound")
        self.send_response(code)
        self.send_header("X-Error-Code", kind)
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_the_hub_does_not_give_is_said(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for endpoint, name, told in (
        (hub, "some/gated", "the hub gives some/gated only to who agreed to its terms"),
        (hub, "some/unknown", "the hub has no base model some/unknown"),
        (hub, "a/b/c", "there is no base model at a/b/c"),
        ("http://127.0.0.1:9", "some/base", "some/base is not on this machine and the hub cannot be reached"),
    ):
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        with pytest.raises(BaseNotFound, match=told):
            find_base(name)
    with pytest.raises(BaseNotFound, match="is not on this machine"):
        find_base("some/base", download=False)
