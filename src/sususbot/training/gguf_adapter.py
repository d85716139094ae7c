"""A LoRA adapter as a GGUF file, which llama.cpp lays over a base of any quantisation.

Of the base only its config.json is needed. Matrices stay fp32: halving 160 MB is not worth a rounding.
"""

from pathlib import Path
from typing import Final

import gguf
import numpy as np
from numpy.typing import NDArray

from sususbot.errors import AdapterUnfit
from sususbot.training.gguf_names import Layout, config_of, layout
from sususbot.training.lora import Adapter, read_adapter
from sususbot.training.weights import Exported, whole

KIND: Final = "lora"
_HEADER_BYTES: Final = 1 << 17


def adapter_to_gguf(folder: Path, out: Path, base: str | Path | None = None) -> Exported:
    """`folder` is what peft saved; `base` a folder or a name on the hub. Without one, the adapter says what it is for.

    Raises AdapterUnfit, BaseNotFound, BaseUnfit, ExportFailed.
    """
    adapter = read_adapter(folder)
    to = layout(config_of(base if base is not None else adapter.named_base()))
    tensors = _tensors(adapter, to)
    with whole(out, _HEADER_BYTES + sum(tensor.nbytes for tensor in tensors.values())) as aside:
        writer = gguf.GGUFWriter(aside, to.arch)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
        for name, tensor in tensors.items():
            writer.add_tensor(name, tensor)
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
    return Exported(out, KIND, len(tensors), out.stat().st_size)


def _tensors(adapter: Adapter, to: Layout) -> dict[str, NDArray[np.float32]]:
    """Both halves of each layer under llama.cpp's names."""
    tensors = {}
    for module, pair in adapter.pairs.items():
        name, shape = to.name(f"{module}.weight"), to.shape(module)
        if name is None or shape is None:
            raise AdapterUnfit(
                f"the adapter in {adapter.folder} changes {module}, which is no linear layer of a block of its base: "
                "give the right base with --base, or train it on such layers alone"
            )
        if pair.shape != shape:
            raise AdapterUnfit(
                f"the adapter in {adapter.folder} was made for another base: its {module} is {pair.shape[0]} × "
                f"{pair.shape[1]}, the base's {shape[0]} × {shape[1]}; give the right base with --base"
            )
        # llama.cpp has one alpha for all layers, and divides it by the rank of each.
        b = pair.b * (pair.alpha / adapter.alpha)
        tensors[f"{name}.lora_a"] = pair.a.numpy()
        tensors[f"{name}.lora_b"] = to.ordered(module, b.numpy())
    return tensors
