"""`python -m rl.settings [--out docs/settings.md]`: every setting of every command, with default, range and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.command import CommandLine, check_output
from evaluation.errors import exit_on_user_error
from evaluation.score import write_whole
from rl.ablation.config import AblationConfig
from rl.config import RlConfig
from sft.config import Settings, SftConfig
from sft.pretraining.config import PretrainConfig
from sft.settings.table import as_markdown

CONFIGS: tuple[type[Settings], ...] = (SftConfig, RlConfig, AblationConfig, PretrainConfig)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine("rl.settings", (__doc__ or "").strip())
    parser.add_argument("--out", type=Path, help="the file to write; without it they are printed")
    args = parser.parse_args(argv)
    if args.out:
        write_whole(check_output(args.out), document())
    else:
        print(document(), end="")
    return 0


def document() -> str:
    """docs/settings.md."""
    parts = [f"## {cls.command}\n\n{as_markdown(cls)}\n" for cls in CONFIGS]
    about = (
        "# Settings\n\nA TOML file has them as `[section]` and `key = value`; on the command line they are "
        "`section.key=value`.\nWritten by `python -m rl.settings --out docs/settings.md`.\n"
    )
    return "\n".join([about, *parts])


if __name__ == "__main__":
    raise SystemExit(main())
