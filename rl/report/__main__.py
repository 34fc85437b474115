"""What a run achieved, as numbers, pictures and examples.

    python -m rl.report runs/rl                        (re)write runs/rl/report/
    python -m rl.report --runs runs/a runs/b runs/c    means over seeds with 95 % intervals, as Markdown; a
                                                               table of its own for each setting
    python -m rl.report --control reward=runs/a shuffled=runs/b --out control.png

Accuracy is `ex_strict`: the answer's rows equal the gold's as a bag (in order where the question asks for one).
"greedy" is the most likely answer; "sampled" the mean over K samples at temperature 1. Intervals are Wilson's over
questions, the t-distribution's over seeds, and the normal ones of paired differences for gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.command import CommandLine, check_output, folder
from evaluation.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    about = (__doc__ or "").splitlines()[0]
    parser = CommandLine("rl.report", about)
    parser.add_argument("run", type=folder, nargs="?", help="run: write its report/")
    parser.add_argument("--data", type=folder, metavar="DIR", help="folder of the benchmark, for hardness of questions")
    parser.add_argument("--runs", type=folder, nargs="+", metavar="RUN", help="runs of several seeds: their means")
    parser.add_argument("--control", nargs="+", metavar="NAME=RUN", help="runs to draw in one plot")
    parser.add_argument("--out", type=Path, default=Path("control.png"), help="file of the --control plot")
    args = parser.parse_args(argv)
    if not (args.run or args.runs or args.control):
        parser.error("give a run directory, --runs or --control")
    if args.control:
        check_output(args.out)
    from rl.report.seeds import plot_control, seeds_table
    from rl.report.write import write_report

    if args.run:
        print(write_report(args.run, args.data))
    if args.runs:
        print(seeds_table(args.runs))
    if args.control:
        plot_control(dict(_named_run(text) for text in args.control), args.out)
        print(args.out)
    return 0


def _named_run(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UserError(f"--control takes NAME=RUN, got {text!r}")
    return name, Path(path)


if __name__ == "__main__":
    raise SystemExit(main())
