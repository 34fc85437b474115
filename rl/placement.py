"""Where the actors of a run go: how many CPU slots and which share of a GPU each one asks for."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.resources import Request
from evaluation.errors import UserError
from rl.config import RlConfig

REWARD, LEARNER, ENGINE = "reward", "learner", "engine"


@dataclass(frozen=True)
class Placement:
    """CPU slots and GPUs of each learner rank and each engine. On a CPU a slot is a thread of its products."""

    learner_cpus: float
    learner_gpus: float
    engine_cpus: float
    engine_gpus: float

    def requests(self, config: RlConfig, reward_workers: int) -> list[Request]:
        """What the cluster must hold together."""
        return [
            Request(LEARNER, self.learner_cpus, self.learner_gpus, config.learner.ranks),
            Request(ENGINE, self.engine_cpus, self.engine_gpus, config.engine.replicas),
            Request(REWARD, 1, 0, reward_workers),
        ]


def place(config: RlConfig, cores: float, gpus: float) -> Placement:
    """Learners and engines for a cluster with so many cores and GPUs. UserError when the GPUs do not go round.

    Without a GPU they take turns on all cores, or with staleness, where they work at the same time, divide them. One
    GPU is shared by one learner and one engine; else every rank and every engine has its own.

    >>> from rl.config import RlConfig
    >>> place(RlConfig(init_adapter="a"), cores=8, gpus=1)
    Placement(learner_cpus=1, learner_gpus=0.5, engine_cpus=1, engine_gpus=0.5)
    """
    ranks, replicas, parallel = config.learner.ranks, config.engine.replicas, config.engine.tensor_parallel
    if not gpus:
        if parallel > 1:
            raise UserError(f"engine.tensor_parallel = {parallel} needs as many GPUs, and the cluster has none")
        threads = _threads(int(cores), ranks, replicas, config.rollout.staleness)
        return Placement(threads[0], 0, threads[1], 0)
    needed = ranks + replicas * parallel
    if gpus == 1 and needed == 2:
        return Placement(1, 0.5, 1, 0.5)
    if gpus < needed:
        raise UserError(
            f"learner.ranks + engine.replicas × engine.tensor_parallel = {ranks} + {replicas} × {parallel} GPUs are "
            f"needed, the cluster has {gpus:g}: lower them, or add GPUs (one GPU serves one rank and one engine)"
        )
    return Placement(1, 1, parallel, parallel)


def _threads(cores: int, ranks: int, replicas: int, staleness: int) -> tuple[int, int]:
    """Threads of each learner rank and each engine."""
    if staleness == 0:
        return max(1, cores // ranks), max(1, cores // replicas)
    half = max(1, cores // 2)
    return max(1, half // ranks), max(1, (cores - half) // replicas)
