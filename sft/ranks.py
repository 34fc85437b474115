"""SFT on several GPUs (train.ranks): the driver's process is the first rank, every other one an actor.

Each rank holds the whole model. At every step it gets the newest weights and its share of the questions, and adds its
part of the gradient; the first rank alone has an optimizer, and writes. So the step is that of one rank up to the order
of summation, and a resumed run needs nothing from the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from cluster.actor import Handle, Pending, spawn
from cluster.errors import ClusterError
from cluster.fit import Bundle
from cluster.places import reserved
from cluster.resources import machine
from cluster.runtime import start
from evaluation.errors import UserError
from sft.config import SftConfig
from sft.gradient import Gradient, Model, causal_lm, keep_in_fp32
from sft.policy import base as policy
from sft.policy.device import allocator, detect
from sft.policy.packing import PackedBatch
from sft.policy.ranks import Ranks, meeting_point

RANK = "rank"
START_S, ROOM_S = 1800.0, 60.0
STEP_S = 1800.0  # longest wait for the slowest rank


class Follower:
    """Any rank but the first."""

    def __init__(self, config: SftConfig) -> None:
        whole = config.learns_all
        model: Model = policy.load_whole(config.model) if whole else policy.load_model(config.model, config.lora)
        if config.train.gradient_checkpointing:
            causal_lm(model).gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(config.run.seed)
        self.gradient, self.ranks = Gradient(config, model), Ranks()
        keep_in_fp32(self.gradient.parameters())

    def join(self, address: str, rank: int, size: int) -> None:
        device = self.gradient.parameters()[0].device
        self.ranks.join(address, rank, size, device, STEP_S)

    def learn(self, batches: Sequence[PackedBatch], answer_tokens: int) -> None:
        """Its part of a step; `Others.step` is the first rank's."""
        step(self.gradient, self.ranks, batches, answer_tokens)


class Others:
    """The other ranks, as the first one sees them."""

    def __init__(self, handles: Sequence[Handle]) -> None:
        self.handles, self.ranks = handles, Ranks()

    @property
    def size(self) -> int:
        return len(self.handles) + 1

    def join(self, device: torch.device) -> None:
        for handle in self.handles:
            handle.ready(START_S)
        address = meeting_point()
        joining = [handle.call("join", address, rank, self.size) for rank, handle in enumerate(self.handles, 1)]
        self.ranks.join(address, 0, self.size, device, STEP_S)
        _gathered(joining)

    def step(
        self,
        gradient: Gradient,
        ours: Sequence[PackedBatch],
        theirs: Sequence[Sequence[PackedBatch]],
        answer_tokens: int,
    ) -> tuple[Tensor, int]:
        """The gradient of the whole step, each rank with its share; loss and tokens right likewise."""
        sent = [[batch.to(torch.device("cpu")) for batch in share] for share in theirs]
        calls = [handle.call("learn", share, answer_tokens) for handle, share in zip(self.handles, sent, strict=True)]
        try:
            found = step(gradient, self.ranks, ours, answer_tokens)
        except RuntimeError:
            _gathered(calls)  # the loss of a rank, where that is why
            raise
        _gathered(calls)
        return found


def step(
    gradient: Gradient, ranks: Ranks, batches: Sequence[PackedBatch], answer_tokens: int
) -> tuple[Tensor, int]:
    """What every rank does at once: take the first one's weights, add its part, sum all of it over the ranks."""
    parameters = gradient.parameters()
    ranks.take_first(parameters)
    loss, right = gradient.add(batches, answer_tokens)
    for value in parameters:
        value.grad = torch.zeros_like(value) if value.grad is None else value.grad
    ranks.sum_gradients([value.grad for value in parameters if value.grad is not None])
    total, rights = ranks.sum([float(loss), right])
    if ranks.rank:  # the next step starts from nothing; the first rank's optimizer sees to its own
        gradient.model.zero_grad()
    return torch.tensor(total, device=loss.device), round(rights)


@contextmanager
def other_ranks(config: SftConfig) -> Iterator[Others]:
    """Started while the `with` block loads its own model. UserError: too few GPUs."""
    size = config.train.ranks
    gpus = int(detect().kind == "cuda")
    threads = max(1, int(machine().cpus) // size)
    torch.set_num_threads(min(threads, torch.get_num_threads()))
    env = {"OMP_NUM_THREADS": str(threads)} | (allocator(os.environ) if gpus else {})
    with ExitStack() as stack:
        with _without_our_gpu(size):
            stack.enter_context(start(num_cpus=size - 1))
        places = stack.enter_context(reserved([Bundle(RANK, size - 1, cpus=1, gpus=gpus)], ROOM_S))
        names = [f"{RANK}-{number}" for number in range(1, size)]
        others = Others([spawn(Follower, config, name=n, place=places.next(RANK), env=env) for n in names])
        stack.callback(others.ranks.leave)
        yield others


@contextmanager
def _without_our_gpu(ranks: int) -> Iterator[None]:
    """A Ray started in the block finds the GPUs of this machine but the first, which is the driver's."""
    name, before = "CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES")
    if detect().kind == "cpu" or os.environ.get("RAY_ADDRESS"):
        yield
        return
    ours = before.split(",") if before else [str(index) for index in range(torch.cuda.device_count())]
    if len(ours) < ranks:
        raise UserError(f"train.ranks = {ranks} needs as many GPUs, this machine has {len(ours)}: lower it")
    torch.cuda.init()
    os.environ[name] = ",".join(ours[1:])
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})


def _gathered(calls: Sequence[Pending]) -> None:
    try:
        for call in calls:
            call.result(STEP_S)
    except ClusterError as error:
        raise UserError(f"{error}\nThe same line again goes on from the newest checkpoint") from None
