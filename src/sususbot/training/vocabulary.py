"""A vocabulary learned from texts, and the tokenizer files of a base that is made here.

SentencePiece learns it, llama.cpp serves it, transformers trains with it, and all three must cut a text alike. Loaded
from the SentencePiece file alone, transformers 5 does not: it ranks merges by id, where the other two go by score (a
second space in a row is cut differently), it puts no space before a text that begins with one, and it turns `</s>` in a
text into the control token. So the tokenizer.json is written here.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from sususbot.errors import TrainingError

SENTENCEPIECE: Final = "tokenizer.model"
_SPACE: Final = "▁"
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
    _tokenizer(pieces).save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        # The class that takes tokenizer.json as it stands: LlamaTokenizer would put its own rules in place of ours.
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": piece for name, piece in _special(pieces).items()},
        "add_bos_token": True,
        "add_eos_token": False,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))


def _special(pieces: Any) -> dict[str, str]:
    ids = {"unk": pieces.unk_id(), "bos": pieces.bos_id(), "eos": pieces.eos_id()}
    return {name: pieces.id_to_piece(id_) for name, id_ in ids.items()}


def _tokenizer(pieces: Any) -> Tokenizer:
    special = _special(pieces)
    model = BPE(
        vocab={pieces.id_to_piece(id_): id_ for id_ in range(len(pieces))},
        merges=list(_merges(pieces)),
        unk_token=special["unk"],
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special.values()])
    begin = special["bos"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, pieces.bos_id())]
    )
    return tokenizer


def _merges(pieces: Any) -> Iterator[tuple[str, str]]:
    """Pairs in the order in which SentencePiece joins them: by the score of what they make.

    Where scores are equal it joins from the left, which is: whatever is longest on the left first.
    """
    plain = (id_ for id_ in range(len(pieces)) if not (pieces.is_control(id_) or pieces.is_unknown(id_)))
    scores = {pieces.id_to_piece(id_): pieces.get_score(id_) for id_ in plain if not pieces.is_byte(id_)}
    pairs = [
        (-score, -cut, piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return ((left, right) for _, _, left, right in sorted(pairs))


def load(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of any base that has a SentencePiece model, cutting texts as llama.cpp will."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / SENTENCEPIECE))
    special = {f"{name}_token": piece for name, piece in _special(pieces).items()}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_tokenizer(pieces), split_special_tokens=True, **special
    )
