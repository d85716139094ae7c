"""One process or many: who am I, and what have we in common? Many:  torchrun --nproc-per-node N -m sususbot train.

By accelerate, over NCCL on cards and gloo on processors. Every process holds the whole model; a step's bins are shared
out, gradients are added up. Nothing here knows what is trained.
"""

import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

T = TypeVar("T")


def rank() -> int:
    """Which of the processes this is, from 0; known before anything else is."""
    return int(os.environ.get("RANK", "0"))


class Processes:
    """The processes of one training. `device` is this one's."""

    def __init__(self, *, cpu: bool) -> None:
        # Buffers never change. Sent around before each pass, a pass that only one process makes would hang.
        alike = DistributedDataParallelKwargs(broadcast_buffers=False)
        self._accelerator = Accelerator(cpu=cpu, kwargs_handlers=[alike])
        self.device: torch.device = self._accelerator.device
        self.count: int = self._accelerator.num_processes
        self.index: int = self._accelerator.process_index

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.index == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of what all have."""
        return items[self.index :: self.count]

    def together(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module, whose gradients become the mean over all processes."""
        if self.count == 1:
            return module
        with warnings.catch_warnings():
            # accelerate names an argument of torch by its old name.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            wrapped: torch.nn.Module = self._accelerator.prepare_model(module)
        return wrapped

    def alone(self, module: torch.nn.Module) -> AbstractContextManager[Any]:
        """While gradients of a step are still being gathered here, they need not be exchanged."""
        return nullcontext() if self.count == 1 else self._accelerator.no_sync(module)

    def total(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes."""
        if self.count == 1:
            return list(values)
        # float64, so that one process and many add up alike; gloo and NCCL both can.
        summed = self._accelerator.reduce(torch.tensor(values, dtype=torch.float64, device=self.device), "sum")
        return [float(value) for value in summed]

    def wait(self) -> None:
        """Until all are here."""
        self._accelerator.wait_for_everyone()

    def end(self) -> None:
        """Leave the group, so that nobody waits for this process."""
        self._accelerator.end_training()
