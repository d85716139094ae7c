"""The base model: found, checked, loaded as the settings say, with an adapter on all its linear layers.

A base is any decoder of the Llama family (RMSNorm, rotary positions, gated layers without bias in attention output or
head) as a folder of safetensors, or by its name on the hub. What is loaded is counted and compared with what was asked
for (`check_contract`): a setting that silently did nothing would cost its owner a night.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.utils import logging

from sususbot.errors import AdapterUnfit, BaseNotFound, BaseUnfit, ContractBroken, SususError
from sususbot.model import nf4, pieces
from sususbot.training import attention
from sususbot.training.recipe import TARGETS, Hardware, Recipe

DTYPES: Final = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Decoders whose blocks have the seven linear layers of TARGETS and whose loss is a plain softmax over the head.
FAMILIES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
# Of a repository on the hub; Mistral's also holds all weights a second time in a file of its own.
_WANTED: Final = ("*.json", "*.safetensors", "tokenizer.model", "*.tiktoken")
_UNWANTED: Final = ("consolidated*", "original/*")
_LOOKED_AT: Final = 1 << 20
_AGAIN: Final = partial(checkpoint, use_reentrant=False)


@dataclass(frozen=True, slots=True)
class Base:
    """A base that was found and fits. `name` is what the settings call it."""

    name: str
    folder: Path
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "folder": str(self.folder),
            "family": self.config.model_type,
            "fingerprint": fingerprint(self.folder),
        }


def find_base(name: str, *, download: bool = True) -> Base:
    """The base of that name. Raises BaseNotFound, and BaseUnfit where it is of no kind that can be trained here."""
    folder = _folder(name, download=download)
    config = _config(name, folder)
    try:
        # What was trained is served by llama.cpp, so texts are cut as it cuts them wherever that can be known.
        tokenizer: PreTrainedTokenizerBase = (
            pieces.load(folder)
            if (folder / pieces.SENTENCEPIECE).is_file()
            else AutoTokenizer.from_pretrained(folder, local_files_only=True)
        )
    except Exception as error:
        raise BaseUnfit(
            f"the tokenizer of the base {name} cannot be read ({_short(error)}): fetch tokenizer.json or "
            f"tokenizer.model into {folder}"
        ) from error
    return Base(name, folder, config, tokenizer)


def fingerprint(folder: Path) -> str:
    """Tells one base from another: a hash of its config and of the heads of its weight files."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(f"{path.name} {path.stat().st_size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(_LOOKED_AT))
    return digest.hexdigest()


def load_weights(base: Base, hardware: Hardware) -> torch.nn.Module:
    """The model, frozen, in 4 bits or not, on its device, attending document by document."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {}
    load: Any = AutoModelForCausalLM.from_pretrained
    if hardware.four_bit:
        options |= nf4.quantization(DTYPES[hardware.precision])
    try:
        model, info = load(
            base.folder,
            config=base.config,
            local_files_only=True,
            dtype=DTYPES[hardware.precision],
            device_map={"": hardware.device},
            attn_implementation=attention.register(),
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BaseUnfit(f"the weights of {base.name} cannot be loaded ({_short(error)}): fetch it again") from error
    if lacking := sorted(info["missing_keys"]):
        raise BaseUnfit(f"the files of {base.name} lack {len(lacking)} weights ({lacking[0]} …): fetch it again")
    weights: torch.nn.Module = model
    nf4.keep_packed(weights)
    return weights.requires_grad_(False)


def attach_adapter(model: torch.nn.Module, recipe: Recipe, hardware: Hardware) -> PeftModel:
    """A fresh LoRA on every linear layer, in fp32, as the recipe's seed makes it."""
    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(TARGETS),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with _peft_is_quiet():
        adapted = get_peft_model(model, config)
    return _autocast(adapted, hardware)


def resume_adapter(model: torch.nn.Module, adapter: Path, hardware: Hardware) -> PeftModel:
    """An adapter that exists, ready to learn on. Raises AdapterUnfit where it was made for another base."""
    try:
        with _peft_is_quiet():
            adapted: PeftModel = PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise AdapterUnfit(
            f"the adapter in {adapter} does not fit this base ({_short(error)}): train a new one"
        ) from error
    return _autocast(adapted, hardware)


@contextmanager
def _peft_is_quiet() -> Iterator[None]:
    """It asks transformers by a name that is to go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def _autocast(adapted: PeftModel, hardware: Hardware) -> PeftModel:
    for module in adapted.modules():
        # Autocast decides what is computed in; a copy of each input in fp32 first would only take room.
        if hardware.precision != "fp32" and hasattr(module, "cast_input_dtype_enabled"):
            setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010
    return adapted


def checkpointed(model: torch.nn.Module, plain_layers: int) -> None:
    """Compute the activations of all blocks but the last `plain_layers` a second time instead of keeping them.

    The last, because their activations are gone again before any other block computes its own anew.
    """
    blocks = list(layers(model))
    for place, block in enumerate(blocks):
        # Set on the blocks, as transformers does by methods whose names change; those would also ask for gradients
        # with respect to the embeddings, which nobody needs.
        block._gradient_checkpointing_func = _AGAIN  # type: ignore[assignment]
        block.gradient_checkpointing = place < len(blocks) - plain_layers  # type: ignore[assignment]


def layers(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The decoder's blocks, first to last."""
    return (module for module in model.modules() if hasattr(module, "self_attn") and hasattr(module, "mlp"))


def check_contract(model: torch.nn.Module, base: Base, hardware: Hardware) -> None:
    """Raises ContractBroken with all that is not as it was asked for: types, layers, attention."""
    blocks = len(list(layers(model)))
    expected = blocks * len(TARGETS)
    wanted = DTYPES[hardware.precision]
    faults = []
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    if odd := sorted({str(weight.dtype) for weight in trained.values()} - {"torch.float32"}):
        faults.append(f"weights that learn are {', '.join(odd)} instead of float32")
    adapted = sum(name.endswith("lora_A.default.weight") for name in trained)
    if adapted != expected:
        faults.append(f"{adapted} layers have an adapter instead of {expected}")
    if strange := [name for name in trained if ".lora_" not in name]:
        faults.append(f"{len(strange)} weights of the base learn ({strange[0]} …)")
    packed = [weight for weight in model.parameters() if weight.dtype == torch.uint8]
    if len(packed) != (expected if hardware.four_bit else 0):
        faults.append(f"{len(packed)} matrices are in 4 bits instead of {expected if hardware.four_bit else 0}")
    if hardware.four_bit and not all(getattr(weight.quant_state, "nested", False) for weight in packed):  # type: ignore[attr-defined]
        faults.append("not every matrix in 4 bits has its scales quantised again")
    frozen = {
        str(weight.dtype) for weight in model.parameters() if not weight.requires_grad and weight.dtype != torch.uint8
    }
    if frozen - {str(wanted)}:
        faults.append(f"the base is {', '.join(sorted(frozen))} instead of {wanted}")
    used = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if used != attention.NAME:
        faults.append(f"attention is {used} instead of document by document")
    if faults:
        raise ContractBroken(
            f"the base {base.name} was not loaded as the settings say: {'; '.join(faults)}: this is a fault of "
            "sususbot with these versions of transformers, peft and bitsandbytes; please report it"
        )


def _folder(name: str, *, download: bool) -> Path:
    local = Path(name).expanduser()
    if (local / "config.json").is_file():
        return local.resolve()
    if local.exists():
        raise BaseUnfit(f"{local} is no folder of a base model (it has no config.json): correct BASE_MODEL")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise BaseNotFound(f"there is no base model at {name}: correct BASE_MODEL, or make one with  --from-scratch")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    options: dict[str, Any] = {"allow_patterns": list(_WANTED), "ignore_patterns": list(_UNWANTED)}
    try:
        return Path(snapshot_download(name, local_files_only=not download, **options))
    except GatedRepoError as error:
        raise BaseNotFound(
            f"the hub gives {name} only to who agreed to its terms: agree on its page, then run  hf auth login"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise BaseNotFound(f"the hub has no base model {name} ({_short(error)}): correct BASE_MODEL") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise BaseNotFound(
            f"the base model {name} is not on this machine and the hub cannot be reached: connect this machine once, "
            "or set BASE_MODEL to a folder that holds it"
        ) from error


def _config(name: str, folder: Path) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise BaseUnfit(f"the config.json of {name} cannot be read ({_short(error)}): fetch the base again") from error
    if config.model_type not in FAMILIES:
        raise BaseUnfit(
            f"{name} is a model of the kind {config.model_type}, and only {', '.join(sorted(FAMILIES))} can be trained "
            "here: choose another BASE_MODEL"
        )
    quantised = getattr(config, "quantization_config", None)
    if quantised is not None:
        raise BaseUnfit(f"the weights of {name} are already quantised: choose its original as BASE_MODEL")
    return config


def check_length(base: Base, pack_tokens: int) -> None:
    """Raises BaseUnfit where the base cannot attend over a row: documents are as long as that at most."""
    window = getattr(base.config, "sliding_window", None) if getattr(base.config, "use_sliding_window", True) else None
    most = min(filter(None, (window, getattr(base.config, "max_position_embeddings", None))), default=pack_tokens)
    if most < pack_tokens:
        raise BaseUnfit(f"{base.name} reads {most} tokens at most: set PACK_TOKENS={most} or less")


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:200] if lines else type(error).__name__) if not isinstance(error, SususError) else str(error)
