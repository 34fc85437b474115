"""The Ray driver of an RL run.

driver:  questions ─► engine actors (vLLM) ─► reward actors (SQLite) ─► learner actors (4-bit base, LoRA)
                           ▲                                                │
                           └────────── adapter bytes, then canary ◄─────────┘
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from cluster.runtime import start
from evaluation.benchmarks import load_examples
from evaluation.console import log_to
from rl import loop, rater, replay, teacher
from rl.config import RlConfig
from rl.difficulty import sometimes_right
from rl.memory import object_store_mib, require_kv_cache
from rl.policy import EnginePolicy
from rl.questions import checked, fitting
from rl.report.write import write_report
from rl.run import Run, identity_of, opened
from rl.seconds import keep_warm_up, write_seconds
from rl.train.assemble import assemble, slots
from sft import finished
from sft.policy import provenance
from sft.policy.base import load_tokenizer, save_adapter
from sft.policy.encoder import PromptEncoder


def train_run(config: RlConfig, data: Path | None) -> Path:
    """The whole run, or what is left of it. Returns the report's directory."""
    if config.init_adapter:
        provenance.check(Path(config.init_adapter), config.model, config.data.prompt_style)
    if config.learner.teacher:
        teacher.check(config.learner.teacher, config.model, config.data.prompt_style)
    if config.rollout.replay:
        replay.check(Path(config.rollout.replay), config.model, config.data.prompt_style)
    if config.reward.model:
        rater.check(Path(config.reward.model), config.model, config.data.prompt_style)
    require_kv_cache(config)
    name, shots, made_up = config.data.benchmark, config.data.shots, config.data.synthetic_rows
    train, dev = (load_examples(name, s, data, shots=shots, synthetic=made_up) for s in ("train", "dev"))
    encoder = _encoder(config)
    train = fitting(checked(train, config.data.checked), encoder)
    first = sometimes_right(Path(config.data.difficulty), train) if config.data.difficulty else frozenset()
    with ExitStack() as stack:
        run = stack.enter_context(opened(config, identity_of(config, train)))
        log_to(run.directory)
        print("starting Ray", flush=True)
        stack.enter_context(start(num_cpus=slots(config), object_store_mib=object_store_mib(config)))
        recipe, watch = assemble(run, train, dev, encoder, stack, first)
        with closing(watch):
            if config.evaluation.base and config.steps:
                watch.evaluate_once("base", None)
            watch.begin()
            loop.train(run.steps, recipe)
            watch.policy.verify()
            if config.steps:
                _save_adapter(run, watch.policy)
                watch.evaluate_once("rl", config.steps)
        keep_warm_up(config)
        write_seconds(config, run.clock)
    report = write_report(config.run.path, data)
    finished.mark(config, data)
    print(f"report: {report}", flush=True)
    return report


def _save_adapter(run: Run, policy: EnginePolicy) -> None:
    """The trained adapter in PEFT's layout, with what it was trained on, for `rl.predict` and other tools."""
    version = policy.learners.publish(run.config.steps)
    data = run.config.data
    history = provenance.history(run.config, "RL", run.config.init_adapter)
    extra = provenance.as_file(run.config.model, data.prompt_style, data.prompt_budget, **history)
    save_adapter(version, run.directory / "adapter", extra)


def _encoder(config: RlConfig) -> PromptEncoder:
    longest = config.model.max_length - config.rollout.max_tokens
    style, budget = config.data.prompt_style, config.data.prompt_budget
    return PromptEncoder(load_tokenizer(config.model.path), style, longest, budget)
