"""A run directory as rl.train leaves it, of any size, with figures that can be checked by hand.

    python -m tests.rl.view.fabricate DIR [--steps 500] [--questions 64] [--samples 8]

Sample k of a question is right at a step when k < (step + question) % (K + 1). Each question is asked every
`again` steps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.benchmarks import Example, load_examples
from rl.config import RlConfig
from sft.settings.file import write_resolved

LOG = """2026-01-01 00:00:00  starting Ray
2026-01-01 00:00:09  ALARM step 2: no answer is right (alarm.no_right) since step 2
"""


def right(step: int, question: int, samples: int) -> int:
    return (step + question) % (samples + 1)


def rollouts(examples: list[Example], step: int, samples: int, tokens: int = 24, prompt: int = 200) -> pa.Table:
    """The table of a step's samples, with the names and types of `rl.journal.write_rollouts`."""
    rows = [(place, example, k) for place, example in enumerate(examples) for k in range(samples)]
    good = [k < right(step, place, samples) for place, _, k in rows]
    shares = [right(step, place, samples) / samples for place, _, _ in rows]
    ends = zip(rows, good, strict=True)
    verdicts = ["correct" if ok else "error" if k % 3 == 2 else "wrong" for (*_, k), ok in ends]
    text = lambda values: pa.array(list(values), pa.string())  # noqa: E731
    return pa.table(
        {
            "example_id": text(example.id for _, example, _ in rows),
            "sample": [k for *_, k in rows],
            "policy_step": [step - 1] * len(rows),
            "db_id": text(example.db_id for _, example, _ in rows),
            "question": text(example.question for _, example, _ in rows),
            "gold": text(example.gold_sql for _, example, _ in rows),
            "sql": text(e.gold_sql if ok else wrong(e, k) for (_, e, k), ok in zip(rows, good, strict=True)),
            "verdict": text(verdicts),
            "error": text("no such column: none_such" if verdict == "error" else "" for verdict in verdicts),
            "reward": [float(ok) for ok in good],
            "advantage": [float(ok) - share for ok, share in zip(good, shares, strict=True)],
            "correct": [float(ok) for ok in good],
            "executable": [float(verdict != "error") for verdict in verdicts],
            "finish_reason": text("stop" for _ in rows),
            "prompt_ids": [[5 + (n * 7) % 900 for n in range(prompt)] for _ in rows],
            "token_ids": [[5 + (n * 11 + k) % 900 for n in range(tokens)] for *_, k in rows],
            "log_probs": [[-0.01 * (1 + (n + k) % 50) for n in range(tokens)] for *_, k in rows],
        }
    )  # fmt: skip


def wrong(example: Example, k: int) -> str:
    table = example.gold_sql.split(" FROM ")[-1].split()[0]
    return f"SELECT none_such FROM {table}" if k % 3 == 2 else f"SELECT * FROM {table} LIMIT {1 + k}"


def metrics(step: int, questions: int, samples: int) -> dict[str, object]:
    counts = [right(step, place, samples) for place in range(questions)]
    share = sum(counts) / (questions * samples)
    return {
        "step": step, "reward": share, "correct": share, "executable": 0.9,
        "no_signal": sum(count in (0, samples) for count in counts) / questions,
        "all_correct": counts.count(samples) / questions, "none_correct": counts.count(0) / questions,
        "truncated": 0.0, "entropy": 0.3, "mean_tokens": 24.0, "samples": questions * samples, "lag": 0.0,
        "verdicts": {"correct": sum(counts), "wrong": questions * samples - sum(counts)},
        "mismatch": 0.001, "grad_norm": 0.5, "loss": 0.1, "learning_rate": 1e-4, "canary": 1e-4,
        "seconds": {
            "generate": 2.0, "reward": 0.5, "publish": 0.1, "wait": 2.2, "learn": 3.0, "engine_idle": 3.6,
            "rewards_idle": 5.1, "learner_idle": 2.6, "step": 5.6,
        },
    }  # fmt: skip


def evaluation(dev: list[Example], right_of: int) -> dict[str, object]:
    """Every `right_of`th question is answered rightly."""
    rows = [
        {
            "id": e.id, "db_id": e.db_id, "question": e.question, "gold": e.gold_sql,
            "sql": e.gold_sql if place % right_of == 0 else wrong(e, place),
            "status": "correct" if place % right_of == 0 else "wrong", "error": "",
            "correct": place % right_of == 0, "sampled_correct_rate": 0.5,
        }
        for place, e in enumerate(dev)
    ]  # fmt: skip
    share = sum(bool(row["correct"]) for row in rows) / len(rows)
    return {
        "of": {}, "seconds": 1.0, "n": len(rows), "samples": 8, "ex_strict": share, "ex_strict_ci": [share, share],
        "ex_strict_sampled": 0.5, "ex_strict_sampled_ci": [0.4, 0.6], "per_question": rows,
    }  # fmt: skip


def fabricate(
    folder: Path, steps: int = 3, questions: int = 4, samples: int = 4, again: int = 2, finished: bool = True
) -> Path:
    """Writes the run and returns its folder."""
    train, dev = (load_examples("tiny", split) for split in ("train", "dev"))
    (folder / "rollouts").mkdir(parents=True)
    run = {"name": folder.name, "dir": str(folder.parent)}
    config = RlConfig.model_validate(
        {"steps": steps, "run": run, "rollout": {"questions": questions, "samples": samples}}
    )
    write_resolved(config, folder)
    for step in range(1, steps + 1):
        asked = [train[((step % again) * questions + place) % len(train)] for place in range(questions)]
        table = rollouts(asked, step, samples)
        pq.write_table(table, folder / "rollouts" / f"step_{step:06d}.parquet", compression="zstd")
    lines = [json.dumps(metrics(step, questions, samples)) for step in range(1, steps + 1)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "dev.jsonl").write_text(
        "".join(
            json.dumps({"step": step, "ex_strict": 0.5, "ex_strict_sampled": 0.4, "seconds": 1.0}) + "\n"
            for step in range(1, steps + 1, max(1, steps // 10))
        )
    )
    (folder / "log.txt").write_text(LOG)
    (folder / "evaluations").mkdir()
    for stage, every in (("sft", 3), ("rl", 2)):
        (folder / "evaluations" / f"{stage}.json").write_text(json.dumps(evaluation(dev[:60], every)))
    (folder / "seconds.json").write_text(json.dumps({"rl": 100.0, "evaluation": 20.0, "driver": 130.0, "total": 130.0}))
    (folder / "checkpoints" / f"step_{steps:06d}").mkdir(parents=True)
    if finished:
        (folder / "finished.json").write_text("{}")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name, value in (("steps", 500), ("questions", 64), ("samples", 8), ("again", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    print(fabricate(args.folder, args.steps, args.questions, args.samples, args.again))
