"""Dev accuracy while training: an engine in a process of its own answers dev questions, as prediction would.

The training process never generates: on a CPU a forward pass in eval mode would spoil 4-bit weights that train on, and
on a GPU the engine's memory goes back with its process.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from evaluation.benchmarks import Example, load_split
from evaluation.console import EVERY_S, Count
from evaluation.errors import UserError
from evaluation.rulers.table import Rulers
from evaluation.stop import shielded
from graph.answer import extract_sql
from sft.config import DevConfig, SftConfig
from sft.policy.adapter import CONFIG
from sft.policy.base import load_tokenizer, read_adapter, served_base
from sft.policy.encoder import PromptEncoder
from sft.policy.generator import Generator, GeneratorConfig, Sample, Sampling
from sft.policy.model_files import context_length, local_model

GREEDY = 0.0


@dataclass(frozen=True)
class DevScore:
    """Shares of n questions. ex_strict: the same answer as gold; em_spider: Spider's exact set match.

    loss: nats per token of the gold answers, read and not sampled; queries: one per question, "" where none fits.
    """

    ex_strict: float
    em_spider: float
    loss: float
    n: int
    seconds: float
    queries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """What the process needs. prompts[i] and golds[i], token ids, belong to examples[fitting[i]]; other examples count
    as wrong."""

    config: SftConfig
    examples: Sequence[Example]
    fitting: Sequence[int]
    prompts: Sequence[list[int]]
    golds: Sequence[list[int]]
    tables: Path | None


class DevEvaluator:
    """Scores saved policies, one at a time. The process starts with the first and ends with `close`."""

    def __init__(self, config: SftConfig, encoder: PromptEncoder, data: Path | None) -> None:
        """UserError when there is no dev split, or none of its prompts leaves room for an answer."""
        self.settings, self.task = config.dev, _task(config, encoder, data)
        self._process: Any = None
        self._connection: Connection | None = None

    def evaluate(self, policy: Path) -> DevScore:
        """policy: an adapter's directory, or a whole model's. RuntimeError when no answer comes in dev.timeout_s."""
        if self._process is None:
            self._start()
        assert self._connection is not None
        self._connection.send(str(policy))
        try:
            return self._score(self._connection, Count("dev", len(self.task.fitting)))
        except (EOFError, ConnectionError, RuntimeError) as error:
            self._process.join(1)
            code = self._process.exitcode
            self.close()
            why = str(error) or f"ended with exit code {code}; its message is above"
            raise RuntimeError(f"the evaluation of {policy} on {len(self.task.examples)} dev questions {why}") from None

    def _score(self, connection: Connection, seen: Count) -> DevScore:
        """Numbers of questions answered come first, then the score."""
        deadline = time.monotonic() + self.settings.timeout_s
        while connection.poll(max(0.0, deadline - time.monotonic())):
            found = connection.recv()
            if not isinstance(found, int):
                return DevScore(**found)
            seen(found)
        raise RuntimeError(f"gave no answer in {self.settings.timeout_s:g} s (dev.timeout_s)")

    def samples_text(self, score: DevScore, most: int = 5) -> str:
        """The first questions, each with its gold and its answer."""
        asked = list(zip(self.task.examples, score.queries, strict=False))[:most]
        lines = [(e.question, f"gold: {e.gold_sql}", f"answer: {sql or 'none'}") for e, sql in asked]
        return "\n".join(" ".join(line.split()) for group in lines for line in group)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = self._connection = None

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, self.task), name="dev evaluation", daemon=False)
        with shielded():
            self._process.start()
        theirs.close()


def _task(config: SftConfig, encoder: PromptEncoder, data: Path | None) -> Task:
    asked = config.data
    split = load_split(asked.benchmark, "dev", data, shots=asked.shots, synthetic=asked.synthetic_rows)
    chosen = sorted(random.Random(0).sample(range(len(split.examples)), min(config.dev.questions, len(split.examples))))
    examples = [split.examples[index] for index in chosen]
    directory = local_model(config.model.path)
    room = min(config.dev_length, (context_length(directory) if directory else None) or config.dev_length)
    prompts = [encoder.encode(example) for example in examples]
    fitting = [i for i, prompt in enumerate(prompts) if len(prompt) + config.dev.max_tokens <= room]
    if not fitting:
        raise UserError(
            f"none of {len(examples)} dev prompts leaves room for dev.max_tokens = {config.dev.max_tokens} tokens in a "
            f"context of {room} (the shortest has {min(map(len, prompts))}): raise model.max_length"
        )
    if long := len(examples) - len(fitting):
        print(
            f"dev: {long} of {len(examples)} questions count as wrong: prompt and dev.max_tokens = "
            f"{config.dev.max_tokens} do not fit in {room} tokens; raise model.max_length, or lower dev.max_tokens",
            flush=True,
        )
    golds = [encoder.completion_ids(examples[i].gold_sql)[: config.dev.max_tokens] for i in fitting]
    return Task(config, examples, fitting, [prompts[i] for i in fitting], golds, split.tables)


def _serve(connection: Connection, task: Task) -> None:
    """The process: policies in, scores out, until the other end closes."""
    rulers = Rulers(tables=task.tables)
    engine: Generator | None = None
    try:
        while True:
            policy = Path(connection.recv())
            began = time.perf_counter()
            adapted = (policy / CONFIG).is_file()
            if engine is None or not adapted:
                if engine is not None:
                    engine.close()
                engine = _engine(task.config, None if adapted else policy)
            if adapted:
                engine.load(read_adapter(policy))
            score = _score(engine, task, 0 if adapted else None, rulers, connection.send)
            connection.send(asdict(replace(score, seconds=time.perf_counter() - began)))
    except EOFError:
        pass
    finally:
        rulers.close()
        if engine is not None:
            engine.close()


def _score(engine: Generator, task: Task, step: int | None, rulers: Rulers, seen: Callable[[int], None]) -> DevScore:
    answers = _answers(engine, task, step, seen)
    rows = rulers.rows(answers)
    ex, em = (statistics.fmean(row[name] for row in rows) for name in ("ex_strict", "em_spider"))
    log_probs = [value for answer in engine.score(task.prompts, task.golds, step) for value in answer]
    return DevScore(ex, em, -statistics.fmean(log_probs), len(rows), 0.0, tuple(query for _, query in answers))


def _answers(
    engine: Generator, task: Task, step: int | None, seen: Callable[[int], None]
) -> list[tuple[Example, str]]:
    """`seen` hears how many are answered."""
    tokenizer, sampled = load_tokenizer(task.config.model.path), list[list[Sample]]()
    engine.submit("dev", task.prompts, Sampling(1, GREEDY, task.config.dev.max_tokens), step)
    while len(sampled) < len(task.prompts):
        sampled += engine.take("dev", within_s=EVERY_S)
        seen(len(sampled))
    texts = [str(tokenizer.decode(one.token_ids, skip_special_tokens=True)) for (one,) in sampled]
    queries = dict(zip(task.fitting, map(extract_sql, texts), strict=True))
    return [(example, queries.get(index, "")) for index, example in enumerate(task.examples)]


def _engine(config: SftConfig, model: Path | None) -> Generator:
    settings: DevConfig = config.dev
    directory = model or served_base(config.model)
    room = context_length(directory) or config.dev_length
    return Generator(
        GeneratorConfig(
            model=str(directory),
            dtype=config.model.dtype,
            max_model_len=min(config.dev_length, room),
            max_lora_rank=config.lora.r,
            kv_cache_gib=settings.kv_cache_gib,
            seed=config.run.seed,
        )
    )
