"""What does summing up in the background cost, and does the event loop feel it?

A BART of a real one's shape (random weights: the time does not depend on what they are) is loaded and sums up five
messages at a time in the thread that a bot has for it, while an event loop asks every five milliseconds how late it is.
Random weights know no end, so every summary is as long as one may be: the slowest case. Each row runs in a process of
its own.
Bare minimum: the same model as its library loads it, in float32; and the lateness of a loop with nothing beside it.
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal, NamedTuple

from sususbot.benchmarks.report import Metrics, Result, in_new_process, peak_rss_mb, percentile_ms, timed
from sususbot.errors import BackendFailed
from sususbot.memory.summarizer.bart import Bart
from sususbot.memory.summarizer.summarizer import Said
from sususbot.model.backend import Deadline

Shape = Literal["large", "base"]

_LAYERS: Final[dict[Shape, int]] = {"large": 12, "base": 6}
_WIDTH: Final[dict[Shape, int]] = {"large": 1024, "base": 768}
_TALK: Final = [
    Said("mia", "are we still on for saturday? i can bring the boat"),
    Said("tom", "yes, but the harbour is closed until noon"),
    Said("eve", "then let us meet at my place and have breakfast first"),
    Said("mia", "good, i bring bread"),
    Said("tom", "and i will take the big kettle, the small one leaks"),
]
_PIECES: Final = 3
_TICK_SECONDS: Final = 0.005
_IDLE_SECONDS: Final = 3.0
_LONGEST_SECONDS: Final = 600.0


class _Measured(NamedTuple):
    load_s: float
    piece_s: float
    held_mb: float | None
    peak_rss_mb: float | None
    late_loading: list[float]
    late: list[float]
    idle: list[float]


def bench_summarizing(shape: Shape) -> Result:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / shape
        in_new_process(_write, folder, shape)
        small = in_new_process(_measure, folder, True)
        whole = in_new_process(_measure, folder, False)
    return Result(
        "summarizing",
        _metrics(small),
        _metrics(whole)
        | {
            "loading_loop_late_max_ms": None,
            "loop_late_p99_ms": percentile_ms(whole.idle, 99),
            "loop_late_max_ms": max(whole.idle) * 1000,
        },
        f"five messages to a summary of 60 tokens by four beams, a BART of {shape} shape in int8, in a thread",
        "the same in float32; of the loop, nothing beside it",
    )


def _metrics(measured: _Measured) -> Metrics:
    return {
        "load_s": measured.load_s,
        "piece_s": measured.piece_s,
        "held_mb": measured.held_mb,
        "peak_rss_mb": measured.peak_rss_mb,
        "loading_loop_late_max_ms": max(measured.late_loading) * 1000,
        "loop_late_p99_ms": percentile_ms(measured.late, 99),
        "loop_late_max_ms": max(measured.late) * 1000,
    }


def _measure(folder: Path, int8: bool) -> _Measured:
    bart = Bart(folder, int8=int8)
    idle = asyncio.run(_lateness(None))
    loading: list[float] = []
    late_loading = _late_beside(lambda: loading.append(timed(bart.load)[1]))
    # The first takes longer: what is allocated is kept.
    _sum_up(bart)
    seconds: list[float] = []
    late = _late_beside(lambda: seconds.extend(timed(lambda: _sum_up(bart))[1] for _ in range(_PIECES)))
    return _Measured(loading[0], median(seconds), _held_mb(), peak_rss_mb(), late_loading, late, idle)


def _late_beside(work: Callable[[], None]) -> list[float]:
    """How late an event loop is while some work is done in a thread."""
    thread = threading.Thread(target=work)
    thread.start()
    return asyncio.run(_lateness(thread))


def _held_mb() -> float | None:
    """What this process holds and the system cannot take back: weights that were read off a file are not in it.

    None where the system does not tell.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    held = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("RssAnon"))
    return int(held.split()[1]) * 1024 / 1_000_000


def _sum_up(bart: Bart) -> None:
    # Random words hold no check.
    with suppress(BackendFailed):
        bart.summarize(_TALK, Deadline(_LONGEST_SECONDS))


async def _lateness(beside: threading.Thread | None) -> list[float]:
    """How late each tick of the loop was, for as long as the thread runs or a few seconds."""
    late: list[float] = []
    end = time.perf_counter() + _IDLE_SECONDS
    while beside.is_alive() if beside is not None else time.perf_counter() < end:
        due = time.perf_counter() + _TICK_SECONDS
        await asyncio.sleep(_TICK_SECONDS)
        late.append(time.perf_counter() - due)
    return late


def _write(folder: Path, shape: Shape) -> None:
    """A model of that shape, and a vocabulary of bytes."""
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    width = _WIDTH[shape]
    layers, heads = _LAYERS[shape], width // 64
    config = BartConfig(
        d_model=width, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads,
        decoder_attention_heads=heads, encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
    )  # fmt: skip
    torch.manual_seed(0)
    model: Any = BartForConditionalGeneration(config)
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(
        BPE(vocab={letter: id_ for id_, letter in enumerate(["<s>", "<pad>", "</s>", *letters])}, merges=[])
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    wrap: Any = PreTrainedTokenizerFast
    return wrap(tokenizer_object=made, bos_token="<s>", pad_token="<pad>", eos_token="</s>")
