"""Bases that cannot become GGUF are refused in one sentence each, and leave no file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file

from sususbot.errors import BaseNotFound, BaseUnfit
from sususbot.training.gguf_base import base_to_gguf
from tests.training import tiny
from tests.training.test_gguf import Change


def edited(name: str, **values: Any) -> Change:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")

    return edit


def reweighted(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def edit(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return edit


def revocabulary(**options: Any) -> Change:
    """Another kind of SentencePiece model in its place."""
    kind = {"model_type": "bpe", "vocab_size": 350, "byte_fallback": True, "num_threads": 1, **options}

    def edit(folder: Path) -> None:
        with (folder / "tokenizer.model").open("wb") as file:
            texts = iter(tiny.TEXTS * 20)
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=texts, model_writer=file, hard_vocab_limit=False, minloglevel=2, **kind
            )

    return edit


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def few_rows(folder: Path) -> None:
    edited("config.json", vocab_size=64)(folder)
    ends = ("model.embed_tokens.weight", "lm_head.weight")
    reweighted(lambda weights: weights.update({name: weights[name][:64].clone() for name in ends}))(folder)


def without(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def written(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data)


STRETCHED = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
DOWN = "model.layers.1.mlp.down_proj.weight"
ODD = {"model.layers.0.mlp.router.weight": torch.ones(4, 4)}
PACKED = {DOWN: torch.ones(64, 128, dtype=torch.uint8)}
INDEX = "model.safetensors.index.json"
UNFIT: dict[str, tuple[Change, str]] = {
    "positions stretched": (edited("config.json", rope_parameters=STRETCHED), r"stretches its positions \(linear\)"),
    "another function": (edited("config.json", hidden_act="gelu"), "computes with gelu"),
    "another family": (edited("config.json", model_type="gpt2"), "kind gpt2"),
    "another shape": (edited("config.json", intermediate_size=96), r"is \(128, 64\) and not \(96, 64\)"),
    "fewer rows than pieces": (few_rows, "has 420 pieces and the base only 64"),
    "a tensor missing": (reweighted(lambda weights: weights.pop(DOWN)), "lacks 1 tensors"),
    "a tensor too many": (reweighted(lambda weights: weights.update(ODD)), "is not known of a mistral"),
    "quantised": (reweighted(lambda weights: weights.update(PACKED)), "is quantised"),
    "too large": (reweighted(lambda weights: weights.update({DOWN: weights[DOWN] * 1e8})), "that fp16 cannot"),
    "no number": (reweighted(lambda weights: weights.update({DOWN: weights[DOWN] * torch.nan})), "that fp16 cannot"),
    "no vocabulary": (without("tokenizer.model"), "no SentencePiece vocabulary"),
    "a broken vocabulary": (written("tokenizer.model", b"\xff" * 99), "is no SentencePiece vocabulary"),
    "an empty vocabulary": (written("tokenizer.model", b""), "another kind than Llama's"),
    "unigrams": (revocabulary(model_type="unigram", **PLAIN), "another kind than Llama's"),
    "no bytes": (revocabulary(byte_fallback=False, **PLAIN), "another kind than Llama's"),
    "texts changed": (revocabulary(normalization_rule_name="nmt_nfkc"), "changes texts before it cuts them"),
    "a broken tokenizer": (written("tokenizer.json", b"{"), "cannot be read"),
    "no weights": (without("model.safetensors"), "holds no weights as safetensors"),
    "weights cut short": (cut_short, "missing or cut short"),
    "a broken index": (written(INDEX, b'{"weight_map": 3}'), "index.json is broken"),
    "a file missing": (written(INDEX, b'{"weight_map": {"a": "b.safetensors"}}'), "b.safetensors is missing"),
}
# What llama.cpp's own converter may still be able to do.
ELSEWHERE = (
    "stretched",
    "function",
    "family",
    "too many",
    "no vocabulary",
    "broken vocabulary",
    "unigrams",
    "no bytes",
    "empty vocabulary",
)


@pytest.mark.parametrize("case", UNFIT)
def test_a_base_that_cannot_be_exported_is_refused(base: Path, tmp_path: Path, case: str) -> None:
    change, sentence = UNFIT[case]
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    change(folder)
    with pytest.raises(BaseUnfit, match=sentence) as caught:
        base_to_gguf(folder, tmp_path / "base.gguf")
    assert ("convert_hf_to_gguf.py" in str(caught.value)) == case.endswith(ELSEWHERE)
    assert not list(tmp_path.glob("*.gguf*"))
    assert not list(tmp_path.glob(".*"))


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BaseNotFound, match="no base model at"):
        base_to_gguf(tmp_path / "nowhere", tmp_path / "base.gguf")
