"""Train a reward model on the right and wrong answers that a run has kept.

python -m rl.reward_model --run runs/NAME --out DIR [--held-out 0.2] [--epochs 1] [--learning-rate R] [--batch 8]

DIR gets a LoRA adapter of the run's base, the head that reads a score off the last token of an answer, and the accuracy
on pairs of questions that it has not seen. reward.model=DIR makes it a part of the reward.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from evaluation.command import CommandLine, at_least, check_room, folder, positive, share
from evaluation.errors import exit_on_user_error


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("rl.reward_model", (__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=folder, required=True, help="folder of a run of rl.train")
    parser.add_argument("--out", type=Path, required=True, help="folder of the reward model")
    parser.add_argument("--held-out", type=share, default=0.2, help="share of the questions kept for its accuracy")
    parser.add_argument("--epochs", type=at_least(1), default=1, help="passes over the pairs")
    parser.add_argument("--learning-rate", type=positive, help="peak (default: that of the run's learner)")
    parser.add_argument("--batch", type=at_least(1), default=8, help="pairs per update")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    check_room(args.out, "--out")
    from rl.reward_training import train_and_save  # slow: after the arguments

    print(train_and_save(args))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
