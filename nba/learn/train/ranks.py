# SPDX-License-Identifier: Apache-2.0
"""Processes that train together, started by torchrun: who this one is, its share of a batch, sums over all.

Every process draws the same random numbers (order of the images, augmentation, Gumbel noise) for the whole batch and
works on its rows of it; gradients and BatchNorm's statistics are averaged. So any number of processes computes what one
would, but for the order of sums. A process alone needs none of this: its share is all, its sums are its own.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nba.core.errors import SpecError, ToolError

TIMEOUT = timedelta(minutes=30)
"""After this long without an answer a peer counts as lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """This process is number `rank` of `size`. Only rank 0 writes files."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def rows(self, batch: int) -> Tensor:
        """This process's rows of a batch. With several processes, mirror images of each other (row i and row
        batch - 1 - i), since mixup blends such pairs: the share in reverse is the reverse of the batch, shared out."""
        if self.size == 1:
            return torch.arange(batch)
        half = batch // (2 * self.size)
        first = torch.arange(self.rank * half, (self.rank + 1) * half)
        return torch.cat([first, batch - 1 - first.flip(0)])

    def check_batch(self, batch: int, field: str) -> None:
        """Raise SpecError unless a batch can be shared out evenly."""
        if self.size > 1 and batch % (2 * self.size):
            raise SpecError(
                f"{field}: {batch} images cannot be divided evenly among {self.size} processes; legal: multiples of "
                f"{2 * self.size}"
            )

    def means(self, values: Iterable[float]) -> list[float]:
        """Means of the processes' values."""
        found = list(values)
        if self.size == 1:
            return found
        total = torch.tensor(found, dtype=torch.float64, device=device())
        distributed.all_reduce(total)
        return [float(v) for v in total / self.size]

    def average_(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor by the mean over the processes."""
        if self.size == 1:
            return
        for tensor in tensors:
            whole = tensor.to(device())
            distributed.all_reduce(whole)
            tensor.copy_(whole / self.size)

    def wrap(self, model: nn.Module, *, partly: bool) -> nn.Module:
        """The model whose gradients are averaged; parameters are shared with `model`. partly: a step may leave
        parameters unused."""
        if self.size == 1:
            return model
        with warnings.catch_warnings():  # torch 2.13 has a new name for broadcast_buffers, unknown to earlier releases
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=partly)

    def shared_bytes(self, data: bytes | None) -> bytes | None:
        """What rank 0 gives, in every process."""
        if self.size == 1:
            return data
        size = torch.tensor([-1 if data is None else len(data)], device=device())
        distributed.broadcast(size, 0)
        if int(size) < 0:
            return None
        content = torch.empty(int(size), dtype=torch.uint8, device=device())
        if self.rank == 0:
            assert data is not None
            content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        distributed.broadcast(content, 0)
        return content.cpu().numpy().tobytes()

    def wait(self) -> None:
        """Return once all processes have come here."""
        if self.size > 1:
            distributed.barrier()


def placed(model: nn.Module, where: torch.device) -> None:
    """Move `model` to its device; kernels channels last on a GPU, as its convolutions want them."""
    if where.type == "cuda":
        model.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        model.to(where)


def current() -> World:
    """The group that `together` made, or this process alone."""
    if distributed.is_available() and distributed.is_initialized():
        return World(rank=distributed.get_rank(), size=distributed.get_world_size())
    return World()


def device() -> torch.device:
    """Where this process trains: its GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("cpu")


@contextmanager
def together(store: distributed.Store, rank: int, size: int) -> Iterator[World]:
    """The `size` processes that meet in `store`, as one group, within the block: nccl with GPUs, else gloo.
    Raises ToolError where one of the others is lost."""
    where = device()
    if where.type == "cuda":
        torch.cuda.set_device(where)
    backend = "nccl" if where.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")  # of small kernels only
    try:
        yield current()
        distributed.barrier()
    except RuntimeError as err:
        if backend not in str(err).lower():
            raise
        why = str(err).splitlines()[0]
        raise ToolError(f"another process of this run ended ({why}); run the same command again to continue") from err
    finally:
        distributed.destroy_process_group()
