"""What does training a full-size base ask of this card? Run as  python -m sususbot.benchmarks.train_gpu

A Mistral-7B with random weights is made on the card, each matrix put into 4 bits as soon as it is there, and our own
loop trains an adapter on it, on packed documents as long as conversations are, under a cap of memory. Nothing is
downloaded: time and memory do not depend on what the weights say.

Bare minimum: every layer computed twice; beside it, as many layers kept as the cap allows.
MFU is what the mathematics needs (nothing counted twice) over products of large matrices measured on the same card in
the same run. With --cpu and small sizes it runs anywhere, and counts bytes at the allocator instead.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from transformers import AutoModelForCausalLM, MistralConfig, PreTrainedConfig

from sususbot.benchmarks.report import Metrics, Result
from sususbot.errors import SususError, TooLittleMemory
from sususbot.machine import machine
from sususbot.training import attention, hardware
from sususbot.training.base import DTYPES, attach_adapter
from sususbot.training.batches import Steps
from sususbot.training.counting import counted_peak, held_bytes
from sususbot.training.documents import Document
from sususbot.training.memory_model import memory, plain_layers_that_fit
from sususbot.training.metrics import Event, Note, StepDone
from sususbot.training.presets import precision
from sususbot.training.processes import Processes
from sususbot.training.recipe import TARGETS, Hardware, Recipe
from sususbot.training.shape import Operations, Shape, pairs
from sususbot.training.train_lora import Data, Learner, fit

# Tokens of 63,000 messages, at 25 each with names and line ends, and how often they are read.
TOKENS_PER_EPOCH: Final = 1.6e6
EPOCHS: Final = 3

# Of an RTX 2080 Ti: products as cuBLAS reaches them on a card of its family (triton#189), memory as the maker says, of
# which copying reaches about 85 % on any card. At worst everything together runs at the slower rate.
_TARGET_PRODUCTS: Final = 45e12
_TARGET_BYTES_PER_S: Final = 0.85 * 616e9
_TARGET_WORST: Final = 20e12

_WARM_UP: Final = 2
_ROWS: Final = 4
_COPIED: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Options:
    config: MistralConfig
    tokens: int
    steps: int
    cap_gb: float
    rank: int
    cpu: bool
    precision: str | None
    plain_layers: int | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of training: speed over the steps after warming up, memory in bytes, operations of those steps.

    `shrunk` is how often memory ran out and less was taken at once: then this is not what was asked for.
    """

    plain_layers: int
    tokens_per_s: float
    operations_per_token: Operations
    useful_share: float
    skipped: int
    shrunk: int
    peak_bytes: int
    taken_bytes: int
    predicted_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        result = bench_train_gpu(_options(asked))
    except SususError as error:
        print(error, file=sys.stderr)
        return 1
    except RuntimeError as error:
        if not hardware.is_out_of_memory(error):
            raise
        print("memory ran out: raise --cap-gb, or lower --tokens or --layers", file=sys.stderr)
        return 1
    print(json.dumps(result.as_json()) if asked.json else "\n".join(result.as_lines()))
    return 0


def bench_train_gpu(options: Options) -> Result:
    """Trains twice. Raises NoGpu, TooLittleMemory."""
    torch.manual_seed(0)
    shape = Shape.of(options.config)
    recipe = Recipe(pack_tokens=options.tokens, rows=_ROWS, rank=options.rank, epochs=1)
    documents = _documents(options, recipe)
    laid_out, free, where = _lay_out(options, shape, recipe)
    device = torch.device(laid_out.device)
    rate = hardware.matmul_rate(device, DTYPES[laid_out.precision], seconds=1.0)
    copied = _copy_rate(device)
    model = attach_adapter(random_base(options.config, laid_out), recipe, laid_out)
    kept = options.plain_layers
    if kept is None:
        kept = plain_layers_that_fit(shape, recipe, laid_out, free)
    bare, ours = (
        _trained(model, documents, shape, recipe, replace(laid_out, plain_layers=layers)) for layers in (0, kept)
    )
    projected = device.type == "cuda"
    return Result(
        "train_gpu",
        _metrics(ours, rate, copied if projected else None),
        _metrics(bare, rate, copied if projected else None),
        f"{shape.linear_weights / 1e9:.2f} B weights in NF4, {options.tokens:,} tokens a row, {laid_out.precision}, "
        f"{kept} of {shape.layers} layers kept; products of matrices {rate / 1e12:.3g} TFLOPS, copying "
        f"{copied / 1e9:.0f} GB/s, measured in this run",
        "the same loop with every layer computed twice",
        machine=where,
    )


def random_base(config: PreTrainedConfig, laid_out: Hardware) -> torch.nn.Module:
    """A frozen model with random weights on its device; where in 4 bits, one matrix at a time is there in full.

    For families without biases.
    """
    device, dtype = torch.device(laid_out.device), DTYPES[laid_out.precision]
    made_from: Any = AutoModelForCausalLM.from_config
    with torch.device("meta"):
        model: Any = made_from(config, dtype=dtype, attn_implementation=attention.register())
    for name, module in list(model.named_modules()):
        parent, _, leaf = name.rpartition(".")
        if laid_out.four_bit and leaf in TARGETS:
            setattr(model.get_submodule(parent), leaf, _packed(module, device, dtype))
            continue
        for key, weight in list(module.named_parameters(recurse=False)):
            made = torch.empty(weight.shape, dtype=dtype, device=device)
            # Norms are the only weights with one dimension.
            torch.nn.init.ones_(made) if made.dim() == 1 else made.normal_(std=config.initializer_range)
            setattr(module, key, torch.nn.Parameter(made))
    # Its table is no weight, and was left on the device that holds nothing.
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(device)
    # How peft tells a base in 4 bits.
    model.is_loaded_in_4bit = laid_out.four_bit
    base: torch.nn.Module = model
    return base.requires_grad_(False)


def _packed(linear: torch.nn.Linear, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """A random matrix of that size, as `base.load_weights` has them."""
    from bitsandbytes.nn import modules

    layer: Any = modules.Linear4bit
    weight: Any = modules.Params4bit
    kind = {"quant_type": "nf4", "compress_statistics": True}
    packed: torch.nn.Module = layer(
        linear.in_features, linear.out_features, bias=False, compute_dtype=dtype, device="meta", **kind
    )
    full = torch.empty(linear.out_features, linear.in_features, dtype=dtype, device=device).normal_(std=0.02)
    packed.weight = weight(full, requires_grad=False, module=packed, **kind).to(device)
    return packed


def _trained(
    model: torch.nn.Module, documents: Sequence[Document], shape: Shape, recipe: Recipe, laid_out: Hardware
) -> Measured:
    """Both at once on a card; on a processor bytes are counted apart, over two steps, since counting takes its time."""
    device = torch.device(laid_out.device)
    told: list[Event] = []

    def train(some: Sequence[Document]) -> None:
        learner = Learner(model, publish=lambda _run: None)
        with tempfile.TemporaryDirectory() as run:
            processes = Processes(cpu=device.type == "cpu")
            fit(learner, Data(some, ()), recipe, laid_out, Path(run), processes, report=told.append)

    predicted = memory(shape, recipe, laid_out)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        train(documents)
        peak = torch.cuda.max_memory_allocated(device)
        free, total = torch.cuda.mem_get_info(device)
        outside = total - free - torch.cuda.memory_reserved(device)
        taken = torch.cuda.max_memory_reserved(device) + outside
    else:
        held = held_bytes(model, torch.optim.SGD(model.parameters()))
        peak = taken = held + counted_peak(lambda: train(_first_steps(documents, recipe, 2)))
        told.clear()
        train(documents)
    rows = [event for event in told if isinstance(event, StepDone)]
    steady = rows[_WARM_UP:] or rows
    lengths = [len(document) for document in documents]
    learned = sum(int(np.count_nonzero(document.weights)) for document in documents)
    whole = shape.operations(
        sum(lengths), pairs(lengths), learned, rank=recipe.rank, plain_layers=laid_out.plain_layers
    )
    return Measured(
        plain_layers=laid_out.plain_layers,
        tokens_per_s=median(row.tokens_per_s for row in steady),
        operations_per_token=Operations(*(part / sum(lengths) for part in whole)),
        useful_share=Steps(documents, recipe).fill,
        skipped=rows[-1].skipped,
        shrunk=sum(isinstance(event, Note) for event in told),
        peak_bytes=peak,
        taken_bytes=taken,
        predicted_bytes=predicted.allocated,
    )


def _metrics(measured: Measured, rate: float, copied: float | None) -> Metrics:
    """`copied` is None where nothing can be said of another card from this one."""
    per_token, speed = measured.operations_per_token, measured.tokens_per_s
    hours = EPOCHS * TOKENS_PER_EPOCH / 3600
    target = _on_target(measured, rate, copied) if copied is not None else None
    return {
        "plain_layers": measured.plain_layers,
        "tokens_per_s": speed,
        "useful_share": measured.useful_share,
        "skipped_steps": measured.skipped,
        "times_memory_ran_out": measured.shrunk,
        "mfu": per_token.needed * speed / rate,
        "mfu_with_recomputed": per_token.done * speed / rate,
        "gflop_per_token": per_token.needed / 1e9,
        "matrix_tflops": rate / 1e12,
        "peak_vram_gb": measured.taken_bytes / 1e9,
        "peak_allocated_gb": measured.peak_bytes / 1e9,
        "predicted_allocated_gb": measured.predicted_bytes / 1e9,
        "hours_63k_messages": hours / speed,
        "hours_63k_messages_2080_ti_from": None if target is None else hours / target,
        "hours_63k_messages_2080_ti_to": None
        if target is None
        else hours / min(target, _TARGET_WORST / per_token.done),
    }


def _on_target(measured: Measured, rate: float, copied: float) -> float:
    """Tokens a second of an RTX 2080 Ti: products at its own rate, and all other time here by how fast memory is."""
    done = measured.operations_per_token.done
    other = max(0.0, 1 / measured.tokens_per_s - done / rate)
    return 1 / (done / _TARGET_PRODUCTS + other * max(1.0, copied / _TARGET_BYTES_PER_S))


def _lay_out(options: Options, shape: Shape, recipe: Recipe) -> tuple[Hardware, int, str]:
    """How it is laid on the machine, the bytes it may take, and the machine in words."""
    if options.cpu:
        laid_out = Hardware(precision=options.precision or "fp32", four_bit=True)
        free, where = hardware.free_memory(), machine()
    else:
        cards = hardware.find_cards()
        work = shape.operations(_ROWS * options.tokens * options.steps, 0, 0, rank=options.rank)
        card = hardware.check_card(
            cards, 0, 2 * work.done, lambda: hardware.matmul_rate(torch.device("cpu"), torch.float32)
        )
        used = options.precision or precision(card.capability, None)
        laid_out = Hardware(f"cuda:{card.index}", used, four_bit=True)
        free = min(card.free_bytes, round(options.cap_gb * 1e9))
        hardware.cap_memory(torch.device(laid_out.device), free)
        where = f"{card.name}, driver {cards.driver or 'unknown'}, torch {cards.torch}, CUDA {cards.cuda}"
    least = memory(shape, recipe, laid_out)
    if least.total - least.context > free:
        raise TooLittleMemory(
            f"this needs about {(least.total - least.context) / 1e9:.1f} GB and may take {free / 1e9:.1f}: raise "
            "--cap-gb, or lower --tokens or --layers"
        )
    return laid_out, free, where


def _documents(options: Options, recipe: Recipe) -> list[Document]:
    """Conversations for so many full steps: most are short, some fill half a row."""
    chance = np.random.default_rng(0)
    wanted = options.steps * recipe.tokens_per_step
    most = min(1024, options.tokens)
    made: list[Document] = []
    while wanted > 0:
        length = int(np.clip(chance.lognormal(np.log(180), 0.9), 16, most))
        weights = chance.choice([0.0, 0.1, 1.0], length, p=[0.1, 0.5, 0.4]).astype(np.float32)
        weights[0] = 0.0
        ids = chance.integers(0, options.config.vocab_size, length, dtype=np.int32)
        made.append(Document(str(len(made)), ids, weights, float(weights.sum()) * 4, 0))
        wanted -= length
    return made


def _first_steps(documents: Sequence[Document], recipe: Recipe, steps: int) -> list[Document]:
    some: list[Document] = []
    left = steps * recipe.tokens_per_step
    for document in documents:
        if left <= 0:
            break
        some.append(document)
        left -= len(document)
    return some


def _copy_rate(device: torch.device) -> float:
    """Bytes that memory reads and writes a second."""
    size = _COPIED if device.type == "cuda" else _COPIED // 8
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def once() -> float:
        begun = hardware.now(device)
        target.copy_(source)
        return hardware.now(device) - begun

    once()
    return 2 * size / median(once() for _ in range(5))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sususbot.benchmarks.train_gpu", description=__doc__)
    parser.add_argument("--cap-gb", type=float, default=10.0, help="memory that may be taken, in GB (default: 10)")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens of a row (default: 2048)")
    parser.add_argument("--steps", type=int, default=20, help=f"steps of {_ROWS} rows, each way (default: 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--cpu", action="store_true", help="on the processor: for small sizes")
    parser.add_argument("--precision", choices=sorted(DTYPES), help="what to compute in (default: by the card)")
    parser.add_argument("--plain-layers", type=int, help="layers to keep (default: as many as fit)")
    parser.add_argument("--rank", type=int, default=16, help="of the adapter (default: 16)")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--ffn", type=int, default=14336)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=8)
    parser.add_argument("--vocab", type=int, default=32768)
    return parser


def _options(asked: argparse.Namespace) -> Options:
    # What is left open is as in Mistral-7B-v0.3.
    config = MistralConfig(
        vocab_size=asked.vocab,
        hidden_size=asked.hidden,
        intermediate_size=asked.ffn,
        num_hidden_layers=asked.layers,
        num_attention_heads=asked.heads,
        num_key_value_heads=asked.kv_heads,
        head_dim=asked.hidden // asked.heads,
        max_position_embeddings=32768,
        sliding_window=None,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
    )
    return Options(
        config, asked.tokens, asked.steps, asked.cap_gb, asked.rank, asked.cpu, asked.precision, asked.plain_layers
    )


if __name__ == "__main__":
    sys.exit(main())
