"""`python -m sft.check_model --model M [--quantization nf4]`: can this model be trained, and how? One line of JSON.

    {"supported": true, "packing": "shared", "max_difference": 2.1e-06, "reason": ""}

packing: shared = answers behind one copy of their prompt; none = each answer a sequence of its own. max_difference:
largest |Δ log π| of an answer token against the model's own forward, nats, in fp32. Exit code 0, or 2 when it is not
supported. `sft.train` and `rl.train` do the same when they load a model; whether the engine can serve it, RL finds out
from the engine.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict

from evaluation.command import CommandLine, at_least
from evaluation.errors import USER_ERROR_EXIT, UserError, exit_on_user_error


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    import transformers

    from sft.config import LoraConfig, ModelConfig
    from sft.settings.file import validate

    transformers.utils.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    names = {"path": args.model, "quantization": args.quantization, "max_length": args.max_length}
    model = validate(ModelConfig, names | {"dtype": "float32"}, "sft.check_model")
    from sft.policy.base import load_model
    from sft.policy.support import Support, support_of

    logging.disable(logging.ERROR)
    try:
        found = support_of(load_model(model, LoraConfig(r=8)).get_base_model(), model.max_length)
    except UserError as error:
        found = Support(False, "none", None, " ".join(str(error).split()))
    finally:
        logging.disable(logging.NOTSET)
    print(json.dumps(asdict(found)), flush=True)
    return 0 if found.supported else USER_ERROR_EXIT


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandLine("sft.check_model", (__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="directory in Hugging Face layout, or owner/name on the hub")
    parser.add_argument("--quantization", choices=("nf4", "none"), default="none", help="of the base (none)")
    parser.add_argument("--max-length", type=at_least(16), default=1024, help="prompt and answer, in tokens (1024)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
