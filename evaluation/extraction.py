"""How much of gold SQL comes back out of the ways in which models wrap an answer.

python -m evaluation.extraction --data DIR          DIR holds spider/ and bird/
python -m evaluation.extraction --answers FILE      JSON lines with "answer", and "id" where there is one

The first prints {"wrapping": share of golds kept}, the second a line {"id", "sql"} for each answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluation.command import CommandLine, file, folder
from evaluation.errors import UserError, exit_on_user_error
from evaluation.text_files import parse_json, read_records, read_text
from graph.answer import extract_sql

GOLDS = (("spider/dev.json", "query"), ("bird/dev.json", "SQL"))


def _filled(form: str) -> Callable[[str], str]:
    """A wrapping from its text; @ stands for the query."""
    return lambda sql: form.replace("@", sql)


def _as_json(build: Callable[[str], Any], indent: int | None = None) -> Callable[[str], str]:
    return lambda sql: json.dumps(build(sql), indent=indent)


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "plain": _filled("@"),
    "semicolon": _filled("@;\n"),
    "full-width semicolon": _filled("@；谢谢"),
    "fence": _filled("```sql\n@\n```"),
    "fence without name": _filled("```\n@;\n```"),
    "fence of sqlite": _filled("Here is the query:\n\n```sqlite\n@;\n```\nIt's what you asked for."),
    "fence on one line": _filled("``` @ ```"),
    "fence left open": _filled("```sql\n@"),
    "fence opened by the prompt": _filled("@\n```\n\nThis query returns the rows asked for."),
    "fence of tildes": _filled("~~~sql\n@\n~~~"),
    "fence indented": _filled("1. The query:\n\n   ```sql\n   @;\n   ```"),
    "fence quoted": _filled("> ```sql\n> @\n> ```"),
    "fence in CRLF": _filled("Sure!\r\n```sql\r\n@;\r\n```\r\nDone.\r\n"),
    "last of two fences": _filled("First idea:\n```sql\nSELECT 1 FROM draft\n```\nBetter:\n```sql\n@\n```"),
    "fence and its result": _filled("```sql\n@;\n```\nResult:\n```\nname | age\n-----+----\nJoe  | 3\n```"),
    "inline code": _filled("The query is `@`."),
    "inline code of two": _filled("Use ``@``, which answers it."),
    "sql tag": _filled("<sql>@</sql>"),
    "answer tag": _filled("<answer>\n@;\n</answer>\nDone."),
    "fence in a tag": _filled("<think>hm</think><answer>```sql\n@\n```</answer>"),
    "bracket tag": _filled("[SQL]\n@\n[/SQL]"),
    "json": _as_json(lambda sql: {"reasoning": "I select what is asked.", "sql": sql}),
    "json indented": _as_json(lambda sql: {"query": sql + ";", "confidence": 0.9}, indent=2),
    "json nested": _as_json(lambda sql: {"result": {"answers": [{"sql": sql}]}}),
    "json in a fence": lambda sql: "```json\n" + json.dumps({"sql": sql}, indent=2) + "\n```",
    "tool call": lambda sql: f"<tool_call>\n{json.dumps({'name': 'run', 'arguments': {'query': sql}})}\n</tool_call>",
    "tool call in text": _as_json(lambda sql: {"name": "run", "arguments": json.dumps({"query": sql})}),
    "python": _filled('```python\nquery = """\n@\n"""\ncursor.execute(query)\n```'),
    "label": _filled("SQL: @"),
    "label and result": _filled("SQLQuery: @\nSQLResult: [(6,)]\nAnswer: six"),
    "bold label": _filled("**SQL Query:**\n\n@;\n\n**Explanation:** it joins the tables."),
    "bullet": _filled("- @;\n- Done"),
    "prose before": _filled("Sure! Here's the SQL that'll answer it:\n\n@"),
    "prose that begins with Select": _filled("Select the rows that match the question:\n\n@;"),
    "prose after": _filled("@\n\nThis query counts the rows of each group."),
    "note on the next line": _filled("@\nNote: the names are not unique."),
    "prose after a semicolon": _filled("@; With this we get it; select others if you like."),
    "thought": _filled("<think>\nMaybe SELECT 1 FROM draft?\n</think>\n\n@"),
    "thought opened by the prompt": _filled("I could write\nSELECT 1 FROM draft;\nbut no.\n</think>\n\n@;"),
    "thought in capitals": _filled("<THINKING>It's SELECT 1</THINKING>\n```sql\n@\n```"),
    "harmony channels": _filled(
        "<|channel|>analysis<|message|>SELECT 1 FROM draft?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>@<|return|>"
    ),
    "harmony without tokens": _filled("analysisWe need to select rows.assistantfinal@"),
    "chat token": _filled("@<|im_end|>\n<|im_start|>user\nAnother: SELECT 1 FROM draft"),
    "end token": _filled("@</s>"),
    "end of turn": _filled("```sql\n@\n```<end_of_turn>"),
    "end of text": _filled("@;<|endoftext|>"),
    "end of sentence": _filled("@<｜end▁of▁sentence｜>"),
    "comment before": _filled("-- the query\n@"),
    "transaction": _filled("BEGIN;\n@;\nCOMMIT;"),
}


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine("evaluation.extraction", (__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=folder, help="a directory with spider/dev.json and bird/dev.json")
    parser.add_argument("--answers", type=file, help='extract from each line\'s "answer" instead')
    args = parser.parse_args(argv)
    if args.answers:
        for row in extracted(args.answers):
            print(json.dumps(row, ensure_ascii=False))
    elif args.data:
        print(json.dumps(shares_kept(golds(args.data)), indent=1))
    else:
        raise UserError("what to extract from must be given: --data DIR for wrapped golds, or --answers FILE")
    return 0


def golds(data: Path) -> list[str]:
    """Every gold of both dev sets, as its file has it. UserError where one is missing."""
    return [_text(row, field, data / file) for file, field in GOLDS for row in read_records(data / file)]


def shares_kept(queries: Sequence[str]) -> dict[str, float]:
    """For each wrapping the share of queries that come out as they went in, apart from a last semicolon."""
    wanted = [query.strip().rstrip(";").rstrip() for query in queries]
    return {
        name: round(sum(extract_sql(wrap(query)) == query for query in wanted) / max(1, len(wanted)), 4)
        for name, wrap in WRAPPINGS.items()
    }


def extracted(answers: Path) -> Iterator[dict[str, str]]:
    for place, row in enumerate(parse_json(read_text(answers), answers), 1):
        where = f"{answers}, answer {place}"
        if not isinstance(row, dict):
            raise UserError(f'{where} must be a JSON object with "answer", got {str(row)[:60]!r}')
        yield {"id": str(row.get("id", place)), "sql": extract_sql(_text(row, "answer", where))}


def _text(row: dict[str, Any], field: str, where: object) -> str:
    if not isinstance(row.get(field), str):
        raise UserError(f"{where}: {field!r} must be a text, got {row.get(field)!r}")
    return str(row[field])


if __name__ == "__main__":
    raise SystemExit(main())
