"""`python -m rl.train --config FILE [--data DIR] [key.sub=value …]`: learn from executed SQL; again: go on."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from cluster.needs import Needs
from evaluation.console import recorded
from evaluation.errors import exit_on_user_error
from evaluation.stop import stoppable
from rl.config import RlConfig
from sft import finished
from sft.policy.engine_memory import check_here
from sft.ready import check_inputs, check_outputs
from sft.settings.command import ConfigCommand


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    command = ConfigCommand("rl.train", __doc__ or "", RlConfig, "rl/configs/tiny.toml", _needs).add_data()
    config, args = command.read(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if finished.is_finished(config, args.data):
        return 0
    check_inputs(config.model, config.data, args.data, config.init_adapter)
    check_outputs(config.run)
    check_here("engine.kv_cache_gib", config.engine.kv_cache_gib, engines=config.engine.replicas)
    with recorded(), stoppable():
        from rl.train.driver import train_run

        train_run(config, args.data)
    return 0


def _needs(config: RlConfig, args: argparse.Namespace) -> Needs:
    from rl.plan import needs  # slow: it counts a model

    return needs(config, args)


if __name__ == "__main__":
    raise SystemExit(main())
