"""Bytes counted rather than reckoned, on a processor: what `memory_model` and its tests are measured by."""

import gc
import os
from collections.abc import Callable, Iterator

import torch
from torch.profiler import ProfilerActivity, profile

# Otherwise the profiler tells on stderr that it begins and ends.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def counted_peak(work: Callable[[], object]) -> int:
    """The most bytes that were held at one time of all that `work` asked torch's allocator for.

    Counted by the allocator itself, so that what kernels take for a moment is in it; what was there before is not.
    """
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def held_bytes(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of a model's weights, however they are packed, with their gradients and the optimiser's states."""
    storages = {}
    for tensor in _tensors(model, optimizer):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    yield from model.buffers()
    for weight in model.parameters():
        yield weight.detach()
        if weight.grad is not None:
            yield weight.grad
        # How bitsandbytes keeps the scales of a matrix in 4 bits.
        packed = getattr(weight, "quant_state", None)
        if packed is not None:
            yield from (packed.absmax, packed.code, packed.offset, packed.state2.absmax, packed.state2.code)
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, torch.Tensor))
