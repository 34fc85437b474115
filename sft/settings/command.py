"""The command line of commands that read a TOML config: --config, --data, --settings and `key.sub=value`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from cluster.needs import File, Needs
from evaluation.command import CommandLine, add_data
from sft.config import NamesFile
from sft.settings.file import load_config
from sft.settings.meant import meant
from sft.settings.table import as_text, known_keys

Config = TypeVar("Config", bound=BaseModel)


class ConfigCommand(CommandLine, Generic[Config]):
    """example: a config that ships with the project; needs: counts what the arguments ask of a cluster."""

    def __init__(
        self,
        module: str,
        about: str,
        config: type[Config],
        example: str,
        needs: Callable[[Config, argparse.Namespace], Needs] | None = None,
    ) -> None:
        super().__init__(module, about)
        self.config, self.needs = config, needs
        self.add_argument("--config", type=Path, required=True, metavar="FILE", help=f"TOML file, e.g. {example}")
        self.add_argument("--settings", action=_Settings, nargs=0, help="list all settings: default, range, meaning")
        self.add_argument(
            "overrides", nargs="*", metavar="key.sub=value", help="settings that count more than the file's"
        )

    def add_data(self) -> ConfigCommand[Config]:
        """Also --data."""
        add_data(self)
        return self

    def read(self, argv: Sequence[str] | None) -> tuple[Config, argparse.Namespace]:
        """The checked settings, and the other arguments. With --needs, the answer is printed, and the command ends."""
        words = sys.argv[1:] if argv is None else list(argv)
        self.relax(words)
        for word, after in zip(words, [*words[1:], ""], strict=True):
            self._refuse_setting_as_option(word, after)
        args = self.parse_intermixed_args(words)
        config = load_config(self.config, args.config, args.overrides)
        if args.needs:
            counted = self.needs(config, args) if self.needs else Needs({})
            self.answer(replace(counted, files=[*self.files(args), *named_files(config)]))
        return config, args

    def _refuse_setting_as_option(self, word: str, after: str) -> None:
        """--steps 5: settings are written without dashes."""
        option, equals, value = word.partition("=")
        if not option.startswith("--") or option in self._option_string_actions:
            return
        if key := meant(option.removeprefix("--"), list(known_keys(self.config))):
            value = value if equals else "…" if after.startswith("-") or "=" in after or not after else after
            self.error(f"there is no option {option}: settings are given without dashes, as {key}={value}")


def named_files(config: BaseModel, prefix: str = "") -> Iterator[File]:
    """Of the settings, those that name files."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from named_files(value, f"{prefix}{name}.")
        uses = [one.use for one in field.metadata if isinstance(one, NamesFile)]
        yield from (File(prefix + name, value, use) for use in uses if value)


class _Settings(argparse.Action):
    """Lists the settings and ends, as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, ConfigCommand)
        print(as_text(parser.config))
        parser.exit()
