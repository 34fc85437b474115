"""Datasets: which are known, what a folder holds, and several mixed into one.

python -m evaluation.data list [--data DIR] [--json]
python -m evaluation.data show NAME [--data DIR] [--json] [--limit N]
python -m evaluation.data contamination tiny spider=DIR … [--json]
python -m evaluation.data mix CONFIG.toml --out DIR
python -m evaluation.data export NAME [--data DIR] --split train --form messages --out FILE
python -m evaluation.data export NAME [--data DIR] --split dev --form bird --predictions FILE --out FILE
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evaluation.benchmarks import known_layouts, load_split, named
from evaluation.command import CommandLine, add_data, at_least, benchmark, check_folder, check_output, file, folder
from evaluation.errors import USER_ERROR_EXIT, UserError, exit_on_user_error
from evaluation.score import write_whole

FORMS = ("messages", "dbgpt-hub", "spider", "bird")


def list_known(options: argparse.Namespace) -> None:
    """Every layout, with licence and source; with a folder, where in it the files of each are."""
    from evaluation.inventory import found_in

    there = found_in(options.data) if options.data else {}
    rows = [
        {"name": name, "about": layout.about, "licence": layout.licence, "source": layout.source}
        | {"splits": list(layout.splits), "here": [str(path) for path in there.get(name, ())]}
        for name, layout in known_layouts().items()
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['name']:20} {row['about']}\n{'':20} {row['licence']}; {row['source']}")
        for path in row["here"]:
            print(f"{'':20} here: {path}")


def show(options: argparse.Namespace) -> None:
    from evaluation.inventory import inventory

    found = inventory(options.name, options.data, options.limit, options.workers)
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    print(f"{options.name}: {named(options.name).about}")
    for name, value in found.items():
        if name == "samples":
            for sample in value:
                print(f"  {sample['id']} ({sample['db_id']}): {sample['question']}\n    {sample['sql']}")
        elif isinstance(value, Mapping):
            print(f"{name:12} " + (", ".join(f"{key} {count}" for key, count in value.items()) or "none"))
        else:
            print(f"{name:12} {value}")


def contamination(options: argparse.Namespace) -> None:
    """What the splits of datasets have in common: by question, by query without literals, by schema."""
    from evaluation.contamination import WAYS, overlaps
    from evaluation.inventory import own_questions

    splits = {
        f"{benchmark} {split}": examples
        for benchmark, data in options.datasets
        for split, examples in own_questions(benchmark, data).items()
    }
    found = overlaps(splits)
    if options.json:
        print(json.dumps({"splits": {name: len(held) for name, held in splits.items()}, "overlaps": found}, indent=1))
        return
    for name, examples in splits.items():
        print(f"{name}: {len(examples)} questions")
        for row in found:
            if row["of"] == name:
                print(f"  in {row['in']}: " + ", ".join(f"{way} {row[way]}" for way in WAYS if row[way]))


def dataset(text: str) -> tuple[str, Path | None]:
    """The words NAME=DIR, or the name alone of a bundled dataset."""
    name, given, data = text.partition("=")
    return benchmark(name), folder(data) if given else None


def mix(options: argparse.Namespace) -> None:
    from datasets import Dataset

    from evaluation.benchmarks.mix import written
    from evaluation.mixing import mix as mixed
    from evaluation.mixing import read_config

    out = check_folder(options.out)
    made = mixed(read_config(options.config))
    Dataset.from_list([written(example) for example in made.examples]).to_parquet(str(out / "train.parquet"))
    write_whole(out / "mix.json", json.dumps(made.report, indent=1) + "\n")
    for name, row in made.report["datasets"].items():
        print(f"{name:24} " + ", ".join(f"{key} {count}" for key, count in row.items()))
    for name, row in made.report["held_out"].items():
        hits = {key: count for key, count in row.items() if key != "questions" and count}
        told = ", ".join(f"{key} {count}" for key, count in hits.items()) or "none of the mix's questions"
        print(f"held out: {name} ({row['questions']}): {told}")
    print(
        f'wrote {made.report["questions"]} questions to {out / "train.parquet"}: data.benchmark = "mix", --data {out}'
    )


def export(options: argparse.Namespace) -> None:
    """Questions to train on elsewhere, or with --predictions what an official evaluator reads."""
    from evaluation.export import PREDICTIONS, QUESTIONS
    from evaluation.predictions import read_predictions

    check_output(options.out)
    if (options.form in PREDICTIONS) != bool(options.predictions):
        raise UserError("--form spider and bird need --predictions FILE, the other forms take none")
    split = load_split(options.name, options.split, options.data, rows=False)
    if options.predictions:
        text = PREDICTIONS[options.form](split, read_predictions(options.predictions, split))
    else:
        rows = [QUESTIONS[options.form](example) for example in split.examples]
        text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    write_whole(options.out, text)
    print(f"wrote {len(split.examples)} questions to {options.out}")


def parsers() -> dict[str, tuple[CommandLine, Callable[[argparse.Namespace], None]]]:
    found: dict[str, tuple[CommandLine, Callable[[argparse.Namespace], None]]] = {
        name: (CommandLine(f"evaluation.data {name}", about), run)
        for name, about, run in (
            ("list", "The layouts that are known, and where their files are.", list_known),
            ("show", "Count the questions of a dataset, and run its golds.", show),
            ("contamination", "What the splits of datasets have in common.", contamination),
            ("mix", "Several datasets in one, without duplicates and held-out questions.", mix),
            ("export", "The questions of a split, in a form to train on elsewhere.", export),
        )
    }
    for name in ("show", "export"):
        found[name][0].add_argument("name", type=benchmark, help="its layout, as spider, or package.module:LAYOUT")
    for name in ("list", "show", "export"):
        add_data(found[name][0])
    found["contamination"][0].add_argument(
        "datasets", type=dataset, nargs="+", metavar="NAME=DIR", help="its layout and folder; tiny alone"
    )
    for name in ("list", "show", "contamination"):
        found[name][0].add_argument("--json", action="store_true", help="as JSON")
    found["show"][0].add_argument("--limit", type=at_least(0), default=0, help="run the first N golds only (0: all)")
    found["show"][0].add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="sandboxes at once")
    found["mix"][0].add_argument("config", type=file, help="a TOML file with a [[dataset]] for each")
    found["mix"][0].add_argument("--out", type=Path, required=True, help="folder of train.parquet and mix.json")
    found["export"][0].add_argument("--split", default="train", help="which questions (default train)")
    found["export"][0].add_argument("--form", choices=FORMS, default="messages")
    found["export"][0].add_argument("--out", type=Path, required=True, help="the file to write")
    found["export"][0].add_argument("--predictions", type=file, help="of the split, for --form spider or bird")
    return found


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    known = parsers()
    if words[:1] in (["-h"], ["--help"]):
        print(f"usage: python -m evaluation.data {{{','.join(known)}}} …\n\n{__doc__}")
        return 0
    if not words or words[0] not in known:
        given = repr(words[0]) if words else "nothing"
        print(f"error: must be one of {', '.join(known)}, got {given}", file=sys.stderr)
        return USER_ERROR_EXIT
    parser, run = known[words[0]]
    run(parser.parse_args(words[1:]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
