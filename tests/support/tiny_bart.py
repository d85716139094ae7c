"""A BART of a few thousand weights with a vocabulary of its own, in the files that real ones come in.

It learned nothing, but says words only: all other tokens are held down by its bias.
"""

import re
from pathlib import Path
from typing import Any

POSITIONS = 64
TEXTS = [
    "mia: shall we bake bread at the lake this weekend",
    "tom: yes, and bring the old kettle, please",
    "eve: the kettle is broken, the handle came off yesterday",
    "mia: then take the one from the shed behind the house",
    "tom: who has the key of the shed? it was with eve last time",
]


def write(folder: Path, *, positions: int = POSITIONS, seed: int = 1) -> Path:
    """The folder, with configuration, weights and tokenizer."""
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=16, max_position_embeddings=positions,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, init_std=0.5,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    model: Any = BartForConditionalGeneration(config)
    words = [id_ for id_ in range(len(tokenizer)) if re.fullmatch(r" [a-z]{3,}", tokenizer.decode([id_]))]
    bias = torch.full((1, len(tokenizer)), -1e4)
    bias[0, words] = 0.0
    model.final_logits_bias = bias
    model.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    learned = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "<pad>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(TEXTS * 5, learned)
    wrap: Any = PreTrainedTokenizerFast
    return wrap(tokenizer_object=made, bos_token="<s>", pad_token="<pad>", eos_token="</s>")
