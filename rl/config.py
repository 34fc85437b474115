"""The settings of an RL run: one TOML, sections beside the thing that they configure."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from rl.alarms import AlarmConfig
from rl.algorithms import algorithm, with_defaults
from rl.algorithms.advantages import Estimator
from rl.environments import environment
from rl.growth import Growth
from rl.reward import RewardConfig
from rl.run_and_repair import AgentConfig
from rl.types import Aggregation, KlEstimator, Surrogate
from sft.config import DataConfig, LoraConfig, ModelConfig, ModelFile, ReadFile, RunConfig, Settings, WrittenFile


class TrainingData(DataConfig):
    """Which questions, in which order, and how their schema is written."""

    difficulty: ReadFile = Field("", description="file of rl.difficulty: questions that are sometimes right come first")


class RolloutConfig(Settings):
    """What is sampled per step, from the full softmax: truncated sampling would bias every ratio.

    staleness: 0 samples each batch with the newest policy; 1 samples the next batch while this one is learned from.
    """

    questions: int = Field(64, ge=1, description="questions per step (B)")
    together: int = Field(
        1, ge=1, description="questions of one database drawn in a row: the learner computes their schema once"
    )
    samples: int = Field(8, ge=2, description="samples per question (K); a group of one has no baseline")
    grow_to: int = Field(0, ge=0, description="samples, doubled up to this, of a question all right or all wrong")
    budget: int = Field(0, ge=0, description="most samples of a step that grow_to may reach; 0: twice the first ones")
    refills: int = Field(0, ge=0, description="most extra draws per step, until B groups have a signal")
    temperature: float = Field(1.0, gt=0, description="sampling temperature")
    max_tokens: int = Field(96, ge=1, description="longest answer, tokens")
    advantage: Estimator = Field("grpo", description="advantage estimator")
    staleness: int = Field(0, ge=0, le=8, description="updates that the sampling policy may lag behind")
    replay: ReadFile = Field("", description="dpo, ipo: folder of a run whose samples are learned from; none are drawn")

    @property
    def growth(self) -> Growth:
        return Growth(self.grow_to, self.budget or 2 * self.questions * self.samples)

    @model_validator(mode="after")
    def _there_is_something_to_grow_by(self) -> RolloutConfig:
        first = self.questions * self.samples
        if self.grow_to and self.grow_to <= self.samples:
            raise ValueError(f"grow_to must be more than samples = {self.samples}, or 0, got {self.grow_to}")
        if self.budget and (not self.grow_to or self.budget <= first):
            raise ValueError(f"budget bounds grow_to, and must be more than questions × samples = {first}, or 0")
        return self

    @model_validator(mode="before")
    @classmethod
    def _full_softmax(cls, values: Any) -> Any:
        if isinstance(values, dict) and (cut := sorted({"top_p", "top_k", "min_p"} & values.keys())):
            raise ValueError(
                f"{cut[0]} cannot be set: training samples come from the full softmax (top_p = 1, top_k off), or the "
                "log-probabilities of engine and learner would differ and every ratio be biased; lower temperature"
            )
        return values


class EngineConfig(Settings):
    """The generation actors.

    replicas: engines that share the questions of a step; tensor_parallel: GPUs that hold one engine's model together.
    """

    replicas: int = Field(1, ge=1, description="engines")
    tensor_parallel: int = Field(1, ge=1, description="GPUs per engine")
    kv_cache_gib: float = Field(0.5, gt=0, description="memory for the KV cache, GiB")
    max_num_seqs: int = Field(256, ge=1, description="sequences decoded at once")
    mismatch_limit: float = Field(0.05, gt=0, description="canary: largest mean |Δ log-prob| of learner and engine")
    timeout_s: float = Field(600, gt=0, description="longest wait for one answer of an engine, seconds")


class LearnerConfig(Settings):
    """How the policy is updated from a batch of groups."""

    ranks: int = Field(1, ge=1, description="learner processes, a GPU each; each holds the whole 4-bit base")
    learning_rate: float = Field(1e-4, gt=0, description="peak learning rate")
    warmup_steps: int = Field(5, ge=0, description="steps of linear warm-up")
    decay: bool = Field(True, description="linear decay to rate_floor at the last step; off: constant")
    rate_floor: float = Field(0.1, ge=0, le=1, description="share of the peak learning rate that decay leaves")
    max_grad_norm: float = Field(1.0, gt=0, description="gradient clipping")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    minibatches: int = Field(1, ge=1, description="optimizer steps per batch of groups")
    passes: int = Field(1, ge=1, le=100, description="passes over a batch of groups")
    token_budget: int = Field(8192, ge=64, description="tokens per micro-batch")
    gradient_checkpointing: bool = Field(False, description="less memory, about a third slower")
    aggregation: Aggregation = Field("token_mean", description="what each token of an answer weighs in the loss")
    truncated: Literal["keep", "mask"] = Field("keep", description="answers cut at max_tokens: learn or mask")
    surrogate: Surrogate = Field("clipped", description="loss of a token: PPO's clip, GSPO, CISPO or REINFORCE")
    clip_low: float = Field(0.2, gt=0, lt=1, description="ratios below 1 − this are clipped")
    clip_high: float = Field(0.28, gt=0, description="ratios above 1 + this are clipped")
    is_cap: float = Field(2.0, ge=1, description="largest importance weight of the surrogate reinforce")
    kl: float = Field(0.0, ge=0, description="weight of the KL to the frozen SFT adapter; 0 skips its forward pass")
    kl_target: float = Field(0.0, ge=0, description="KL that learner.kl is adapted to, nats per token; 0: it is fixed")
    adapt_clip: bool = Field(False, description="with kl_target: the clip range shrinks where the KL is above it, too")
    kl_estimator: KlEstimator = Field("k2", description="how that KL is estimated, each with its own gradient")
    entropy: float = Field(0.0, description="weight of the entropy bonus")
    entropy_floor: float = Field(0.0, ge=0, description="nats per token above which there is no bonus; 0: always one")
    pair_beta: float = Field(0.1, gt=0, description="dpo, ipo: how close pairs keep the policy to the reference")
    pairs: int = Field(2, ge=1, description="dpo, ipo: most pairs of a right and a wrong answer per group")
    teacher: ModelFile = Field("", description="opd: adapter on the same base, or model of the same tokenizer")
    gamma: float = Field(1.0, gt=0, le=1, description="ppo: discount of each token")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="ppo: 0 trusts the critic, 1 the reward alone")
    value_weight: float = Field(0.5, gt=0, description="ppo: weight of the value loss")
    value_clip: float = Field(0.2, gt=0, description="ppo: how far an update may move a value")
    timeout_s: float = Field(3600, gt=0, description="longest wait for one answer of a learner, seconds")
    max_skipped: int = Field(3, ge=1, description="updates in a row without a finite gradient that end the run")

    @model_validator(mode="after")
    def _control_has_something_to_drive(self) -> LearnerConfig:
        if self.kl_target and not (self.kl or self.adapt_clip):
            raise ValueError("kl_target adapts the weight kl, which must be above 0 to begin with, or set adapt_clip")
        if self.adapt_clip and not self.kl_target:
            raise ValueError("adapt_clip needs kl_target: the KL to the reference that the clip range is adapted to")
        if self.entropy_floor and not self.entropy > 0:
            raise ValueError("entropy_floor switches the bonus on, whose weight entropy must be above 0")
        return self


class EvaluationConfig(Settings):
    """Dev evaluation: of base, SFT and RL at the end, and while training of `watched` questions every `every` steps."""

    samples: int = Field(8, ge=1, description="samples per dev question for the sampled score")
    limit: int = Field(0, ge=0, description="dev questions at the end, 0 = all")
    every: int = Field(0, ge=0, description="steps between evaluations while training, 0 = never")
    base: bool = Field(True, description="evaluate the base without adapter too")
    watched: int = Field(100, ge=1, description="dev questions evaluated while training")


class CheckpointConfig(Settings):
    """dir: "" is the run's own folder. Elsewhere, on a disk or at a URL (s3://bucket/runs), each run gets a folder of
    its name, and goes on from there on any machine."""

    dir: WrittenFile = Field("", description="folder, or URL that fsspec opens, of the checkpoints")
    every: int = Field(10, ge=1, description="steps between checkpoints")
    keep: int = Field(2, ge=1, description="checkpoints kept")


class RlConfig(Settings):
    """`python -m rl.train --config FILE`. init_adapter: the SFT warm-up; "" starts from a fresh adapter."""

    command: ClassVar[str] = "rl.train"
    steps: int = Field(40, ge=0, description="policy updates; 0 only evaluates init_adapter")
    algorithm: str = Field("", description="sets its defaults, see docs/algorithms.md; or package.module:Class")
    environment: str = Field("answer_once", description="answer_once, run_and_repair, or package.module:Class")
    init_adapter: ReadFile = Field("", description="LoRA adapter to start from: the SFT warm-up; none: a fresh one")
    sft_metrics: ReadFile = Field("", description="metrics.jsonl of the warm-up for the report; found by init_adapter")
    run: RunConfig = RunConfig(name="rl")
    model: ModelConfig = ModelConfig()
    lora: LoraConfig = LoraConfig()
    data: TrainingData = TrainingData()
    rollout: RolloutConfig = RolloutConfig()
    engine: EngineConfig = EngineConfig()
    reward: RewardConfig = RewardConfig()
    agent: AgentConfig = AgentConfig()
    learner: LearnerConfig = LearnerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    alarm: AlarmConfig = AlarmConfig()

    @property
    def checkpoint_place(self) -> str:
        """The folder or URL of this run's checkpoints."""
        elsewhere = self.checkpoint.dir.rstrip("/")
        return f"{elsewhere}/{self.run.name}" if elsewhere else str(self.run.path / "checkpoints")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_algorithm(cls, values: Any) -> Any:
        name = values.get("algorithm") if isinstance(values, dict) else None
        if not isinstance(name, str):
            return values
        try:
            return with_defaults(values, algorithm(name).defaults)
        except ValueError:  # said by the field itself
            return values

    @field_validator("algorithm")
    @classmethod
    def _algorithm_exists(cls, name: str) -> str:
        algorithm(name)
        return name

    @field_validator("environment")
    @classmethod
    def _environment_exists(cls, name: str) -> str:
        environment(name)
        return name

    @model_validator(mode="after")
    def _a_reference_is_there(self) -> RlConfig:
        if algorithm(self.algorithm).of(self).reference and not self.init_adapter:
            what = "learner.kl" if self.learner.kl else f"algorithm = {self.algorithm!r}"
            raise ValueError(f"{what} needs init_adapter: the frozen SFT adapter is the reference policy")
        return self

    @model_validator(mode="after")
    def _a_teacher_is_there_and_asked(self) -> RlConfig:
        if algorithm(self.algorithm).teacher != bool(self.learner.teacher):
            needs = f"algorithm = {self.algorithm!r} needs learner.teacher: an adapter on the same base, or a model of "
            idle = f"learner.teacher is not read by algorithm = {self.algorithm!r}: set algorithm=opd, or leave it out"
            raise ValueError(idle if self.learner.teacher else f"{needs}the same tokenizer")
        return self

    @model_validator(mode="after")
    def _replay_is_for_any_policys_samples(self) -> RlConfig:
        if self.rollout.replay and not algorithm(self.algorithm).offline:
            raise ValueError(
                f"rollout.replay is for algorithm = dpo or ipo; {self.algorithm or 'the policy gradient'!r} learns "
                "from samples of its own policy"
            )
        return self

    @model_validator(mode="after")
    def _groups_grow_by_single_answers(self) -> RlConfig:
        if self.rollout.grow_to and self.environment != "answer_once":
            raise ValueError(f"rollout.grow_to is for answers of one turn, not for environment = {self.environment!r}")
        return self

    @model_validator(mode="after")
    def _something_to_do(self) -> RlConfig:
        if not (self.steps or self.init_adapter):
            raise ValueError("steps = 0 evaluates the adapter of init_adapter: give one, or steps of at least 1")
        return self
