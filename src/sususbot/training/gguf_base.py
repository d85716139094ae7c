"""A small base with a SentencePiece vocabulary as a GGUF file: what is trained here from scratch, and others like it.

Everything else (other vocabularies, stretched positions, 4-bit mixtures) is for llama.cpp's own converter, and said so.
Tensor by tensor: no more than one of them is in memory.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import gguf
import numpy as np
import orjson
import sentencepiece
import torch
from gguf.quants import quant_shape_to_byte_shape, quantize
from numpy.typing import NDArray
from sentencepiece import sentencepiece_model_pb2
from transformers import PreTrainedConfig

from sususbot.errors import BaseUnfit
from sususbot.model.pieces import SENTENCEPIECE
from sususbot.training.gguf_names import CONVERTER, Layout, config_of, layout
from sususbot.training.weights import FLOATS, Exported, Stored, read, stored, whole

Quant = Literal["F16", "Q8_0"]

KIND: Final = "base"
_QUANTS: Final = {"F16": gguf.GGMLQuantizationType.F16, "Q8_0": gguf.GGMLQuantizationType.Q8_0}
_FILE_TYPES: Final = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
# What other checkpoints also hold, and what is computed from the config.
_DERIVED: Final = "rotary_emb.inv_freq"
_BPE: Final = 2
# Of a token that no text is cut into.
_NO_SCORE: Final = -1000.0
_HEADER_BYTES: Final = 1 << 20
_F16_MAX: Final = float(np.finfo(np.float16).max)


def base_to_gguf(
    folder: Path, out: Path, kind: Quant = "F16", progress: Callable[[int, int], None] = lambda *_: None
) -> Exported:
    """`progress` is told tensors written and in all. Raises BaseNotFound, BaseUnfit, ExportFailed."""
    config = config_of(folder)
    to = layout(config)
    _check_config(folder, config)
    tensors = _tensors(folder, to)
    infos = {name: _info(tensor.shape, _QUANTS[kind]) for name, tensor in tensors.items()}
    writer = gguf.GGUFWriter(None, to.arch)
    _add_facts(writer, to, kind)
    _add_vocabulary(writer, folder, config)
    for name, (quant, shape, dtype, size) in infos.items():
        writer.add_tensor_info(str(to.name(name)), shape, np.dtype(dtype), size, raw_dtype=quant)
    with whole(out, _HEADER_BYTES + sum(size for *_, size in infos.values())) as aside:
        try:
            writer.write_header_to_file(aside)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for done, (name, tensor) in enumerate(tensors.items(), 1):
                writer.write_tensor_data(_converted(folder, name, tensor, to, infos[name][0]))
                progress(done, len(tensors))
        finally:
            writer.close()
    return Exported(out, KIND, len(tensors), out.stat().st_size)


def _check_config(folder: Path, config: PreTrainedConfig) -> None:
    rope = (config.rope_parameters or {}).get("rope_type", "default")
    if rope != "default" or config.hidden_act != "silu":
        what = f"stretches its positions ({rope})" if rope != "default" else f"computes with {config.hidden_act}"
        raise BaseUnfit(f"the base in {folder} {what}, which cannot be exported here: use {CONVERTER}")


# -- tensors


def _tensors(folder: Path, to: Layout) -> dict[str, Stored]:
    """What goes into the file, by transformers' names; all that the family needs, and nothing unknown."""
    found = stored(folder)
    tied = bool(to.config.tie_word_embeddings)
    known = dict(to.tensors(tied=tied))
    if lacking := [name for name, needed in known.items() if needed and name not in found]:
        raise BaseUnfit(f"the base in {folder} lacks {len(lacking)} tensors ({lacking[0]} …): fetch it again")
    derived = {name for name in found if _DERIVED in name or (tied and name == "lm_head.weight")}
    if strange := sorted(found.keys() - known.keys() - derived):
        raise BaseUnfit(f"{strange[0]} in {folder} is not known of a {to.config.model_type}: use {CONVERTER}")
    tensors = {name: found[name] for name in known if name in found}
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            raise BaseUnfit(f"{name} in {folder} is quantised ({tensor.dtype}): export the base that it was made of")
        shape = _shape(name, to)
        if shape is not None and tensor.shape != shape:
            raise BaseUnfit(
                f"{name} in {folder} is {tensor.shape} and not {shape}, as its config.json says: fetch both again"
            )
    return tensors


def _shape(name: str, to: Layout) -> tuple[int, ...] | None:
    if name in ("model.embed_tokens.weight", "lm_head.weight"):
        return to.config.vocab_size, to.config.hidden_size
    module, _, kind = name.rpartition(".")
    return to.shape(module) if kind == "weight" else None


Info = tuple[gguf.GGMLQuantizationType, tuple[int, ...], type, int]


def _info(shape: tuple[int, ...], quant: gguf.GGMLQuantizationType) -> Info:
    """Type, shape (in bytes where blocks are packed), numpy's type and size of a tensor in the file."""
    block, _ = gguf.GGML_QUANT_SIZES[quant]
    if len(shape) == 1:
        quant = gguf.GGMLQuantizationType.F32
    elif shape[-1] % block:
        quant = gguf.GGMLQuantizationType.F16
    if quant == gguf.GGMLQuantizationType.Q8_0:
        packed = quant_shape_to_byte_shape(shape, quant)
        return quant, packed, np.uint8, int(np.prod(packed))
    dtype = np.float32 if quant == gguf.GGMLQuantizationType.F32 else np.float16
    return quant, shape, dtype, int(np.prod(shape)) * np.dtype(dtype).itemsize


def _converted(folder: Path, name: str, tensor: Stored, to: Layout, quant: gguf.GGMLQuantizationType) -> NDArray[Any]:
    module = name.rpartition(".")[0]
    values = to.ordered(module, read(name, tensor).to(torch.float32).numpy())
    if not np.isfinite(values).all() or (quant != gguf.GGMLQuantizationType.F32 and abs(values).max() > _F16_MAX):
        raise BaseUnfit(f"{name} in {folder} holds numbers that fp16 cannot: the base is broken, fetch it again")
    packed: NDArray[Any] = quantize(values, quant)
    return packed


# -- facts and vocabulary


def _add_facts(writer: gguf.GGUFWriter, to: Layout, kind: Quant) -> None:
    config = to.config
    # llama.cpp's llama knows no sliding window: up to its length the two are the same.
    context = min(filter(None, (config.max_position_embeddings, getattr(config, "sliding_window", None))))
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_file_type(_FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(to.head_dim)
    writer.add_value_length(to.head_dim)
    writer.add_rope_dimension_count(to.head_dim)
    writer.add_rope_freq_base(float((config.rope_parameters or {}).get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _add_vocabulary(writer: gguf.GGUFWriter, folder: Path, config: PreTrainedConfig) -> None:
    model = _sentencepiece(folder)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    texts = [piece.piece for piece in model.pieces]
    scores = [piece.score for piece in model.pieces]
    # Both number their kinds alike: normal, unknown, control, user-defined, unused, byte.
    kinds = [int(piece.type) for piece in model.pieces]
    for text, kind in _added(folder, len(texts), config.vocab_size):
        texts.append(text)
        scores.append(_NO_SCORE)
        kinds.append(int(kind))
    if len(texts) > config.vocab_size:
        raise BaseUnfit(
            f"the tokenizer in {folder} has {len(texts)} pieces and the base only {config.vocab_size}: they do not "
            "belong together, fetch both again"
        )
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    ids = {"unk": pieces.unk_id(), "bos": _id(config.bos_token_id, pieces.bos_id()), "pad": pieces.pad_id()}
    ids["eos"] = _id(config.eos_token_id, pieces.eos_id())
    for name, add in (
        ("unk", writer.add_unk_token_id),
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("pad", writer.add_pad_token_id),
    ):
        if 0 <= ids[name] < len(texts):
            add(ids[name])
    said = _json(folder / "tokenizer_config.json")
    writer.add_add_bos_token(bool(said.get("add_bos_token", True)))
    writer.add_add_eos_token(bool(said.get("add_eos_token", False)))
    writer.add_add_space_prefix(bool(model.normalizer_spec.add_dummy_prefix))


def _sentencepiece(folder: Path) -> Any:
    """The vocabulary, if llama.cpp cuts texts by it as SentencePiece does. Raises BaseUnfit."""
    path = folder / SENTENCEPIECE
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise BaseUnfit(
            f"the base in {folder} has no SentencePiece vocabulary ({SENTENCEPIECE}): use {CONVERTER}"
        ) from error
    except Exception as error:
        raise BaseUnfit(f"{path} is no SentencePiece vocabulary: use {CONVERTER}") from error
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    if trainer.model_type != _BPE or not trainer.byte_fallback:
        raise BaseUnfit(f"the vocabulary in {path} is of another kind than Llama's (BPE with bytes): use {CONVERTER}")
    if normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces:
        raise BaseUnfit(
            f"the vocabulary in {path} changes texts before it cuts them, which llama.cpp would not: use another base"
        )
    return model


def _added(folder: Path, pieces: int, size: int) -> Iterator[tuple[str, gguf.TokenType]]:
    """Tokens beyond the vocabulary: those that were added, and rows of the embedding that mean nothing."""
    added = {int(token["id"]): token for token in _json(folder / "tokenizer.json").get("added_tokens", [])}
    for id_ in range(pieces, max([size, *(id_ + 1 for id_ in added)])):
        token = added.get(id_)
        if token is None:
            yield f"[PAD{id_}]", gguf.TokenType.UNUSED
        else:
            yield str(token["content"]), gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED


def _id(said: Any, otherwise: int) -> int:
    """What the config says; the first of several."""
    said = said[0] if isinstance(said, list) and said else said
    return said if isinstance(said, int) else otherwise


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise BaseUnfit(f"{path} cannot be read: fetch the base again") from error
