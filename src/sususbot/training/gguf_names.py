"""How llama.cpp calls, shapes and orders the tensors of a base, told from the base's config.json alone.

llama.cpp turns neighbouring rows of q and k by the same angle, transformers row i and row i + half of a head. So for
the families where llama.cpp kept its first way, the rows of q and k are put in another order. A file without that
loads, and speaks nonsense.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import gguf
import numpy as np
from numpy.typing import NDArray
from transformers import AutoConfig, PreTrainedConfig

from sususbot.errors import BaseNotFound, BaseUnfit

CONVERTER: Final = "convert_hf_to_gguf.py of llama.cpp"
_SUFFIXES: Final = (".weight", ".bias")
_ATTENTION: Final = tuple(f"self_attn.{name}_proj" for name in "qkvo")
LINEAR: Final = (*_ATTENTION, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class Family(NamedTuple):
    """llama.cpp's name of it; whether rows of q and k are put in another order; which tensors a block has, or may have,
    beside its matrices and the norms before them."""

    arch: gguf.MODEL_ARCH
    reordered: bool = False
    more: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_LLAMA: Final = Family(gguf.MODEL_ARCH.LLAMA, reordered=True, optional=tuple(f"{name}.bias" for name in LINEAR))
# By `model_type` in config.json.
FAMILIES: Final = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": Family(gguf.MODEL_ARCH.QWEN2, more=tuple(f"{name}.bias" for name in _ATTENTION[:3])),
    "qwen3": Family(gguf.MODEL_ARCH.QWEN3, more=("self_attn.q_norm.weight", "self_attn.k_norm.weight")),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A base's tensors in a GGUF file."""

    config: PreTrainedConfig
    family: Family
    names: gguf.TensorNameMap

    @property
    def arch(self) -> str:
        return str(gguf.MODEL_ARCH_NAMES[self.family.arch])

    @property
    def head_dim(self) -> int:
        return int(getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads)

    def name(self, tensor: str) -> str | None:
        """llama.cpp's name of a tensor (`…q_proj.weight`); None where the family has no such tensor."""
        found = self.names.get_name(tensor, try_suffixes=_SUFFIXES)
        return str(found) if found is not None else None

    def tensors(self, *, tied: bool) -> Iterator[tuple[str, bool]]:
        """Every tensor of such a base in llama.cpp's order, and whether it must be there."""
        yield from (("model.embed_tokens.weight", True), ("model.norm.weight", True))
        if not tied:
            yield "lm_head.weight", True
        norms = ("input_layernorm.weight", "post_attention_layernorm.weight")
        needed = (*norms, *(f"{name}.weight" for name in LINEAR), *self.family.more)
        for layer in range(self.config.num_hidden_layers):
            yield from ((f"model.layers.{layer}.{name}", True) for name in needed)
            yield from ((f"model.layers.{layer}.{name}", False) for name in self.family.optional)

    def shape(self, module: str) -> tuple[int, int] | None:
        """Rows and columns of a linear layer's matrix; None where the base has no such layer."""
        config, kind = self.config, module.rsplit(".", 1)[-1]
        width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads * self.head_dim
        narrow = config.num_key_value_heads * self.head_dim
        shapes = {
            "q_proj": (heads, width),
            "k_proj": (narrow, width),
            "v_proj": (narrow, width),
            "o_proj": (width, heads),
            "gate_proj": (inner, width),
            "up_proj": (inner, width),
            "down_proj": (width, inner),
        }
        return shapes.get(kind) if module in self.names else None

    def ordered(self, module: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A matrix (or a bias) of a module with its rows as llama.cpp wants them."""
        kind = module.rsplit(".", 1)[-1]
        if not self.family.reordered or kind not in ("q_proj", "k_proj"):
            return rows
        heads = self.config.num_attention_heads if kind == "q_proj" else self.config.num_key_value_heads
        return rows[interleaved(len(rows), heads)]


def layout(config: PreTrainedConfig) -> Layout:
    """Raises BaseUnfit where the base is of no family that is known here."""
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise BaseUnfit(
            f"models of the kind {config.model_type} cannot be exported here (only {', '.join(FAMILIES)} can): use "
            f"{CONVERTER}, or its convert_lora_to_gguf.py for an adapter"
        )
    return Layout(config, family, gguf.get_tensor_name_map(family.arch, config.num_hidden_layers))


def interleaved(rows: int, heads: int) -> NDArray[np.int64]:
    """Of each head: row 0, row half, row 1, row half + 1, …"""
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).ravel()


def config_of(base: str | Path) -> PreTrainedConfig:
    """The config of a base by its folder, or by its name on the hub. Raises BaseNotFound and BaseUnfit."""
    name, local = str(base), Path(base).expanduser()
    here = (local / "config.json").is_file()
    if not here and (isinstance(base, Path) or local.exists() or name.count("/") != 1 or name.startswith((".", "/"))):
        raise BaseNotFound(f"there is no base model at {base} (no config.json): give its folder with --base")
    for local_only in (True,) if here else (True, False):
        try:
            config: PreTrainedConfig = AutoConfig.from_pretrained(local if here else name, local_files_only=local_only)
        except OSError:
            continue
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BaseUnfit(
                f"the config.json of {base} cannot be read ({_first_line(error)}): fetch it again"
            ) from error
        else:
            return config
    if here:
        raise BaseUnfit(f"the config.json of {base} cannot be read: fetch it again")
    raise BaseNotFound(
        f"the base model {base} is not on this machine and the hub does not give its config.json: connect this machine "
        "once, or give its folder with --base"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
