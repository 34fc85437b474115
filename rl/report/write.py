"""report/ of a run directory: summary.json, report.md with its pictures, and all of it as one page, index.html."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.benchmarks import load_examples
from evaluation.errors import UserError
from evaluation.score import write_whole
from rl.report.figures import summarise
from rl.report.page import blocks
from rl.report.record import RunRecord, read_json, read_run
from rl.report.text import markdown
from sft import finished
from sft.page.document import document


def write_report(run_dir: Path, data: Path | None = None) -> Path:
    """Write run_dir/report/ (summary.json, report.md, PNGs, index.html) from what the run left behind; returns that
    directory.

    data: the folder of its benchmark, for the hardness of questions, which is left out where it is not known.
    UserError when the directory holds nothing to report. Parts that a run lacks are left out.
    """
    run = read_run(run_dir)
    if not run.evaluations and not run.steps and not run.sft:
        raise UserError(f"{run_dir} must hold metrics.jsonl or evaluations/*.json of a run; train first")
    report = run_dir / "report"
    report.mkdir(exist_ok=True)
    pictures = _draw(run, report)
    write_whole(report / "summary.json", json.dumps(summarise(run), indent=2) + "\n")
    write_whole(report / "report.md", markdown(run, pictures))
    write_whole(report / "index.html", document(run.path.resolve().name, blocks(run, _kinds(run, data))))
    return report


def _kinds(run: RunRecord, data: Path | None) -> dict[str, str]:
    """Hardness or kind of the dev questions, by id."""
    named = read_json(run.path / finished.FILE).get("data")
    try:
        examples = load_examples(
            run.config.get("data", {}).get("benchmark", ""), "dev", data or (Path(named) if named else None)
        )
    except UserError:
        return {}
    return {example.id: example.hardness for example in examples}


def _draw(run: RunRecord, report: Path) -> list[str]:
    from rl import plots
    from sft.plots import plot_loss

    drawn = []
    if run.evaluations:
        samples = next(iter(run.evaluations.values())).get("samples", 8)
        plots.plot_dev(run.evaluations, samples, report / "dev_ex.png", run.names)
        drawn.append("dev_ex.png")
    if run.sft:
        plot_loss(run.sft, report / "sft_loss.png")
        drawn.append("sft_loss.png")
    if run.steps:
        plots.plot_rl_curves(run.steps, report / "rl_curves.png")
        drawn.append("rl_curves.png")
    return drawn
