"""TRL's side of `tests.bench.loop`: GRPOTrainer on the questions, the prompts and the reward of one of our runs.

A process of its own. The settings are those of our run; what has no counterpart there is what is fastest here: no
gradient checkpointing, no logging of completions, and by `micro` how many answers one forward holds. The way `vllm`
is use_vllm=True, vllm_mode="colocate"; TRL then scores every answer once more to correct for the engine, and the way
`vllm-uncorrected` leaves that out (vllm_importance_sampling_correction=False).
"""

from __future__ import annotations

import statistics
import time
import warnings
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from evaluation.benchmarks import Example, load_examples
from graph.answer import extract_sql
from graph.prompt import messages_from_text
from rl.reward import Answer, RewardConfig, RewardWorker, group_rewards
from sft.policy.encoder import PromptEncoder

WAYS = ("transformers", "vllm", "vllm-uncorrected")


def run(args: Namespace, way: str) -> dict[str, Any]:
    """Trains `args.steps` steps; seconds and figures of each, from the end of one step to the end of the next."""
    warnings.filterwarnings("ignore")
    if way != "transformers":
        from tests.bench import trl_engine

        trl_engine.prepare(kv_cache_gib=1)
    from sft.policy.base import load_tokenizer

    examples = _drawn(args)
    encoder = PromptEncoder(load_tokenizer(args.model_path))
    worker = RewardWorker(RewardConfig().deadline_s, RewardConfig().parts)
    trainer = _trainer(args, way, examples, encoder, worker)
    ends = _Ends.of(trainer)
    trainer.train()
    worker.close()
    import torch

    rows = [row for row in trainer.state.log_history if "completions/mean_length" in row]
    return {
        "threads": torch.get_num_threads(),
        "seconds": [after - before for before, after in zip(ends, ends[1:], strict=False)],
        "no_signal": statistics.fmean(row["frac_reward_zero_std"] for row in rows),
        "mean_tokens": statistics.fmean(row["completions/mean_length"] for row in rows),
        "reward": statistics.fmean(row["reward"] for row in rows),
    }


def _drawn(args: Namespace) -> list[Example]:
    """The questions that our run drew, in its order."""
    by_id = {example.id: example for example in load_examples("spider", "train", args.data)}
    found: list[Example] = []
    for file in sorted(args.rollouts.glob("step_*.parquet"))[: args.steps]:
        ids = pq.read_table(file, columns=["example_id"])["example_id"].to_pylist()
        found += [by_id[id] for id in ids[:: args.samples]]
    assert len(found) == args.steps * args.groups, (len(found), args.steps, args.groups)
    return found


def _trainer(
    args: Namespace, way: str, examples: Sequence[Example], encoder: PromptEncoder, worker: RewardWorker
) -> Any:
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from sft.config import LoraConfig, ModelConfig
    from sft.policy.base import load_model

    model = ModelConfig(path=args.model_path, quantization="none", dtype=args.dtype, max_length=args.context)
    torch.manual_seed(0)
    policy = load_model(model, LoraConfig(r=16), args.adapter)
    policy.config.use_cache = True  # ours is off: our learner never generates
    prompts = [messages_from_text(encoder.schema_text(e), e.question, e.evidence) for e in examples]
    _same_ids(prompts, examples, encoder)
    micro_batches = -(-args.groups * args.samples // args.micro)
    config = GRPOConfig(
        output_dir=str(args.work / f"trl-{way}"),
        max_steps=args.steps,
        per_device_train_batch_size=args.micro,
        gradient_accumulation_steps=micro_batches,
        steps_per_generation=micro_batches,
        num_generations=args.samples,
        max_completion_length=args.max_tokens,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        shuffle_dataset=False,
        learning_rate=args.learning_rate,
        lr_scheduler_type="constant",
        optim="paged_adamw_8bit",
        loss_type="dapo",
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        bf16=args.dtype == "bfloat16",
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        save_strategy="no",
        use_vllm=way != "transformers",
        vllm_mode="colocate",
        vllm_max_model_length=args.context,
        vllm_importance_sampling_correction=way == "vllm",
    )
    return GRPOTrainer(
        policy,
        reward_funcs=_reward(examples, encoder, worker, args.samples),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": prompts, "index": list(range(len(examples)))}),
        processing_class=encoder.tokenizer,
    )


def _same_ids(prompts: Sequence[Any], examples: Sequence[Example], encoder: PromptEncoder) -> None:
    for messages, example in zip(prompts, examples, strict=True):
        ids = encoder.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert list(ids) == encoder.encode(example), f"{example.id}: another prompt than in our run"


def _reward(examples: Sequence[Example], encoder: PromptEncoder, worker: RewardWorker, samples: int) -> Any:
    """The reward of our runs, in the process of the trainer: answers executed by the same judge, group by group."""

    def sql_reward(completion_ids: list[list[int]], index: list[int], **_: Any) -> list[float]:
        texts = encoder.tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        answers = [
            Answer(extract_sql(text), ids[-1] == encoder.eos_id)
            for text, ids in zip(texts, completion_ids, strict=True)
        ]
        groups = [(examples[index[i]], answers[i : i + samples]) for i in range(0, len(answers), samples)]
        judged = worker.judge_groups(groups)
        return [reward.value for judged_K in judged for reward in group_rewards(judged_K, RewardConfig())]

    return sql_reward


class _Ends(list[float]):
    """The times at which steps ended, the start of the training first."""

    @classmethod
    def of(cls, trainer: Any) -> _Ends:
        from transformers import TrainerCallback

        ends = cls()

        class Clock(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                ends.append(time.perf_counter())

            def on_step_end(self, *_: Any, **__: Any) -> None:
                ends.append(time.perf_counter())

        trainer.add_callback(Clock())
        return ends
