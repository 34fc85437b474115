"""An answer's SQL: what a model wrote, in whatever way it wrote it -> the statement that it answers with.

1. What was thought aloud is dropped, and whatever comes after the end of the turn.
2. Every statement is found, with the place where it stands; text inside a statement is never read as anything else.
3. The last fenced block with a query wins, then a field or tag with one, then the first text that reads as a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from graph.sql_text import LONGEST_COMMENT, STATEMENTS, reads_as_statement, statement_end

_THOUGHT = r"(?:seed:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis|cot|rationale)"
_THOUGHT_ENDS = re.compile(
    rf"[<\[◁](?i:\s*/\s*{_THOUGHT}\s*>|/THINK(?:ING)?\]|/think▷|[|｜]\s*(?:end_of_thought|END_THINKING|/think)\s*[|｜]>"
    r"|\|channel\|>final\b[^<]{0,80}(?:<\|constrain\|>[^<]{0,80})?<\|message\|>|unused95>)"
)
_THOUGHT_BEGINS = re.compile(
    rf"[<\[◁](?i:\s*{_THOUGHT}\s*>|THINK(?:ING)?\]|think▷|[|｜]\s*(?:begin_of_thought|START_THINKING|think)\s*[|｜]>"
    r"|\|channel\|>(?:analysis|commentary)\b|unused94>)"
)
# The channels of a reply whose special tokens were left out.
_CHANNEL = re.compile(r"\A(?:analysis|commentary)(?=[A-Z])")
_FINAL_CHANNEL = "assistantfinal"
_TURN_ENDS = re.compile(
    r"<[|｜](?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|call|end_of_turn|END_OF_TURN_TOKEN|eos|user|human|"
    r"end▁of▁sentence|User|end_of_sentence)[|｜]>|</s>|<end_of_turn>|<eos>|<\|?turn\|>"
)
_QUOTED = re.compile(r"""(?<!\w)'[^'\n]*(?<![\s=(])'|(?<!\w)"[^"\n]*(?<![\s=(])"|`[^`\n]+`|\[[^\]\n]*\]""")
_QUOTE_FENCE = re.compile(r"^[ \t]*>[ \t]*(?:```|~~~)", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)

_STATEMENT = "|".join(STATEMENTS)
_FIRST_LETTERS = "".join({letter for word in STATEMENTS for letter in (word[0], word[0].upper())})
_SECOND_LETTERS = sorted({word[1] for word in STATEMENTS})
_REST = {second: "|".join(word[2:] for word in STATEMENTS if word[1] == second) for second in _SECOND_LETTERS}
_WORD = "|".join(f"[{second}{second.upper()}](?i:{rest})" for second, rest in _REST.items())
_TAGS = "sql|answer|query|sql_query|final_answer|final|response|output|result|code|solution"
# One set of first characters, and few branches by the second, so that the search skips most text fast.
_LANDMARK = re.compile(
    rf"""[`~/<\["'\-{_FIRST_LETTERS}](?:
     (?P<word>(?<![\w.@$-].)(?:{_WORD})\b)
    |(?<=[`~/<\["'\-])(?:
     (?P<fence>(?<=`)`{{2,}}|(?<=~)~{{2,}})
    |(?P<comment>(?<=/)\*)
    |(?P<remark>(?<=-)-)
    |(?<=<)(?P<shut>/)?(?P<tag>(?i:{_TAGS})\b)[^<>]{{0,200}}>
    |(?<=\[)(?P<shut2>/)?(?P<tag2>SQL|ANSWER|QUERY|FINAL|RESPONSE|OUTPUT)\]
    |(?<=["'])(?P<key>[\w\ .-]{{1,64}})["']\s*:\s*(?=["'])
    |(?P<string>(?<=["'])(?<![\\\w].)(?:(?<=")""|(?<=')'')?)\s*(?=(?i:{_STATEMENT})\b)))""",
    re.VERBOSE,
)
_MIGHT_HOLD = re.compile(rf"\b(?:{_STATEMENT})\b", re.IGNORECASE)
_INFO = re.compile(
    r"[ \t]*\{?[\w.+# =\"-]*\}?[ \t]*\r?(?=\n|\Z)"
    rf"|[ \t]*(?!(?:{_STATEMENT})\b)[\w+#.-]+(?=[ \t])",
    re.IGNORECASE,
)
_HAS_INFO = re.compile(r"[ \t]*[A-Za-z]")
_KEYS = re.compile(r"(?:final_?|generated_?|predicted_?)?(?:sql|query|sql_?query|answer|sql_?statement|output)", re.I)
_FRESH = re.compile(r"(?:^|[:：>`\"'\[{=|(]|(?:```|~~~)\w*)[\s*_>#(+•-]*(?:\d+[.)]\s*)?\Z")
_OPEN_BRACKETS = re.compile(r"[ \t]*\([\s(]*\Z")
_AROUND = re.compile(r"(`{1,2}|[\"'(*|_])\s*\Z")
_PART = re.compile(
    r"(?:[=<>,+*/-]|\b(?:in|not|exists|from|join|any|all))\s*\(\s*\Z|\b(?:union|intersect|except|all)\s+\Z", re.I
)
_BETWEEN = re.compile(
    r"(?:[\s;；]|--[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/|(?:commit|end|rollback|begin)(?:\s+(?:transaction|immediate|deferred|exclusive))?\s*[;；])*+",
    re.I,
)
_LONGEST_PREFIX = 48
_LONGEST_VALUE = 2_000
_DEEPEST = 3
_MOST_MARKS = 100
_MOST_BLANKS = 400

_FENCE, _FIELD, _LINE, _PHRASE = range(4)


@dataclass(frozen=True)
class _Found:
    """A statement: where it stands, in which block or value, under a name for SQL, and whether it asks."""

    sql: str
    place: int
    block: int
    named: bool
    asks: bool


def extract_sql(text: str) -> str:
    """The SQL in an answer, without fence and final semicolon; "" when there is none.

    Two statements that follow each other stay two, for the sandbox to refuse.

    >>> extract_sql("It is:\\n```sql\\nSELECT 1;\\n```\\nEnjoy."), extract_sql("I do not know.")
    ('SELECT 1', '')
    """
    text = _spoken(text)
    if ">" in text and _QUOTE_FENCE.search(text):
        text = _QUOTE_MARK.sub("", text)
    return _choose(list(_statements(text, 0)))


def _spoken(text: str) -> str:
    """What is said after all thinking, up to the end of the turn; tags in quotes are no tags."""
    if _CHANNEL.match(text):
        text = text.rpartition(_FINAL_CHANNEL)[2] if _FINAL_CHANNEL in text else ""
    end = _first_unquoted(text, reversed(list(_THOUGHT_ENDS.finditer(text))))
    text = text[end.end() :] if end else text
    begin = _first_unquoted(text, _THOUGHT_BEGINS.finditer(text))
    text = text[: begin.start()] if begin else text
    turn = _first_unquoted(text, _TURN_ENDS.finditer(text, len(text) - len(text.lstrip()) + 1))
    return text[: turn.start()] if turn else text


def _first_unquoted(text: str, marks: Iterable[re.Match[str]]) -> re.Match[str] | None:
    return next((mark for mark in islice(marks, _MOST_MARKS) if not _in_quotes(text, mark)), None)


def _in_quotes(text: str, mark: re.Match[str]) -> bool:
    """Whether the mark stands in quotes on its line."""
    begin = max(text.rfind("\n", 0, mark.start()) + 1, mark.start() - 400)
    line = text[begin : mark.end() + 400].partition("\n")[0]
    place = mark.start() - begin
    return any(quoted.start() < place < quoted.end() for quoted in _QUOTED.finditer(line))


def _choose(found: list[_Found]) -> str:
    for place in (_FENCE, _FIELD):
        here = [one for one in found if one.place == place]
        here = [one for one in here if one.asks] or here
        here = [one for one in here if one.named] or here
        if here:
            return next(one.sql for one in here if one.block == here[-1].block)
    for place in (_LINE, _PHRASE):
        for one in found:
            if one.place == place:
                return one.sql
    return ""


def _statements(text: str, depth: int) -> Iterator[_Found]:
    """All statements of a text in order. depth: how many quoted values it was taken from."""
    at, opened, block, fence, tag = 0, 0, 0, "", False
    while mark := _LANDMARK.search(text, at):
        at = mark.end()
        if mark["fence"]:
            run = mark[0]
            block += 1
            closes = fence and run[0] == fence[0] and len(run) >= len(fence) and not _HAS_INFO.match(text, at)
            fence = "" if closes else run
            info = None if closes else _INFO.match(text, at)
            at = opened = info.end() if info else at
        elif mark["comment"]:
            stop = text.find("*/", at, at + LONGEST_COMMENT)
            at = at if stop < 0 else stop + 2
            opened = at if _blank(text, opened, mark.start()) else opened
        elif mark["remark"]:
            if not text[max(0, mark.start() - _LONGEST_PREFIX) : mark.start()].rpartition("\n")[2].strip():
                stop = text.find("\n", at)
                at = len(text) if stop < 0 else stop
                opened = at if _blank(text, opened, mark.start()) else opened
        elif mark["tag"] or mark["tag2"]:
            block, tag, opened = block + 1, not (mark["shut"] or mark["shut2"]), at
        elif not mark["word"]:
            value, end = _value(text, at if mark["key"] else mark.start())
            if value is None or depth >= _DEEPEST:
                continue
            at = max(at, end)
            if not _MIGHT_HOLD.search(value):
                continue
            block += not fence
            inner = _choose(list(_statements(value, depth + 1)))
            if inner:
                place = (
                    _FENCE
                    if fence
                    else _FIELD
                    if mark["key"] or tag
                    else _LINE
                    if _fresh(text, mark.start())
                    else _PHRASE
                )
                yield _Found(inner, place, block, bool(mark["key"] and _KEYS.fullmatch(mark["key"])), _asks(inner))
        else:
            read = _statement(text, mark.start(), opened)
            if read is None:
                continue
            sql, at, closed, fresh, inline = read
            if closed[:3] in ("```", "~~~") and not fence and not _HAS_INFO.match(text, at + 3):
                place, at = _FENCE, at + len(closed)  # the block was opened before the answer began
            else:
                place = _FENCE if fence else _FIELD if tag else _LINE if fresh and not inline else _PHRASE
            yield _Found(sql, place, block, False, _asks(sql))
            opened = at


def _blank(text: str, start: int, end: int) -> bool:
    return end - start <= _MOST_BLANKS and not text[start:end].strip()


def _fresh(text: str, start: int) -> bool:
    prefix = text[max(0, start - _LONGEST_PREFIX) : start]
    return (
        bool(_FRESH.search(prefix.rpartition("\n")[2]))
        if "\n" in prefix or start <= _LONGEST_PREFIX
        else bool(_FRESH.search("x" + prefix))
    )


def _statement(text: str, start: int, opened: int) -> tuple[str, int, str, bool, bool] | None:
    """The statement whose first word stands at `start`, and those that follow it at once; None when it is prose.

    With it: the place after it, what closed it, whether it begins its line, whether it is inline code.
    """
    fresh = _fresh(text, start)
    opening = start - opened <= _LONGEST_PREFIX and not text[opened:start].strip(" \t\r\n(")
    prefix = text[max(0, start - _LONGEST_PREFIX) : start]
    if _PART.search(prefix) or not reads_as_statement(text, start, fresh or opening, opening):
        return None
    closer = ""
    first = start
    brackets = _OPEN_BRACKETS.search(prefix)
    if brackets and (opening or not prefix[: brackets.start()].rpartition("\n")[2].strip()):
        first = start - len(brackets[0].lstrip())
    elif around := _AROUND.search(prefix):
        closer = {"(": ")"}.get(around[1], around[1])
    end, closed = statement_end(text, start, closer)
    pieces, begin, at = [], first, end
    while True:
        pieces.append(text[begin:end].rstrip())
        if closed not in (";", "；"):
            break
        gap = _BETWEEN.match(text, end, end + LONGEST_COMMENT)
        after = gap.end() if gap else end
        if not _MIGHT_HOLD.match(text, after) or not reads_as_statement(text, after, True, False):
            break
        pieces.append(text[end:after].replace("；", ";"))
        begin = after
        end, closed = statement_end(text, after, closer)
        at = end
    return "".join(pieces).strip(), at, closed, fresh or opening, closer in ("`", "``")


def _asks(sql: str) -> bool:
    return sql.lstrip("( \t\n")[:6].lower() in ("select", "values") or sql.lstrip("( \t\n")[:4].lower() == "with"


_STRINGS = {q: re.compile(rf"{q}((?:[^{q}\\]|\\.)*+){q}", re.DOTALL) for q in "\"'"}
_VALUE_ENDS = re.compile(r"""["'](?=\s*(?:[}\]]|\Z))|["']\s*,\s*(?=["'][\w .-]+["']\s*:)""")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}


def _value(text: str, start: int) -> tuple[str | None, int]:
    """The quoted text that begins at `start`, its escapes undone, and the place after it.

    None when a quote of its own kind stands unescaped in it: then it is read as it stands.
    """
    triple = text[start : start + 3]
    if triple in ('"""', "'''"):
        stop = text.find(triple, start + 3)
        stop = len(text) if stop < 0 else stop
        return text[start + 3 : stop], stop + 3
    whole = _STRINGS[text[start]].match(text, start)
    if whole and not text[whole.end() : whole.end() + 1].isalnum():
        return _unescaped(whole[1]), whole.end()
    end = _VALUE_ENDS.search(text, start + 1, start + _LONGEST_VALUE)
    if end:
        return _unescaped(text[start + 1 : end.start()]), end.end()
    return None, start + 1


def _unescaped(text: str) -> str:
    def meant(found: re.Match[str]) -> str:
        escape = found[1]
        return chr(int(escape[1:], 16)) if len(escape) == 5 else _ESCAPES.get(escape, escape)

    plain = _ESCAPE.sub(meant, text) if "\\" in text else text
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
