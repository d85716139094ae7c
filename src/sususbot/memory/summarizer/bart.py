"""BART (Lewis et al. 2020) on the CPU: a sequence-to-sequence model that was taught to summarise.

It is found as a local folder or in the hub's cache; nothing is downloaded here. `facebook/bart-large-cnn` learned from
news; one that learned from chats (`philschmid/bart-large-cnn-samsum`) keeps speakers apart far better. Linear layers
are held as int8: a large one then takes a fifth of the time (docs/benchmarks.md).
Runs in the caller's thread: torch lets go of the interpreter while it computes, so the event loop goes on.
"""

import importlib.util
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sususbot.errors import BackendFailed, MissingExtra, ModelError, ModelLoadFailed, ModelNotFound
from sususbot.memory.summarizer.checked import checked
from sususbot.memory.summarizer.folds import folded
from sususbot.memory.summarizer.summarizer import MOST_LINES, Said, TooLate
from sususbot.model.backend import Deadline

_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_VOCABULARY: Final = ("tokenizer.json", "vocab.json")
# Of a BART on the hub: the same weights again for TensorFlow, Rust and JAX, three quarters of the download.
_WITHOUT: Final = '--exclude "*.h5" --exclude "*.ot" --exclude "*.msgpack"'
_NEW_TOKENS: Final = 60
# The token that begins a text, and the one that ends it.
_ENDS: Final = 2

logger = logging.getLogger(__name__)


def find_model(model: str) -> Path:
    """The folder of a BART: a local path, else the hub's cache. Raises MissingExtra and ModelNotFound."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        raise MissingExtra("summaries by BART", "embed")
    local = Path(model).expanduser()
    if (local / "config.json").is_file():
        return local
    if (cached := _in_hub_cache(model)) is not None:
        return cached
    raise ModelNotFound(
        f"the summarizer {model} is not on this machine: run  hf download {model} {_WITHOUT}  once, set "
        f"SUMMARIZATION_MODEL to its folder, or set SUMMARIZER=extractive"
    )


def _in_hub_cache(model: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    def cached(name: str) -> Path | None:
        found = try_to_load_from_cache(model, name)
        return Path(found) if isinstance(found, str) else None

    if model.count("/") != 1:
        return None
    try:
        config = cached("config.json")
        whole = any(map(cached, _WEIGHTS)) and any(map(cached, _VOCABULARY))
    except ValueError:
        # A path such as ./bart, which is no name on the hub.
        return None
    return config.parent if config is not None and whole else None


class Bart:
    """Loads when it is first used, in the thread that uses it: a large one takes seconds."""

    name: Final = "bart"

    def __init__(self, folder: Path, *, int8: bool = True, beams: int = 4) -> None:
        self._folder = folder
        self._int8 = int8
        self._beams = beams
        self._loaded: _Model | None = None
        self._fault: ModelError | None = None

    def load(self) -> None:
        self._model()

    def summarize(self, said: Sequence[Said], deadline: Deadline) -> str:
        model = self._model()
        groups = folded(said, lambda lines: len(model.tokens(_text(lines))) + _ENDS, model.limit)
        if len(groups) > MOST_LINES:
            raise BackendFailed(f"the talk is too long for it: {len(groups)} pieces")
        return "\n".join(checked(model.gist(_text(group), deadline, self._beams), group) for group in groups)

    def close(self) -> None:
        self._loaded = None

    def _model(self) -> "_Model":
        if self._fault is not None:
            raise self._fault
        if self._loaded is None:
            try:
                self._loaded = _Model(self._folder, int8=self._int8)
            except ModelError as error:
                # Said again each time, without reading the file again.
                self._fault = error
                raise
        return self._loaded


class _Model:
    """The weights, and the tokens they know."""

    def __init__(self, folder: Path, *, int8: bool) -> None:
        # As in memory/embedding: threads that wait for each other sleep instead of spinning.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        from transformers.utils import logging as their_logging

        their_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        their_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        refused = f"the summarizer in {folder} cannot be loaded"
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            loaded: Any = AutoModelForSeq2SeqLM.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:
            raise ModelLoadFailed(f"{refused} ({_first_line(error)}): remove the folder and fetch it again") from error
        model, info = loaded
        if lacking := info["missing_keys"]:
            raise ModelLoadFailed(f"{refused}, it lacks {len(lacking)} layers: fetch it again")
        self._torch = torch
        self._model: Any = _quantized(model) if int8 else model
        self._model.eval()
        self._config = model.config
        self.limit = int(self._config.max_position_embeddings)

    def tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def gist(self, text: str, deadline: Deadline, beams: int) -> str:
        """What it makes of a text that fits."""

        def look(_ids: object, _scores: object, **_: object) -> bool:
            if deadline.over():
                raise TooLate("it took too long")
            return False

        look(None, None)
        torch, config = self._torch, self._config
        ids = torch.tensor([[config.bos_token_id, *self.tokens(text), config.eos_token_id]])
        try:
            with torch.inference_mode():
                made = self._model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    stopping_criteria=[look],
                    num_beams=beams,
                    # The news model wants 56 tokens at least, and makes up what five short lines do not give.
                    min_length=0,
                    max_length=None,
                    max_new_tokens=_NEW_TOKENS,
                    no_repeat_ngram_size=3,
                    length_penalty=1.0,
                    early_stopping=beams > 1,
                    do_sample=False,
                )
        except TooLate:
            raise
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise BackendFailed(f"the summarizer broke ({_first_line(error)})") from error
        decoded: str = self._tokenizer.decode(made[0], skip_special_tokens=True)
        return decoded


def _quantized(model: Any) -> Any:
    """Its linear layers as int8; one after the other, so that both never stand in memory. As it is where that fails."""
    import torch

    try:
        with warnings.catch_warnings():
            # It is to move to another package one day.
            warnings.simplefilter("ignore")
            quantize: Any = torch.ao.quantization.quantize_dynamic
            return quantize(model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        logger.warning("the summarizer stays in full precision: %s", _first_line(error))
        return model


def _text(said: Sequence[Said]) -> str:
    return "\n".join(one.line for one in said)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
