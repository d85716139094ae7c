"""An adapter added to its base: a folder of safetensors that any server reads, vLLM among them.

A file keeps its shapes and types, so its header stays byte for byte and only data is written anew, tensor by tensor:
the base's matrix plus alpha / rank · B·A in fp32, rounded to the base's own type.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import torch

from sususbot.errors import AdapterUnfit, BaseUnfit, ExportFailed
from sususbot.training.lora import Adapter, read_adapter
from sususbot.training.weights import FLOATS, INDEX, Exported, Stored, opened, stored, whole

KIND: Final = "merged"
# Weights in any format, which are written anew or left behind.
_WEIGHTS: Final = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"})


def merge(base: Path, adapter: Path, out: Path, progress: Callable[[int, int], None] = lambda *_: None) -> Exported:
    """`out` is a folder that is not there yet. `progress` is told tensors written and in all.

    Raises AdapterUnfit, BaseUnfit, ExportFailed.
    """
    if out.exists():
        raise ExportFailed(f"{out} is there already: delete it, or choose another folder")
    tensors = stored(base)
    learned = read_adapter(adapter)
    _check(learned, base, tensors)
    files = sorted({tensor.file for tensor in tensors.values()})
    size = sum(path.stat().st_size for path in files)
    with whole(out, size) as aside:
        aside.mkdir()
        for path in base.iterdir():
            if path.is_file() and (path.suffix not in _WEIGHTS or path.name == INDEX):
                shutil.copyfile(path, aside / path.name)
        done = 0
        for path in files:
            for _ in _write(path, aside / path.name, learned):
                done += 1
                progress(done, len(tensors))
    return Exported(out, KIND, len(tensors), sum(path.stat().st_size for path in out.iterdir()))


def _check(learned: Adapter, base: Path, tensors: Mapping[str, Stored]) -> None:
    for module, pair in learned.pairs.items():
        tensor = tensors.get(f"{module}.weight")
        if tensor is None or tensor.shape != pair.shape:
            found = f"{tensor.shape[0]} × {tensor.shape[-1]}" if tensor is not None else "not there"
            raise AdapterUnfit(
                f"the adapter in {learned.folder} was made for another base than {base}: its {module} is "
                f"{pair.shape[0]} × {pair.shape[1]}, the base's is {found}; give the right base with --base"
            )
        if tensor.dtype not in FLOATS:
            raise BaseUnfit(
                f"the base in {base} is quantised ({module} is {tensor.dtype}): give the one that it was made of with "
                "--base"
            )


def _write(source: Path, target: Path, learned: Adapter) -> Iterator[str]:
    """One file, tensor by tensor in the order of their places; names each when it is written."""
    with opened(source) as weights, source.open("rb") as file, target.open("wb") as written:
        length = file.read(8)
        written.write(length + file.read(int.from_bytes(length, "little")))
        for name in weights.offset_keys():
            value = weights.get_tensor(name)
            pair = learned.pairs.get(name.removesuffix(".weight"))
            if pair is not None:
                value = (value.float() + pair.delta()).to(value.dtype)
                if not value.isfinite().all():
                    raise AdapterUnfit(f"{name} with the adapter is larger than {value.dtype} can hold: train it anew")
            written.write(value.contiguous().view(-1).view(torch.uint8).numpy().data)
            yield name
