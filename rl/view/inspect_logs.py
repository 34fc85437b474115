"""A run's samples as logs of inspect-ai, which its own viewer shows: `inspect view --log-dir DIR`.

A log per step and per dev evaluation, in version 2 of its JSON form (https://inspect.aisi.org.uk/eval-logs.html). A
question is a sample, and its K answers are its epochs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from evaluation.console import Count
from evaluation.score import write_whole
from rl.report.record import STAGES
from rl.view import tokens
from rl.view.files import as_json, changed, read_json
from rl.view.rollouts import Damaged, is_right, parts_of, read, step_files
from rl.view.runs import Place, places

ASKED = ("example_id", "db_id", "question", "gold", "sql", "verdict", "error", "reward", "advantage", "policy_step",
         "finish_reason", "prompt_ids", "token_ids")  # fmt: skip
ENDS = {"stop": "stop", "length": "max_tokens"}
Sample = dict[str, Any]


def write_logs(roots: Sequence[Path], out: Path) -> list[Path]:
    """out/RUN/…json of every RL run below the roots; a damaged step is left out."""
    found = []
    for place in (one for one in places(roots).values() if one.kind == "rl"):
        logs = list(_logs(place))
        count = Count(f"writing logs of {place.name}", len(logs), "logs")
        for done, (name, file, samples) in enumerate(logs, start=1):
            made = datetime.fromtimestamp(changed(file), UTC)
            path = out / place.slug / f"{made:%Y-%m-%dT%H-%M-%S}+00-00_{name}_{place.slug}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, as_json(log_of(place, name, made, samples())))
            found.append(path)
            count(done)
    return found


def log_of(place: Place, name: str, made: datetime, samples: Sequence[Sample]) -> dict[str, Any]:
    """The log of one step or evaluation."""
    config = read_json(place.path / "config.json", [])
    model, data = (one if isinstance(one := config.get(part), dict) else {} for part in ("model", "data"))
    at = made.isoformat(timespec="seconds")
    right = sum(sample["scores"]["execution"]["value"] == "C" for sample in samples)
    accuracy = {"name": "accuracy", "value": right / max(1, len(samples))}
    scores = [{"name": "execution", "scorer": "execution", "metrics": {"accuracy": accuracy}}]
    ids = list(dict.fromkeys(sample["id"] for sample in samples))
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": f"{place.slug}-{name}",
            "run_id": place.slug,
            "created": at,
            "task": f"{place.name} {name}",
            "task_id": name,
            "dataset": {"name": str(data.get("benchmark", "")), "samples": len(ids), "sample_ids": ids},
            "model": str(model.get("path", "unknown")),
            "config": {"epochs": max(Counter(sample["id"] for sample in samples).values(), default=1)},
        },
        "plan": {"name": "plan", "steps": [{"solver": str(config.get("environment", "answer_once"))}]},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": scores},
        "stats": {"started_at": at, "completed_at": at},
        "samples": list(samples),
    }


def _logs(place: Place) -> Iterator[tuple[str, Path, Callable[[], list[Sample]]]]:
    """(name, file that it comes from, what makes its samples)."""
    for step, path in step_files(place.path).items():
        try:
            parts_of(path)
        except Damaged:
            continue
        yield f"step-{step:06}", path, partial(rollout_samples, place, path)
    for stage in STAGES:
        path = place.path / "evaluations" / f"{stage}.json"
        if path.is_file():
            yield f"dev-{stage}", path, partial(dev_samples, path)


def dev_samples(path: Path) -> list[Sample]:
    found = read_json(path, []).get("per_question")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    named = [{"verdict": "", "sql": "", "gold": "", **row, "example_id": str(row.get("id", ""))} for row in rows]
    return [
        sample(row | {"verdict": row.get("status", "")}, 1, str(row.get("question", "")), row["sql"])
        | {"metadata": {"database": str(row.get("db_id", ""))}}
        for row in named
    ]


def rollout_samples(place: Place, path: Path) -> list[Sample]:
    columns = read(path, [*ASKED, *[name for name in parts_of(path) if name not in ASKED]])
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    epochs: Counter[str] = Counter()
    made = []
    for row in rows:
        epochs[row["example_id"]] += 1
        prompt = tokens.text_of(place.path, row["prompt_ids"]) or row["question"]
        told = {name: value for name, value in row.items() if isinstance(value, int | float) and name != "sample"}
        made.append(
            sample(row, epochs[row["example_id"]], prompt, tokens.text_of(place.path, row["token_ids"]) or row["sql"])
            | {"metadata": {"question": row["question"], "database": row["db_id"], **told}}
        )
    return made


def sample(row: dict[str, Any], epoch: int, prompt: str, answer: str) -> Sample:
    """Turns before the last are queries; what they returned is part of the last prompt's ids only."""
    before = [str(sql) for sql in row.get("before") or ()]
    messages = [{"role": "user", "content": prompt}]
    messages += [{"role": "assistant", "content": sql} for sql in [*before, answer]]
    ended = {"message": messages[-1], "stop_reason": ENDS.get(str(row.get("finish_reason")), "unknown")}
    why = ": ".join(filter(None, (str(row["verdict"]), str(row.get("error") or ""))))
    value = "C" if row.get("correct", is_right(row["verdict"])) else "I"
    return {
        "id": row["example_id"],
        "epoch": epoch,
        "input": prompt,
        "target": row["gold"],
        "messages": messages,
        "output": {"model": "policy", "choices": [ended], "completion": answer},
        "scores": {"execution": {"value": value, "answer": row["sql"], "explanation": why}},
    }
