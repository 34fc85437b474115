"""Ask a database a question in words: the model's query, and its rows.

    python -m rl.ask --database shop.sqlite "Which city has the most customers?"
    python -m rl.ask --database shop.sqlite              a dialogue; \\help lists what else it takes

Without --model the bundled one answers, without --adapter the one that comes with the project for the model. Exit code
1: the query did not run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from evaluation.benchmarks.layout import Turn
from evaluation.command import CommandLine, at_least, file, folder
from evaluation.databases.files import check_sqlite
from evaluation.databases.sandbox import Execution, Sandbox
from evaluation.errors import UserError, exit_on_user_error
from evaluation.instances.folder import Cached
from evaluation.row_text import described, one_line
from graph.linearize import STYLES, Labels
from rl import policies, wire
from rl.asker import SHOWN, Answer, Asker
from rl.selection import INSTANCES, Selector, selection
from rl.selection import add_options as add_selection

HELP = """a question in words gets a query and its rows
\\schema      tables and columns
\\sql         the last query
\\run SQL     run a query of yours, or the last one again
\\why         the prompt, and what of the schema was linked to the question
\\history     what was asked
\\quit        leave (also Ctrl-D)"""


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    check_sqlite(args.database)
    if args.json and not args.question:
        raise UserError("--json answers one question: give it, or leave --json out for a dialogue")
    how = selection(args)
    policies.check_model(args.model, [args.adapter] if args.adapter else [])
    adapters = {"adapter": args.adapter} if args.adapter else policies.shipped_adapter(args)
    started = policies.start(args, adapters)
    try:
        with Sandbox(SHOWN) as sandbox, Sandbox() as voting:
            selector = Selector(voting.execute, Cached(args.instances or INSTANCES))
            asker = Asker(started, sandbox.execute, selector, how, max_tokens=args.max_tokens)
            dialogue = Dialogue(asker, str(args.database.absolute()), args.rows, args.turns)
            return dialogue.once(args.question, args.json) if args.question else dialogue.run()
    finally:
        started.close()


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("rl.ask", (__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default="", help="in words; without one a dialogue begins")
    parser.add_argument("--database", type=file, required=True, help="a SQLite file; it is never changed")
    parser.add_argument("--model", default=policies.BUNDLED, help="base model (default: the bundled sft/tiny)")
    parser.add_argument("--adapter", type=folder, help="LoRA adapter in PEFT's layout (default: the shipped one)")
    parser.add_argument("--json", action="store_true", help="one JSON object for programs")
    parser.add_argument("--rows", type=at_least(1), default=50, help="most rows shown (default 50)")
    parser.add_argument(
        "--turns", type=at_least(0), default=0, metavar="N",
        help="earlier questions of a dialogue, with their queries, in the prompt; for models of dialogues (default 0)",
    )  # fmt: skip
    add_selection(parser)
    policies.add_options(parser)
    return parser


class Dialogue:
    """One database, one question after another."""

    def __init__(self, asker: Asker, database: str, most_rows: int, turns: int = 0) -> None:
        self.asker, self.database, self.most_rows, self.turns = asker, database, most_rows, turns
        self.answers: list[Answer] = []
        self.sql = ""
        self._commands: dict[str, Callable[[str], str]] = {
            "help": lambda rest: HELP,
            "schema": lambda rest: self._schema(),
            "sql": lambda rest: self.sql or "nothing was asked yet",
            "run": self._run,
            "why": lambda rest: self._why(),
            "history": lambda rest: "\n".join(f"{n}  {a.question}" for n, a in enumerate(self.answers, 1)),
        }

    def once(self, question: str, as_json: bool) -> int:
        """One question; 0 when its query ran."""
        answer = self.asker.ask(question, self.database)
        print(json.dumps(wire.answer(self.asker, answer, self.database)) if as_json else self._shown(answer))
        return int(answer.execution.status != "ok")

    def run(self) -> int:
        """Until the end of the input."""
        with suppress(ImportError):
            import readline  # noqa: F401  # arrow keys and history at the prompt
        print(f"{self.database}: ask in words; \\help lists what else there is", flush=True)
        while (line := _line()) is not None:
            if line in ("\\quit", "\\q", "\\exit"):
                break
            if line:
                print(self.reply(line), flush=True)
        return 0

    def reply(self, line: str) -> str:
        """The answer to one line; what is wrong with it is said, and ends nothing."""
        try:
            if not line.startswith("\\"):
                answer = self.asker.ask(line, self.database, history=self._earlier())
                self.answers.append(answer)
                self.sql = answer.sql or self.sql
                return self._shown(answer)
            name, _, rest = line[1:].partition(" ")
            if name not in self._commands:
                return f"there is no \\{name}; \\help lists what there is"
            return self._commands[name](rest.strip())
        except ValueError as error:  # UserError, SchemaError
            return f"error: {error}"

    def _earlier(self) -> list[Turn]:
        answered = [Turn(one.question, one.sql) for one in self.answers if one.sql]
        return answered[max(0, len(answered) - self.turns) :]

    def _shown(self, answer: Answer) -> str:
        share = "" if answer.confidence is None else f"\nconfidence: {answer.confidence:.0%}"
        return f"{one_line(answer.sql)}{share}\n\n{self._table(answer.execution)}".lstrip()

    def _table(self, execution: Execution) -> str:
        return described(execution, self.most_rows)

    def _run(self, sql: str) -> str:
        if not (sql or self.sql):
            return "nothing was asked yet: \\run SELECT …"
        self.sql = sql or self.sql
        return self._table(self.asker.run(self.database, self.sql))

    def _schema(self) -> str:
        return STYLES["compact"](self.asker.writer(self.database).schema, Labels())

    def _why(self) -> str:
        if not self.answers:
            return "nothing was asked yet"
        last = self.answers[-1]
        policy = self.asker.policies.named(last.policy)
        ids, _ = self.asker.prompt(last.question, self.database, "", policy, last.history)
        linked = self.asker.linked(last, self.database)
        columns = ", ".join(".".join(end) for end in linked["columns"])
        return (
            f"{policy.encoder.tokenizer.decode(ids)}\n\npolicy: {policy.name}; tokens of the prompt: {len(ids)}\n"
            f"tables linked: {', '.join(linked['tables']) or 'none by name, so all'}\ncolumns linked: {columns}"
        )


def _line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


if __name__ == "__main__":
    raise SystemExit(main())
