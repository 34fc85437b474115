"""`python -m sft.pretraining --config sft/configs/pretrain.toml`: rebuild the bundled base model, or go on with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.command import check_room
from evaluation.errors import exit_on_user_error
from sft.pretraining.config import PretrainConfig
from sft.settings.command import ConfigCommand


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    command = ConfigCommand("sft.pretraining", __doc__ or "", PretrainConfig, "sft/configs/pretrain.toml")
    config, _ = command.read(argv)
    for setting in ("work", "out"):
        check_room(Path(getattr(config, setting)), setting)
    from sft.pretraining.driver import pretrain

    pretrain(config)
    print(f"the model is in {config.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
