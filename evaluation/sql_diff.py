"""Two queries side by side, clause by clause, with the words that differ marked.

Lexical, so that a query that does not parse is shown like any other. Case, quotes round names and the names of aliases
make no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from sqlglot import exp
from sqlglot.tokens import Token, Tokenizer, TokenType

from evaluation.ordering import parse

LONGEST = 20_000  # characters of a query that are compared; what comes after is cut
MOST_WORDS = 2_000
_STARTS = {
    TokenType.WITH: "WITH", TokenType.SELECT: "SELECT", TokenType.FROM: "FROM", TokenType.WHERE: "WHERE",
    TokenType.GROUP_BY: "GROUP BY", TokenType.HAVING: "HAVING", TokenType.ORDER_BY: "ORDER BY",
    TokenType.LIMIT: "LIMIT", TokenType.UNION: "UNION", TokenType.INTERSECT: "INTERSECT", TokenType.EXCEPT: "EXCEPT",
}  # fmt: skip
_TEXT = re.compile(r"'(?:[^']|'')*'")
_TABLES = re.compile(
    r"\b(?:from|join)\s+([^()]*?)(?=\b(?:from|join|on|using|where|group|order|having|limit|union|intersect|except|select|"
    r"left|right|full|inner|cross|natural)\b|[()]|\Z)",
    re.IGNORECASE,
)
_SETS = ("UNION", "INTERSECT", "EXCEPT")
_WORDS = {TokenType.VAR: "name", TokenType.IDENTIFIER: "name", TokenType.STRING: "text", TokenType.NUMBER: "number"}


@dataclass(frozen=True)
class Word:
    """before: the blanks in front; kind: keyword, name, qualifier, text, number or sign; meant: what it is compared by,
    "" for what says nothing; same: the other query has it here, too."""

    before: str
    text: str
    kind: str
    meant: str = ""
    same: bool = True


@dataclass(frozen=True)
class Clause:
    """part: 0 before the first set operation, 1 after it, …; a clause that a query lacks has no words."""

    name: str
    part: int
    gold: tuple[Word, ...]
    answer: tuple[Word, ...]


Clauses = Mapping[tuple[str, int], tuple[Word, ...]]


def compare_sql(gold: str, answer: str) -> list[Clause]:
    """The clauses of both in the order of gold, those of the answer alone at their end of the same part.

    >>> found = compare_sql("SELECT a FROM t WHERE b > 1", "SELECT T1.a FROM t AS T1 WHERE b > 2")
    >>> [(clause.name, [word.text for word in clause.answer if not word.same]) for clause in found]
    [('SELECT', []), ('FROM', []), ('WHERE', ['2'])]
    """
    mine, other = clauses(gold), clauses(answer)
    if not (_qualified(mine) and _qualified(other)):  # over one table a column needs no table's name
        mine, other = _unqualified(mine), _unqualified(other)
    keys = sorted({**dict.fromkeys(mine), **dict.fromkeys(other)}, key=lambda key: (key[1], _place(key, mine, other)))
    return [Clause(*key, *_compared(mine.get(key, ()), other.get(key, ()))) for key in keys]


def tables_named(sql: str) -> set[str]:
    """Names that a query has behind FROM and JOIN, in lower case; lexical, for it is asked of thousands of queries.

    >>> sorted(tables_named("SELECT a FROM t AS x, u JOIN v ON x.i = v.i WHERE b IN (SELECT c FROM t)"))
    ['t', 'u', 'v']
    """
    lists = _TABLES.findall(_TEXT.sub("''", sql[:LONGEST]))
    return {name.split()[0].strip('"`[]').lower() for names in lists for name in names.split(",") if name.strip()}


def as_plain(gold: str, answer: str) -> list[dict[str, Any]]:
    """`compare_sql` for a page: {"name", "gold", "answer"}, words as [blanks before, text, kind, same]."""

    def plain(words: Sequence[Word]) -> list[list[Any]]:
        return [[word.before, word.text, word.kind, word.same] for word in words]

    found = compare_sql(gold, answer)
    return [{"name": one.name, "gold": plain(one.gold), "answer": plain(one.answer)} for one in found]


def clauses(sql: str) -> Clauses:
    """(name, part) -> its words, in order of appearance. Text that has no tokens is one clause, "SQL"."""
    words = list(_words(sql[:LONGEST]))
    if len(sql) > LONGEST:
        words.append((Word(" ", f"… {len(sql) - LONGEST:,} more characters", "sign", "…"), None, 0))
    found: dict[tuple[str, int], list[Word]] = {}
    name, part = "SQL", 0
    for word, start, depth in words:
        if start and depth == 0:
            part += start in _SETS
            name = start
        found.setdefault((name, part), []).append(word)
    return {key: (replace(first, before=""), *rest) for key, (first, *rest) in found.items()}


def _words(sql: str) -> Iterator[tuple[Word, str | None, int]]:
    """Each word, the clause that it starts, and how many brackets are open."""
    try:
        tokens: Sequence[Token] = Tokenizer(dialect="sqlite").tokenize(sql)
    except Exception:  # whatever a tokenizer says of text that is no SQL
        tokens = []
    if not tokens and sql.strip():
        yield Word("", sql, "sign", sql.strip()), None, 0
    names, end, depth = _aliases(sql), 0, 0
    for place, token in enumerate(tokens):
        text = sql[token.start : token.end + 1]
        depth -= token.token_type == TokenType.R_PAREN
        starts = _STARTS.get(token.token_type)
        named = place > 0 and tokens[place - 1].token_type == TokenType.ALIAS
        after = tokens[place + 1].token_type if place + 1 < len(tokens) else None
        kind = _kind(token, text, after)
        yield Word(sql[end : token.start], text, kind, "" if named else _meant(token, kind, names)), starts, depth
        depth += token.token_type == TokenType.L_PAREN
        end = token.end + 1
    if tokens and sql[end:].strip():
        yield Word("", sql[end:], "sign", sql[end:].strip()), None, 0


def _kind(token: Token, text: str, after: TokenType | None) -> str:
    kind = _WORDS.get(token.token_type) or ("keyword" if text[:1].isalpha() else "sign")
    if kind in ("name", "keyword") and after == TokenType.DOT:
        return "qualifier"
    return "keyword" if kind == "name" and after == TokenType.L_PAREN else kind


def _meant(token: Token, kind: str, names: Mapping[str, str]) -> str:
    """AS, dots and aliases where they are given say nothing; a qualifier means its table."""
    if kind in ("text", "number"):
        return f"{kind} {token.text}"
    plain = token.text.lower()
    if kind == "qualifier":
        return names.get(plain, plain)
    return "" if token.token_type in (TokenType.ALIAS, TokenType.DOT) or plain in names else plain


def _aliases(sql: str) -> dict[str, str]:
    """Alias -> table, in lower case."""
    tree = parse(sql)
    tables = tree.find_all(exp.Table) if tree is not None else ()
    return {table.alias.lower(): table.name.lower() for table in tables if table.alias}


def _qualified(found: Clauses) -> bool:
    return any(word.kind == "qualifier" for words in found.values() for word in words)


def _unqualified(found: Clauses) -> Clauses:
    return {
        key: tuple(replace(word, meant="") if word.kind == "qualifier" else word for word in words)
        for key, words in found.items()
    }


def _compared(gold: Sequence[Word], answer: Sequence[Word]) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    if max(len(gold), len(answer)) > MOST_WORDS:
        same = [word.meant for word in gold] == [word.meant for word in answer]
        return tuple(replace(w, same=same) for w in gold), tuple(replace(w, same=same) for w in answer)
    mine, other = (tuple(word for word in words if word.meant) for words in (gold, answer))
    matcher = SequenceMatcher(None, [w.meant for w in mine], [w.meant for w in other], autojunk=False)
    kept = [(id(mine[b.a + i]), id(other[b.b + i])) for b in matcher.get_matching_blocks() for i in range(b.size)]
    left, right = {one for one, _ in kept}, {one for _, one in kept}
    return (
        tuple(replace(word, same=not word.meant or id(word) in left) for word in gold),
        tuple(replace(word, same=not word.meant or id(word) in right) for word in answer),
    )


def _place(
    key: tuple[str, int], mine: Mapping[tuple[str, int], object], other: Mapping[tuple[str, int], object]
) -> int:
    order = ["SQL", *_SETS, *[name for name in dict.fromkeys(_STARTS.values()) if name not in _SETS]]
    return order.index(key[0])
