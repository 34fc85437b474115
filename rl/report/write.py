"""report/ of a run directory: summary.json, report.md and the pictures."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.errors import UserError
from evaluation.score import write_whole
from rl.report.figures import summarise
from rl.report.record import RunRecord, read_run
from rl.report.text import markdown


def write_report(run_dir: Path) -> Path:
    """Write run_dir/report/ (summary.json, report.md, PNGs) from what the run left behind; returns that directory.

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
    return report


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
