"""A base's SentencePiece vocabulary as a tokenizer of transformers that cuts any text as llama.cpp does.

Loaded from the SentencePiece file alone, transformers 5 does not: it ranks merges by id, where SentencePiece and
llama.cpp go by score (a second space in a row is cut differently), it puts no space before a text that begins with one,
and it turns `</s>` in a text into the control token. So the tokenizer is built here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

SENTENCEPIECE: Final = "tokenizer.model"
_SPACE: Final = "▁"


def load(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of any base that has a SentencePiece model, cutting texts as llama.cpp will."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / SENTENCEPIECE))
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer(pieces), split_special_tokens=True, **special_tokens(pieces)
    )


def special_tokens(pieces: Any) -> dict[str, str]:
    """The marks of a vocabulary, as transformers names them."""
    ids = {"unk": pieces.unk_id(), "bos": pieces.bos_id(), "eos": pieces.eos_id()}
    return {f"{name}_token": pieces.id_to_piece(id_) for name, id_ in ids.items()}


def tokenizer(pieces: Any) -> Tokenizer:
    """Of a SentencePiece model that is loaded."""
    special = special_tokens(pieces)
    model = BPE(
        vocab={pieces.id_to_piece(id_): id_ for id_ in range(len(pieces))},
        merges=list(_merges(pieces)),
        unk_token=special["unk_token"],
        fuse_unk=True,
        byte_fallback=True,
    )
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    made.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special.values()])
    begin = special["bos_token"]
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, pieces.bos_id())]
    )
    return made


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
