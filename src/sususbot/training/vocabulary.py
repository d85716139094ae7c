"""A vocabulary learned from texts, and the tokenizer files of a base that is made here.

SentencePiece learns it, llama.cpp serves it, transformers trains with it, and all three cut a text alike: the
tokenizer.json is the one of `model.pieces`.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson
import sentencepiece

from sususbot.errors import TrainingError
from sususbot.model.pieces import SENTENCEPIECE, special_tokens, tokenizer

# In bytes; SentencePiece would pass over what is longer than 4192 without a word.
_LONGEST_LINE: Final = 1 << 20


def learn(texts: Iterable[str], size: int) -> bytes:
    """A SentencePiece model of at most `size` pieces, as Mistral's is: pairs merged, bytes for what is in no piece.

    Texts are cut at newlines: a newline is always a byte of its own.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts for line in text.splitlines() if line.strip()),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            hard_vocab_limit=False,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            character_coverage=0.9995,
            max_sentence_length=_LONGEST_LINE,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise TrainingError(f"no vocabulary can be learned from this corpus ({error}): give it more texts") from error
    return model.getvalue()


def write(model: bytes, folder: Path) -> None:
    """The SentencePiece model, and the files by which transformers cuts texts as it does."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    (folder / SENTENCEPIECE).write_bytes(model)
    tokenizer(pieces).save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        # The class that takes tokenizer.json as it stands: LlamaTokenizer would put its own rules in place of ours.
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special_tokens(pieces),
        "add_bos_token": True,
        "add_eos_token": False,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
