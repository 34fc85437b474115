"""Where the actors of a run go: which share of a GPU each one asks for, and how many threads it computes with."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cluster.fit import Bundle
from evaluation.errors import UserError
from rl.config import RlConfig
from sft.policy.device import allocator

REWARD, LEARNER, ENGINE = "reward worker", "learner", "engine"
CPUS = 1
"""Slots of an actor. They are bookkeeping: learner and engine mostly take turns on the same cores."""


@dataclass(frozen=True)
class Placement:
    """GPUs of each learner rank and each engine, and their threads; 0 threads: as many as torch likes."""

    learner_gpus: float
    engine_gpus: float
    learner_threads: int = 0
    engine_threads: int = 0

    def requests(self, config: RlConfig, reward_workers: int) -> list[Bundle]:
        """What the cluster must hold together."""
        return [
            Bundle(LEARNER, config.learner.ranks, CPUS, self.learner_gpus),
            Bundle(ENGINE, config.engine.replicas, CPUS, self.engine_gpus),
            Bundle(REWARD, reward_workers, CPUS),
        ]


def place(config: RlConfig, cores: float, gpus: float) -> Placement:
    """Learners and engines for a cluster with so many GPUs, of nodes with so many cores. UserError when the GPUs do not
    go round.

    Without a GPU they take turns on all cores, or with staleness, where they work at the same time, divide them. One
    GPU is shared by one learner and one engine; else every rank and every engine has its own.

    >>> from rl.config import RlConfig
    >>> place(RlConfig(init_adapter="a"), cores=8, gpus=1)
    Placement(learner_gpus=0.5, engine_gpus=0.5, learner_threads=0, engine_threads=0)
    """
    ranks, replicas, parallel = config.learner.ranks, config.engine.replicas, config.engine.tensor_parallel
    if not gpus:
        if parallel > 1:
            raise UserError(f"engine.tensor_parallel = {parallel} needs as many GPUs, and the cluster has none")
        return Placement(0, 0, *_threads(int(cores), ranks, replicas, config.rollout.staleness))
    needed = ranks + replicas * parallel
    if gpus == 1 and needed == 2:
        return Placement(0.5, 0.5)
    if gpus < needed:
        raise UserError(
            f"learner.ranks + engine.replicas × engine.tensor_parallel = {ranks} + {replicas} × {parallel} GPUs are "
            f"needed, the cluster has {gpus:g}: lower them, or add GPUs (one GPU serves one rank and one engine)"
        )
    return Placement(1, parallel)


def environment(threads: int) -> dict[str, str]:
    """Variables of an actor that computes with so many threads; none where OMP_NUM_THREADS is set already."""
    return {"OMP_NUM_THREADS": str(threads)} if threads and "OMP_NUM_THREADS" not in os.environ else {}


def learner_environment(where: Placement) -> dict[str, str]:
    """Variables of a learner rank."""
    return environment(where.learner_threads) | (allocator(os.environ) if where.learner_gpus else {})


def engine_environment(where: Placement) -> dict[str, str]:
    """Variables of an engine: what the driver was told about vLLM holds on every node."""
    told = {name: value for name, value in os.environ.items() if name.startswith("VLLM_")}
    return environment(where.engine_threads) | told


def _threads(cores: int, ranks: int, replicas: int, staleness: int) -> tuple[int, int]:
    """Threads of each learner rank and each engine."""
    if staleness == 0:
        return max(1, cores // ranks), max(1, cores // replicas)
    half = max(1, cores // 2)
    return max(1, half // ranks), max(1, (cores - half) // replicas)
