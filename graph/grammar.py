"""A grammar of the queries that can be asked of one database: SELECT in SQLite's dialect, with the names of its schema.

    Schema → rules of names (tables, columns) + rules of the language, for joins and for each table alone → EBNF

The notation is that of GBNF, which xgrammar reads. Names and keywords are taken in any case, names quoted where they
must be. A column stands alone, after an alias (one letter and digits, as in `T1`), or after its own table's name.

Covered: joins, subqueries in every place, set operations, aggregates, CASE, CAST, common functions. Not covered: WITH,
window functions, names that a query gives to its own columns and refers to, save a few (NAMED). A query of one table
has that table's columns alone, where the schema is not large; in a join a grammar cannot know which table an alias
stands for, so that there `T1.x` may be a column of another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from graph.schema import Schema, fold

MOST_NAMES = 2_000
"""Tables and columns of a schema with a grammar; preparing a larger one for a vocabulary would take too long."""
MOST_ALONE = 12
"""Tables up to which a query of one of them has rules of its own: a reader follows all of them until FROM."""
NAMED = ("num", "cnt", "total", "n", "c", "result", "value")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_RESERVED = _words(
    "add all alter and as autoincrement between case check collate commit constraint create cross current_date "
    "current_time current_timestamp default deferrable delete distinct drop else escape except exists foreign "
    "from full group having if in index inner insert intersect into is isnull join left limit natural not "
    "nothing notnull null on or order outer primary references returning right select set table then to "
    "transaction union unique update using values when where"
)
_AGGREGATES = ("count", "sum", "avg", "min", "max", "total", "group_concat")
_FUNCTIONS = _words(
    "abs coalesce date datetime glob hex ifnull iif instr julianday length like lower ltrim nullif printf "
    "replace round rtrim strftime substr substring time trim typeof unicode upper"
)
_TYPES = _words("integer int real float double text varchar char numeric decimal date blob signed")

SHARED = r"""
root ::= w query w ";"? w
setop ::= {union} (s {all})? | {intersect} | {except}
limit ::= s {limit} s digits ((w "," w | s {offset} s) digits)?
newname ::= [A-Za-z_] [A-Za-z0-9_]{{0,30}} | "\"" label "\"" | "'" label "'"
label ::= [A-Za-z_] [A-Za-z0-9_ ]{{0,30}}
source ::= table (s ({as} s)? alias)? | derived
derived ::= "(" w query w ")" (s ({as} s)? alias)?
join ::= w "," w source | s joined s source (s {on} s cond | s {using} w "(" w column (w "," w column)* w ")")?
joined ::= ({natural} s)? ({left} s ({outer} s)? | {inner} s | {cross} s)? {join}
core ::= {select} items s {from} s {sources} (s {where} s cond)? group?
more ::= (s setop s any)+ order? limit?
compared ::= "=" | "==" | "!=" | "<>" | "<" | ">" | "<=" | ">="
number ::= digits ("." digits)?
digits ::= [0-9]{{1,18}}
string ::= "'" ([^'\n] | "''"){{0,120}} "'" | "\"" [^"\n]{{0,120}} "\""
alias ::= [A-Za-z] [0-9]{{0,2}}
s ::= [ \t\n]{{1,3}}
w ::= [ \t\n]{{0,3}}
""".strip()
SCOPED = r"""
items@ ::= (s {distinct} (s item@ | w paren@) | s ({all} s)? item@) (w "," w item@)*
item@ ::= "*" | (alias | table@) ".*" | cond@ (s {as} s newname)?
group@ ::= s {group} s {by} s cond@ (w "," w cond@)* (s {having} s cond@)?
order@ ::= s {order} s {by} s cond@ (s {asc} | s {desc})? (w "," w cond@ (s {asc} | s {desc})?)*
cond@ ::= pred@ (s ({and} | {or}) s pred@)*
pred@ ::= ({not} s)? ({exists} w "(" w query w ")" | expr@ test@?)
test@ ::= w compared w expr@ | s {is} s ({not} s)? {null} | s ({not} s)? {in} w set@
  | s ({not} s)? ({like} | {glob}) w expr@ | s ({not} s)? {between} s expr@ s {and} s expr@
set@ ::= "(" w (query | expr@ (w "," w expr@)*) w ")"
expr@ ::= term@ (w ("+" | "-" | "*" | "/" | "%" | "||") w term@)*
term@ ::= number | string | {null} | column@ | call@ | case@ | cast@ | paren@ | "-" w term@
paren@ ::= "(" w (query | cond@) w ")"
call@ ::= aggregate w "(" w ({distinct} w)? ("*" | expr@ (w "," w expr@)*) w ")"
  | function w "(" (w cond@ (w "," w cond@)*)? w ")"
case@ ::= {case} (s expr@)? (s {when} s cond@ s {then} s expr@)+ (s {else} s expr@)? s {end}
cast@ ::= {cast} w "(" w expr@ s {as} s type w ")"
one@ ::= core@ (order@? limit? | more)
""".strip()
JOINED = "(source join+ | derived join*)"  # where a query of one table has rules of its own
ALONE = "core@ ::= {select} items@ s {from} s table@ (s ({as} s)? alias)? (s {where} s cond@)? group@?"


@lru_cache(maxsize=64)
def grammar(schema: Schema) -> str:
    """The rules, the first of which is `root`; "" where the schema has no table or more names than MOST_NAMES."""
    tables = [table for table in schema.tables if table.columns]
    if not tables or sum(1 + len(table.columns) for table in tables) > MOST_NAMES:
        return ""
    places = range(len(tables))
    columns = {fold(column.name): column.name for table in tables for column in table.columns}
    alone = places if len(tables) <= MOST_ALONE else ()
    cores = ["core", *(f"core{place}" for place in alone)]
    own = " | ".join(f'table{place} "." name{place}' for place in places)
    rules = [
        _language(SHARED.replace("{sources}", JOINED if alone else "source join*")),
        f"query ::= {' | '.join(core.replace('core', 'one') for core in cores)}",
        f"any ::= {' | '.join(cores)}",
        f"aggregate ::= {_any(_AGGREGATES)}",
        f"function ::= {_any(_FUNCTIONS)}",
        f'type ::= {_any(_TYPES)} ("(" digits ")")?',
        _language(SCOPED).replace("@", ""),
        f'column ::= (alias ".")? name | {own} | {_any(NAMED)}',
        f"name ::= {_names(columns.values())}",
        f"table ::= {' | '.join(f'table{place}' for place in places)}",
    ]
    for place, table in enumerate(tables):
        if place in alone:
            rules.append(_language(f"{SCOPED}\n{ALONE}").replace("@", str(place)))
            rules.append(f'column{place} ::= ((alias | table{place}) ".")? name{place} | {_any(NAMED)}')
        rules.append(f"table{place} ::= {_names([table.name])}")
        rules.append(f"name{place} ::= {_names(column.name for column in table.columns)}")
    return "\n".join(rules) + "\n"


@lru_cache(maxsize=8)
def _language(text: str) -> str:
    """The text with its keywords in any case."""
    return text.format_map({word: _word(word) for word in re.findall(r"(?<!\{)\{([a-z]+)\}(?!\})", text)})


def _any(words: Iterable[str]) -> str:
    return f"({_tree([[_cased(character) for character in word] for word in words])})"


def _word(word: str) -> str:
    return " ".join(_cased(character) for character in word)


def _names(names: Iterable[str]) -> str:
    """Any of these, as they may be written: plain where that is allowed, and in quotes or backticks."""
    spelled = list(names)
    plain = [name for name in spelled if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED]
    found = [[_cased(character) for character in name] for name in plain]
    for mark in ('"', "`"):
        quoted = [name.replace(mark, mark * 2) for name in spelled]
        found += [[_literal(mark), *(_cased(character) for character in name), _literal(mark)] for name in quoted]
    return _tree(found)


def _tree(words: Sequence[Sequence[str]], depth: int = 0) -> str:
    """Alternatives that begin alike share their beginning, so that a reader never stands in more than one of them.

    >>> _tree([["a", "b"], ["a", "c"], ["d"]])
    'a (b | c) | d'
    """
    branches: dict[str, list[Sequence[str]]] = {}
    ends = False
    for word in words:
        if len(word) == depth:
            ends = True
        else:
            branches.setdefault(word[depth], []).append(word)
    found = [f"{head} {_group(below, depth + 1)}".rstrip() for head, below in branches.items()]
    return " | ".join(found + ['""'] * ends)


def _group(words: Sequence[Sequence[str]], depth: int) -> str:
    inner = _tree(words, depth)
    if inner == '""':
        return ""
    return f"({inner})" if len({tuple(word[depth : depth + 1]) for word in words}) > 1 else inner


def _cased(character: str) -> str:
    """A letter in any case, or the character itself."""
    if character.isascii() and character.isalpha():
        return f"[{character.upper()}{character.lower()}]"
    return _literal(character)


def _literal(character: str) -> str:
    return '"' + {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, character) + '"'
