"""A causal language model of transformers with an adapter of peft: text in, tokens out, one reply at a time.

The loop is our own: it looks at the deadline before each step, also while it reads a prompt, and keeps what was
computed for each of the last few channels, so that of a prompt only what is new is read.
Raises ModelError for what a user can mend; other errors are its caller's to tell.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedTokenizerBase
from transformers.utils import logging as hf_logging

from sususbot.errors import BackendFailed, ModelLoadFailed
from sususbot.model import nf4
from sususbot.model.backend import DRY_BREAKERS, Chunk, Deadline, Facts, Finish, Request, Sampling, Usage
from sususbot.model.causal_lm_scoring import Likelihood, joint
from sususbot.model.detokenizer import Detokenizer, bytes_of_tokens
from sususbot.model.joint import fitting
from sususbot.model.pieces import SENTENCEPIECE, load
from sususbot.model.sampling import Sampler
from sususbot.model.scoring import Scored, check_time
from sususbot.model.stopping import Stopping

_log = logging.getLogger(__name__)

# Channels whose prompts are kept: 0.25 GB each with a base of 7B and 2,048 tokens.
_CHANNELS: Final = 4
# Tokens of a prompt that are read at once, on a card and on a processor; between them it can be cancelled.
_STEP: Final = {"cuda": 512, "cpu": 64}
# Whose logits are all kept: a megabyte each in the largest vocabularies.
_SCORED: Final = 64
_BF16_FROM: Final = (8, 0)
_MIB: Final = 1 << 20
# As all figures of engines are told.
_MEGABYTE: Final = 1_000_000
_WARM_SECONDS: Final = 60.0
# A member who writes </s> says four letters and signs, not that a reply is over.
_AS_TEXT: Final[dict[str, Any]] = {"split_special_tokens": True, "verbose": False}


@dataclass(slots=True)
class _Past:
    """What was computed: for each of `ids` its keys and values."""

    ids: list[int] = field(default_factory=list)
    cache: Any = None


class CausalLM:
    """`folder` holds the base; `four_bit` None: in 4 bits where a card is; `threads` None: half of the cores."""

    def __init__(
        self, folder: Path, *, adapter: Path | None, four_bit: bool | None, context_tokens: int, threads: int | None
    ) -> None:
        torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) // 2))
        self._name = folder.name
        self._device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self._four_bit = self._device.type == "cuda" if four_bit is None else four_bit
        self._tokenizer = _tokenizer(folder)
        self._model: Any = self._loaded(folder)
        self._linear = {
            name: (module.out_features, module.in_features)
            for name, module in self._model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        self._adapter: Path | None = None
        self._adapters = 0
        config = self._model.config.get_text_config(decoder=True)
        self._config = self._model.config
        most = getattr(config, "max_position_embeddings", None)
        self.context_tokens = min(context_tokens, most or context_tokens)
        self._ends = _ends(self._model, self._tokenizer)
        self._pasts: OrderedDict[int | None, _Past] = OrderedDict()
        self._bytes_of = bytes_of_tokens(self._tokenizer)
        if adapter is not None:
            self.use_adapter(adapter)
        # A card's first product takes seconds, and what is no number is better told now.
        list(self.generate(Request("a", (), sampling=Sampling(max_new_tokens=1)), Deadline(_WARM_SECONDS)))
        self._pasts.clear()

    def facts(self) -> Facts:
        facts: Facts = {
            "adapter": _adapter_name(self._adapter),
            "quantization": "nf4" if self._four_bit else str(self._dtype()).removeprefix("torch."),
            "device": self._device.type,
            "context_tokens": self.context_tokens,
        }
        if self._device.type == "cuda":
            facts["device"] = torch.cuda.get_device_name(self._device)
            facts["vram_mb"] = torch.cuda.memory_reserved(self._device) // _MEGABYTE
        return facts

    def tokens(self, text: str, *, begin: bool = False) -> list[int]:
        """Token ids as training cuts a text; `begin` puts the tokenizer's mark of a beginning before them."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, **_AS_TEXT)["input_ids"]
        mark = self._tokenizer.bos_token_id
        return [mark, *ids] if begin and mark is not None else ids

    @cached_property
    def _breakers(self) -> frozenset[int]:
        texts = (self._bytes_of(token).decode(errors="ignore") for token in range(len(self._tokenizer)))
        return frozenset(token for token, text in enumerate(texts) if any(breaker in text for breaker in DRY_BREAKERS))

    def use_adapter(self, folder: Path | None) -> None:
        """Serve with this adapter from now on, None: with none. Raises ModelError and keeps the old one."""
        if folder is not None:
            self._put_on(folder)
        elif self._adapter is not None:
            self._model = self._model.unload()
        self._adapter = folder
        self._pasts.clear()

    def _put_on(self, folder: Path) -> None:
        name = f"adapter{self._adapters}"
        self._adapters += 1
        try:
            _check_fit(folder, self._linear)
            self._add(folder, name)
        except torch.OutOfMemoryError as error:
            self._drop(name)
            raise ModelLoadFailed(_full(self._device, "the adapter")) from error
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
            self._drop(name)
            raise ModelLoadFailed(
                f"The adapter in {folder} does not fit the base {self._name} ({_short(error)}): train it on this base, "
                "or correct ADAPTER_PATH."
            ) from error
        for old in set(self._model.peft_config) - {name}:
            self._model.delete_adapter(old)

    def generate(self, request: Request, deadline: Deadline) -> Iterator[Chunk]:
        """As `Backend.generate`, in one thread."""
        finish: Finish | None = deadline.over()
        if finish is not None:
            yield Chunk("", finish, Usage())
            return
        ids = self.tokens(request.prompt, begin=True)
        room = self.context_tokens - len(ids)
        if room < 1 or not ids:
            raise BackendFailed(
                f"The prompt has {len(ids)} tokens and the model's context only {self.context_tokens}: raise "
                "CONTEXT_TOKENS."
            )
        limit = min(request.sampling.max_new_tokens, room)
        past = self._past(request.channel_id, ids)
        usage = Usage(len(ids), 0, len(past.ids))
        sampler = Sampler(request.sampling, self._breakers if request.sampling.dry_multiplier else ())
        stopping = Stopping(request.stop)
        words = Detokenizer(self._bytes_of)
        fresh = ids[len(past.ids) :]
        try:
            while finish is None:
                logits = self._read(past, fresh, deadline)
                if logits is None:
                    finish = deadline.over() or "deadline"
                    break
                token = sampler.choose(logits, past.ids)
                usage = Usage(usage.prompt, usage.completion + 1, usage.cached)
                if token in self._ends:
                    finish = "stop"
                    break
                if text := stopping.feed(words.feed(token)):
                    yield Chunk(text)
                if stopping.found:
                    finish = "stop"
                elif usage.completion >= limit:
                    finish = "length"
                fresh = [token]
        finally:
            self._keep(request.channel_id, past)
        ended = finish in ("stop", "length")
        yield Chunk(stopping.rest() if ended else "", finish, usage)

    def score(self, prompt: str, texts: Sequence[str], deadline: Deadline) -> list[Scored]:
        """As `Scoring.score`. The prompt is read once for all texts, and nothing that is kept of a channel is used."""
        marks = int(self._tokenizer.bos_token_id is not None)
        joints = [joint(self._tokenizer, prompt, text, **_AS_TEXT) for text in texts]
        past = _Past()
        scored = []
        for text in fitting(joints, self.context_tokens, marks=marks):
            check_time(deadline)
            likelihood = Likelihood(text)
            # At least the last token before the text is to be read: its logits tell of the text's first.
            past = self._cut(past, text.ids[: text.start])
            for until, told in ((text.start - 1, None), (len(text.ids) - 1, likelihood)):
                if fresh := text.ids[len(past.ids) : until]:
                    self._read(past, fresh, deadline, told)
            check_time(deadline)
            scored.append(likelihood.scored())
        return scored

    def _loaded(self, folder: Path) -> Any:
        hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        dtype = self._dtype()
        options: dict[str, Any] = nf4.quantization(dtype) if self._four_bit else {}
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=dtype, device_map={"": self._device}, **options
            )
        except torch.OutOfMemoryError as error:
            raise ModelLoadFailed(_full(self._device, f"the base {self._name}")) from error
        except Exception as error:
            # Whatever a file that is cut short, or a kind that nobody knows, brings transformers to raise.
            raise ModelLoadFailed(
                f"The base {self._name} cannot be loaded ({_short(error)}): fetch it again, or correct BASE_MODEL."
            ) from error
        nf4.keep_packed(model)
        return model.eval()

    def _dtype(self) -> torch.dtype:
        if self._device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.get_device_capability(self._device) >= _BF16_FROM else torch.float16

    def _add(self, folder: Path, name: str) -> None:
        from peft import PeftModel

        if isinstance(self._model, PeftModel):
            self._model.load_adapter(str(folder), name)
            self._model.set_adapter(name)
        else:
            self._model = PeftModel.from_pretrained(self._model, str(folder), adapter_name=name).eval()

    def _drop(self, name: str) -> None:
        """Take back an adapter that was put on halfway."""
        known = getattr(self._model, "peft_config", {})
        if name in known:
            self._model.delete_adapter(name)

    def _past(self, channel: int | None, ids: Sequence[int]) -> _Past:
        """What is known of a channel's prompt."""
        past = self._pasts.pop(channel, None)
        return self._cut(past or _Past(), ids)

    def _cut(self, past: _Past, ids: Sequence[int]) -> _Past:
        """What was computed, cut to what is the same in `ids`; at least their last token is to be read."""
        pairs = zip(past.ids, ids[:-1], strict=False)
        same = next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(past.ids), len(ids) - 1))
        if same and same < len(past.ids):
            try:
                past.cache.crop(same - len(past.ids))
            except (RuntimeError, ValueError):
                # A window that slides has forgotten what would be needed again.
                same = 0
        if not same:
            return _Past(cache=DynamicCache(config=self._config))
        del past.ids[same:]
        return past

    def _keep(self, channel: int | None, past: _Past) -> None:
        if past.ids:
            self._pasts[channel] = past
        while len(self._pasts) > _CHANNELS:
            self._pasts.popitem(last=False)

    def _read(
        self, past: _Past, ids: Sequence[int], deadline: Deadline, likelihood: Likelihood | None = None
    ) -> NDArray[np.float32] | None:
        """Logits of what follows once `ids` are read, too; None when the deadline was over before."""
        whole = [*past.ids, *ids]
        try:
            return self._steps(past, ids, deadline, likelihood)
        except RuntimeError as error:
            # Of the layers some have read a token more than others.
            past.ids, past.cache = [], DynamicCache(config=self._config)
            if not _is_memory(error):
                raise
        _log.warning("memory is full: what was kept of other channels is given up")
        self._pasts.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            return self._steps(past, whole, deadline, likelihood)
        except RuntimeError as error:
            past.ids.clear()
            if not _is_memory(error):
                raise
            raise BackendFailed(_full(self._device, "this reply")) from error

    @torch.inference_mode()
    def _steps(
        self, past: _Past, ids: Sequence[int], deadline: Deadline, likelihood: Likelihood | None
    ) -> NDArray[np.float32] | None:
        size = _STEP[self._device.type] if likelihood is None else _SCORED
        for start in range(0, len(ids), size):
            if deadline.over() is not None:
                return None
            step = list(ids[start : start + size])
            read = self._model(
                input_ids=torch.tensor([step], device=self._device),
                past_key_values=past.cache,
                use_cache=True,
                logits_to_keep=1 if likelihood is None else len(step),
            )
            if likelihood is not None:
                likelihood.hear(len(past.ids), read.logits[0])
            past.ids += step
        logits: NDArray[np.float32] = read.logits[0, -1].float().cpu().numpy()
        return logits


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        if (folder / SENTENCEPIECE).is_file():
            return load(folder)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise ModelLoadFailed(
            f"The tokenizer of the base cannot be read ({_short(error)}): fetch tokenizer.json or tokenizer.model into "
            f"{folder}."
        ) from error
    return tokenizer


def _check_fit(folder: Path, linear: Mapping[str, tuple[int, int]]) -> None:
    """Raises ValueError where an adapter's matrices are for other layers: peft passes over them."""
    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        raise ValueError("adapter_model.safetensors is missing")
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            module, half, _ = name.removeprefix("base_model.model.").rpartition(".lora_")
            end = name.rpartition(".lora_")[2]
            if not half or end not in ("A.weight", "B.weight"):
                continue
            shape = file.get_slice(name).get_shape()
            size = shape[1] if end[0] == "A" else shape[0]
            if module not in linear or size != linear[module][end[0] == "A"]:
                raise ValueError(f"its {name} has no place there")


def _ends(model: Any, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens by which the model ends a reply."""
    named = (getattr(model.generation_config, "eos_token_id", None), model.config.eos_token_id, tokenizer.eos_token_id)
    lists = [ids if isinstance(ids, list) else [ids] for ids in named]
    return frozenset(int(token) for ids in lists for token in ids if token is not None)


def _is_memory(error: Exception) -> bool:
    """On a processor it is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _full(device: torch.device, what: str) -> str:
    if device.type != "cuda":
        return f"The machine's memory is full, {what} needs more: set LOAD_IN_4BIT=true, or lower CONTEXT_TOKENS."
    free, total = torch.cuda.mem_get_info(device)
    return (
        f"The card's memory is full ({free // _MIB:,} of {total // _MIB:,} MB free), {what} needs more: close what "
        "else uses the card, set LOAD_IN_4BIT=true, or lower CONTEXT_TOKENS."
    )


def _adapter_name(folder: Path | None) -> str:
    """A training's own is called `adapter`, whatever its run is called."""
    if folder is None:
        return "none"
    return folder.parent.name if folder.name == "adapter" else folder.name


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
