"""A tiny base made here: a tokenizer and a Mistral-shaped model of random weights, for the loop to train.

So that demo and tests take the real way (pre-train, LoRA, GGUF, llama.cpp, a reply) with nothing from elsewhere. What
comes out after a minute on two cores has read less than a million tokens: proof of the way, not a good bot.
"""

import math
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import safe_open
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging

from sususbot.artifacts import flush, flush_folder
from sususbot.errors import CorpusEmpty, SettingsError
from sususbot.in_place import put
from sususbot.model import pieces as sentencepieces
from sususbot.training import vocabulary
from sususbot.training.recipe import Recipe

# Of a run: what its training begins with.
START: Final = "start"
# Tokens that a base made here can read at once.
CONTEXT: Final = 4096
HEAD_DIM: Final = 32

_BYTES: Final = 256
_MARKS: Final = 3
# With fewer pieces than this there is hardly one beside bytes and letters.
LEAST_PIECES: Final = 320
# A base has at least so many, and one more for each so many bytes that it reads: about ten tokens.
_FEWEST: Final = 512
_BYTES_A_PIECE: Final = 30
# Of the pieces that are not given, those that may be single characters.
_CHARACTERS: Final = 0.5
# Standard deviation of the weights a training begins with.
_SPREAD: Final = 0.02

# What products are computed in on a processor: with bf16, those that have it are 1.3 to 1.8 times as fast.
PROCESSOR_PRECISION: Final = (
    "bf16" if any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16")) else "fp32"
)
# Learning rate of a base of so much width: the best of those tried.
_RATE: Final = 4e-3
_RATE_WIDTH: Final = 128
# So many tokens are read in all, small corpora several times: about a minute on two cores.
_READ: Final = 1_500_000
_MOST_EPOCHS: Final = 40


@dataclass(frozen=True, slots=True)
class Size:
    """How large a base is; `vocabulary` at most, where there is enough to read.

    Heads share keys by twos; widths are multiples of 32, the blocks of Q8_0.
    """

    width: int
    layers: int
    inner: int
    vocabulary: int

    @property
    def heads(self) -> int:
        return self.width // HEAD_DIM


SIZES: Final[Mapping[str, Size]] = {
    "tiny": Size(width=128, layers=4, inner=352, vocabulary=8192),
    "small": Size(width=192, layers=5, inner=512, vocabulary=2048),
    "medium": Size(width=384, layers=5, inner=1024, vocabulary=4096),
}


def layers_of(size: str) -> int:
    return SIZES[size].layers


def pretraining_recipe(tokens: int, *, size: str = "small", seed: int = 0) -> Recipe:
    """How a base is made of a corpus of so many tokens: many small steps, and wide models take shorter ones."""
    epochs = max(1, min(_MOST_EPOCHS, round(_READ / max(1, tokens))))
    return Recipe(
        learning_rate=_RATE * (_RATE_WIDTH / SIZES[size].width) ** 0.5,
        epochs=epochs,
        pack_tokens=2048,
        rows=1,
        warmup_share=0.05,
        final_share=0.1,
        weight_decay=0.1,
        # A measurement brings a checkpoint with it: once an epoch is often enough where epochs are short.
        evals_per_epoch=1 if epochs > 1 else 2,
        seed=seed,
    )


def begin(folder: Path, texts: Sequence[str], size: str, recipe: Recipe) -> None:
    """A base that knows nothing yet, as a folder that is there whole or not at all. Raises CorpusEmpty."""
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    tokenizer = make_tokenizer(texts, aside, _pieces(texts, SIZES[size].vocabulary))
    new_base(aside, base_config(len(tokenizer), size), recipe.seed)
    for path in aside.iterdir():
        flush(path)
    shutil.rmtree(folder, ignore_errors=True)
    put(aside, folder)
    flush_folder(folder.parent)


def _pieces(texts: Sequence[str], most: int) -> int:
    """How many pieces can be learned from texts: what is read a few times alone stays noise."""
    return max(_FEWEST, min(most, sum(len(text.encode(errors="replace")) for text in texts) // _BYTES_A_PIECE))


def make_tokenizer(texts: Iterable[str], folder: Path, pieces: int) -> PreTrainedTokenizerBase:
    """A tokenizer learned from texts, in a folder; the same files for the same texts in the same order.

    It has at most so many pieces, fewer where the texts have no more to offer, and cuts any text so that it can be put
    together again. Raises CorpusEmpty and SettingsError.
    """
    if pieces < LEAST_PIECES:
        raise SettingsError(
            f"a vocabulary of {pieces} has no room for words beside {_BYTES} bytes: choose {LEAST_PIECES} or more"
        )
    lines = [text.encode(errors="replace").decode() for text in texts if text.strip()]
    if not lines:
        raise CorpusEmpty("there are no words to make a tokenizer from: run  sususbot build  and read its report")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.write(vocabulary.learn(_writable(lines, pieces), pieces), folder)
    return sentencepieces.load(folder)


def _writable(texts: Sequence[str], pieces: int) -> Iterator[str]:
    """Texts cut where a character is too rare to become a piece; it will be written in bytes.

    Only where a script has thousands of them (Chinese, Japanese): room must be left for words.
    """
    counts = Counter(character for text in texts for character in text)
    most = int((pieces - _BYTES - _MARKS) * _CHARACTERS)
    rare = dict.fromkeys((ord(character) for character, _ in counts.most_common()[most:]), "\n")
    return (text.translate(rare) for text in texts)


def base_config(pieces: int, size: str) -> MistralConfig:
    """Mistral's shape, small: keys shared by two heads each, one matrix for tokens in and out, no window."""
    shape = SIZES[size]
    return MistralConfig(
        vocab_size=pieces,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads // 2,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        initializer_range=_SPREAD,
        tie_word_embeddings=True,
        sliding_window=None,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
        dtype="float32",
    )


def new_base(folder: Path, config: MistralConfig, seed: int) -> MistralForCausalLM:
    """A model of random weights, written to a folder; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MistralForCausalLM(config)
    with torch.no_grad():
        # What each block adds to the stream is smaller the more of them there are (GPT-2, 2019).
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.mul_((2 * config.num_hidden_layers) ** -0.5)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    return model


def count_weights(folder: Path) -> int:
    """How many weights a base has that was made here."""
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
