"""`python -m sft.train --config FILE [--data DIR] [key.sub=value …]`: learn from gold queries; again: go on."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from cluster.needs import Needs
from evaluation.console import recorded
from evaluation.errors import exit_on_user_error
from evaluation.stop import stoppable
from sft import finished
from sft.config import SftConfig
from sft.policy.engine_memory import check_here
from sft.ready import check_inputs, check_outputs
from sft.settings.command import ConfigCommand


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    command = ConfigCommand("sft.train", __doc__ or "", SftConfig, "sft/configs/tiny.toml", _needs).add_data()
    command.add_argument("--dry-run", action="store_true", help="print the plan; load no weights")
    config, args = command.read(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.dry_run:
        from sft.plan import format_plan, plan

        print(format_plan(plan(config, args.data)), flush=True)
        return 0
    if finished.is_finished(config, args.data):
        return 0
    check_inputs(config.model, config.data, args.data, config.init_adapter)
    check_outputs(config.run)
    if config.dev.every:
        check_here("dev.kv_cache_gib", config.dev.kv_cache_gib)
    with recorded(), stoppable():
        from sft.train.driver import train

        train(config, args.data)
    return 0


def _needs(config: SftConfig, args: argparse.Namespace) -> Needs:
    from sft.plan import needs  # slow: it counts a model

    return needs(config, args)


if __name__ == "__main__":
    raise SystemExit(main())
