"""An adapter as peft saves it, read as pairs of matrices; what nothing here can serve is refused, each in a sentence.

What counts is alpha / rank · B·A added to a layer's matrix. An adapter that is more than that, or was trained beside a
base that is not the base any more, would load in llama.cpp without a word and speak wrongly.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sususbot.errors import AdapterUnfit, BaseNotFound

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_PREFIX: Final = "base_model.model."

# Settings of peft that a plain LoRA leaves as they are, and what an adapter is that does not.
_MORE_THAN_PLAIN: Final = {
    "use_rslora": "is scaled by alpha / √rank (rsLoRA), where llama.cpp scales by alpha / rank",
    "use_dora": "is a DoRA: it scales whole rows, too",
    "modules_to_save": "trained whole modules beside its matrices (modules_to_save)",
    "trainable_token_indices": "trained embeddings of single tokens",
    "lora_bias": "trained biases, too",
    "fan_in_fan_out": "is for layers whose matrices lie the other way round",
    "layer_replication": "repeats layers of its base",
    "alora_invocation_tokens": "works only after certain tokens (aLoRA)",
    "target_parameters": "changes parameters that are no linear layers",
    "use_qalora": "is a QALoRA",
    "use_bdlora": "is a BD-LoRA",
    "arrow_config": "chooses among several adapters (Arrow)",
    "kasa_config": "is a KaSA",
    "monteclora_config": "is a MonteCLoRA",
}
# The others change the base's own matrices before they begin.
_INITS: Final = (True, False, "gaussian", "eva", "orthogonal")


class Pair(NamedTuple):
    """What is added to one layer's matrix (rows out, columns in): alpha / rank · `b` · `a`."""

    a: torch.Tensor
    b: torch.Tensor
    alpha: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.b.shape[0], self.a.shape[1]

    def delta(self) -> torch.Tensor:
        """The whole matrix that is added, in fp32."""
        return self.alpha / self.a.shape[0] * (self.b @ self.a)


@dataclass(frozen=True, slots=True)
class Adapter:
    """`base` is the name or path of the base it was trained on; `pairs` goes from a module's name to its matrices."""

    folder: Path
    base: str | None
    alpha: float
    pairs: Mapping[str, Pair]

    def named_base(self) -> str:
        """Raises BaseNotFound where the adapter does not say."""
        if self.base is None:
            raise BaseNotFound(f"the adapter in {self.folder} does not say what its base is: give it with --base")
        return self.base


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder, fp32, checked by itself. Raises AdapterUnfit."""
    config = _config(folder)
    _check_plain(folder, config)
    tensors = _tensors(folder)
    modules = sorted({_module(folder, name) for name in tensors}, key=_natural)
    if not modules:
        raise AdapterUnfit(f"the adapter in {folder} holds no matrices: train it anew")
    alpha = float(config["lora_alpha"])
    pairs = {module: _pair(folder, module, tensors, config) for module in modules}
    return Adapter(folder, config.get("base_model_name_or_path") or None, alpha, pairs)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = orjson.loads(path.read_bytes())
        if config["peft_type"] != "LORA":
            raise AdapterUnfit(f"the adapter in {folder} is no LoRA but {config['peft_type']}: train a LoRA")
        if not float(config["lora_alpha"]) > 0:
            raise AdapterUnfit(f"the adapter in {folder} weighs nothing (lora_alpha is 0): train it anew")
    except FileNotFoundError as error:
        raise AdapterUnfit(f"there is no adapter in {folder} ({CONFIG} is missing): correct the path") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterUnfit(f"{path} cannot be read: save the adapter anew") from error
    return dict(config)


def _check_plain(folder: Path, config: Mapping[str, Any]) -> None:
    faults = [sentence for field, sentence in _MORE_THAN_PLAIN.items() if config.get(field)]
    if config.get("bias", "none") != "none":
        faults.append(f"trained biases of its base, too (bias={config['bias']})")
    if config.get("init_lora_weights", True) not in _INITS:
        faults.append(f"began by changing its base (init_lora_weights={config['init_lora_weights']})")
    if faults:
        raise AdapterUnfit(f"the adapter in {folder} {'; it '.join(faults)}: train it as a plain LoRA")


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / WEIGHTS
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except FileNotFoundError as error:
        raise AdapterUnfit(f"there is no {WEIGHTS} in {folder}: save the adapter as safetensors") from error
    except (SafetensorError, OSError) as error:
        raise AdapterUnfit(f"{path} is cut short or no safetensors file: save the adapter anew") from error


def _module(folder: Path, name: str) -> str:
    """The layer that a tensor belongs to, as the base calls it."""
    for end in (".lora_A.weight", ".lora_B.weight"):
        if name.startswith(_PREFIX) and name.endswith(end):
            return name[len(_PREFIX) : -len(end)]
    if "lora_magnitude_vector" in name:
        what = "is a DoRA"
    elif "lora_embedding" in name or "embed_tokens" in name:
        what = "trained embeddings"
    elif ".lora_" in name:
        what = "is more than two matrices a layer"
    else:
        what = "trained a whole module"
    raise AdapterUnfit(f"the adapter in {folder} {what} ({name}): train it as a plain LoRA on linear layers")


def _pair(folder: Path, module: str, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Pair:
    try:
        a, b = (tensors[f"{_PREFIX}{module}.lora_{half}.weight"] for half in "AB")
    except KeyError as error:
        raise AdapterUnfit(f"the adapter in {folder} has one half only of {module}: save it anew") from error
    if a.dim() != 2 or b.dim() != 2 or a.shape[0] != b.shape[1] or not a.shape[0]:
        raise AdapterUnfit(
            f"the halves of {module} in {folder} do not fit each other ({tuple(a.shape)} and {tuple(b.shape)}): "
            "save the adapter anew"
        )
    if not (a.isfinite().all() and b.isfinite().all()):
        raise AdapterUnfit(f"{module} in {folder} holds what is no number: train from an earlier checkpoint")
    alphas = config.get("alpha_pattern") or {}
    # Another rank of some layers shows in their matrices; another alpha stands here, under patterns as peft reads them.
    own = (alpha for pattern, alpha in alphas.items() if re.match(rf"(.*\.)?({pattern})$", module))
    return Pair(a, b, float(next(own, config["lora_alpha"])))


def _natural(name: str) -> list[tuple[int, str]]:
    """Layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
