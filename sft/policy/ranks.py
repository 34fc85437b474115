"""Several learners as one: what they add up, over torch.distributed (nccl between GPUs, gloo between CPUs).

Each rank holds the whole model and sees its share of a step; the gradients of what learns are summed.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import timedelta

import torch
from torch import Tensor, distributed

from cluster.runtime import node_address


class Ranks:
    """The place of this process among `size`; alone until it has joined others."""

    def __init__(self) -> None:
        self.rank, self.size, self.device = 0, 1, torch.device("cpu")

    def join(self, address: str, rank: int, size: int, device: torch.device, timeout_s: float) -> None:
        """Meet the other ranks at `address`, host:port, which `meeting_point` of rank 0 gave. Returns when all came.

        timeout_s: longest that this rank waits for the slowest of the others.
        """
        backend = "nccl" if device.type == "cuda" else "gloo"
        patience = timedelta(seconds=timeout_s)
        distributed.init_process_group(
            backend, init_method=f"tcp://{address}", rank=rank, world_size=size, timeout=patience
        )
        self.rank, self.size, self.device = rank, size, device

    def leave(self) -> None:
        """Alone again; the others see that this one is gone."""
        if self.size > 1:
            distributed.destroy_process_group()
        self.rank, self.size = 0, 1

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value added up over the ranks."""
        return self._reduced(values, distributed.ReduceOp.SUM)

    def max(self, values: Sequence[float]) -> list[float]:
        """The largest of each value."""
        return self._reduced(values, distributed.ReduceOp.MAX)

    def first(self, value: Tensor) -> Tensor:
        """Rank 0's, on every rank."""
        if self.size > 1:
            distributed.broadcast(value := value.detach().to(self.device).clone(), src=0)
        return value

    def take_first(self, values: Sequence[Tensor]) -> None:
        """Rank 0's, in place, as one message."""
        if self.size > 1:
            self._replace(values, self.first(torch.cat([value.detach().flatten() for value in values])))

    def sum_gradients(self, gradients: Sequence[Tensor]) -> None:
        """In place, as one message."""
        if self.size == 1:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        self._replace(gradients, flat)

    @staticmethod
    @torch.no_grad()
    def _replace(values: Sequence[Tensor], flat: Tensor) -> None:
        for value, part in zip(values, flat.split([v.numel() for v in values]), strict=True):
            value.copy_(part.view_as(value))

    def _reduced(self, values: Sequence[float], how: distributed.ReduceOp.RedOpType) -> list[float]:
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor, how)
        return [float(value) for value in tensor]


def meeting_point() -> str:
    """host:port on this machine where ranks may meet; the port was free a moment ago."""
    host = node_address()
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"
