"""Which setting an unknown key stands for: by its last name, by what other trainers call it, by its spelling."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

# What people write -> ours, the first that the command has.
_ELSEWHERE = {
    "learning_rate": "lr rate peak_lr max_lr",
    "train.batch_size rollout.questions": (
        "batch_size batch bs batchsize per_device_train_batch_size train_batch_size global_batch_size "
        "prompts_per_step rollout_batch_size"
    ),
    "train.epochs steps": "epochs epoch num_epochs n_epochs num_train_epochs total_epochs",
    "steps train.epochs": "max_steps num_steps n_steps total_steps train_steps iterations num_iterations iters",
    "rollout.temperature": "temperature temp t sampling_temperature",
    "rollout.samples": "num_generations num_samples n_samples k group_size num_return_sequences rollouts generations n",
    "rollout.advantage": "algorithm algo advantage_estimator adv_estimator estimator",
    "rollout.max_tokens dev.max_tokens": (
        "max_tokens max_new_tokens max_completion_length max_response_length response_length max_answer_tokens"
    ),
    "model.max_length": (
        "max_seq_length max_seq_len seq_len sequence_length context context_length max_model_len max_length block_size "
        "max_prompt_length"
    ),
    "model.path": "model model_name model_name_or_path base base_model pretrained checkpoint_path model_id",
    "model.quantization": "quantize quantisation quant load_in_4bit bits qlora",
    "model.dtype": "dtype torch_dtype precision bf16 fp16 fp32",
    "lora.r": "r lora_r rank lora_rank lora_dim",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "learner.kl": "beta kl_coef kl_beta kl_coeff kl_weight init_kl_coef kl_loss_coef",
    "learner.entropy": "entropy_coef entropy_coeff entropy_bonus ent_coef",
    "learner.clip_high": "epsilon epsilon_high clip clip_eps clip_range cliprange clip_ratio eps_clip clip_ratio_high",
    "learner.clip_low": "epsilon_low clip_ratio_low",
    "learner.aggregation": "loss_type loss_agg_mode loss_aggregation",
    "learner.minibatches": "mini_batch_size minibatch_size num_mini_batches ppo_epochs mini_batches",
    "learner.ranks": "gpus num_gpus n_gpus world_size num_processes nproc",
    "learner.warmup_steps train.warmup_ratio": "warmup warmup_steps num_warmup_steps warmup_ratio",
    "train.token_budget learner.token_budget": (
        "micro_batch_size gradient_accumulation_steps accumulate_grad_batches max_tokens_per_batch grad_accum "
        "gradient_accumulation"
    ),
    "max_grad_norm": "grad_clip gradient_clipping clip_grad max_norm gradient_clip_val grad_norm clip_grad_norm",
    "gradient_checkpointing": "checkpointing activation_checkpointing",
    "weight_decay": "wd decay l2",
    "engine.kv_cache_gib dev.kv_cache_gib": "gpu_memory_utilization kv_cache kv_cache_memory cache_gib",
    "engine.tensor_parallel": "tp tensor_parallel_size tensor_model_parallel_size",
    "engine.replicas": "engines num_engines vllm_num_engines num_replicas",
    "reward.workers": "workers num_workers n_workers reward_workers",
    "reward.deadline_s": "deadline timeout sql_timeout query_timeout execution_timeout",
    "evaluation.every dev.every": "eval_every eval_steps eval_interval test_freq evaluate_every eval_freq",
    "checkpoint.every": "save_every save_steps save_interval save_freq checkpoint_every checkpoint_steps",
    "checkpoint.keep": "save_total_limit keep_last max_checkpoints",
    "train.log_every": "logging_steps log_interval log_steps",
    "run.seed": "seed random_seed",
    "run.name": "name run_name experiment experiment_name exp_name",
    "run.dir": "dir out output output_dir out_dir save_dir logdir",
    "run.report_to": "report_to report tracker trackers logger loggers wandb",
    "run.overwrite": "overwrite overwrite_output_dir force",
    "data.benchmark": "benchmark dataset dataset_name data task",
    "data.prompt_style": "style prompt prompt_style template schema_style",
    "data.max_examples": "max_examples max_train_samples limit num_examples max_samples",
    "init_adapter": "adapter init init_from adapter_path peft_path warm_start sft_adapter lora_path",
}
_FREE = frozenset(
    ["grammar", "grammars", "guided_grammar", "guided_decoding", "structured_output", "structured_outputs"]
)
_WHY_FREE = (
    "; training samples freely: under a grammar an answer is drawn from another distribution than the one whose "
    "ratios are learned from; give --grammar when a model that is trained predicts, is asked or serves"
)
_OURS = {theirs: ours.split() for ours, names in _ELSEWHERE.items() for theirs in names.split()}


def meant(key: str, known: Sequence[str]) -> str:
    """The known key that `key` probably stands for, "" when nothing is near.

    >>> meant("lr", ["steps", "learner.learning_rate"]), meant("stpes", ["steps"]), meant("xyzzy", ["steps"])
    ('learner.learning_rate', 'steps', '')
    """
    key = key.strip().lower().replace("-", "_")
    leaf = key.rsplit(".", 1)[-1]
    by_leaf: dict[str, list[str]] = {}
    for name in known:
        by_leaf.setdefault(name.rsplit(".", 1)[-1], []).append(name)
    for wanted in (key, leaf, *_OURS.get(key.replace(".", "_"), ()), *_OURS.get(leaf, ())):
        if wanted in known:
            return wanted
        if wanted in by_leaf:
            return _alike(key, by_leaf[wanted])
    close = difflib.get_close_matches(leaf, list(by_leaf), n=1, cutoff=0.6)
    return _alike(key, by_leaf[close[0]]) if close else ""


def _alike(key: str, names: Sequence[str]) -> str:
    return max(names, key=lambda name: difflib.SequenceMatcher(None, key, name).ratio())


def nearest(key: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown key."""
    if key.strip().lower().rsplit(".", 1)[-1] in _FREE:
        return _WHY_FREE
    if close := meant(key, known):
        return f"; did you mean {close}?"
    there = [name for name in known if name.startswith(f"{key.partition('.')[0]}.")]
    return f"; there are {', '.join(there)}" if there else "; --settings lists all of them"
