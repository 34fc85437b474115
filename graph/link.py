"""Question -> the tables and columns that it is about.

Every table and column gets the probability that the gold query names it, from how the words of its name, its cells and
its neighbours in the graph meet the question. The weights are those of a logistic regression on Spider's training
questions (`python -m tests.bench.tune_link`). What is kept is meant to miss little: all that is not unlikely, the keys,
and every bridge table on a shortest join path between the tables kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx

from graph import segment
from graph.build import Join, affinity, schema_graph
from graph.lexicon import COUNTING, DATING, HINTS, IDENTIFYING, MEASURING, NAMING, STOP, stem, sums
from graph.link_weights import COLUMN_WEIGHTS, TABLE_WEIGHTS
from graph.paths import connecting_tables
from graph.schema import Column, Schema, Table

End = tuple[str, str]  # (table, column), spelled as the schema does
Values = Mapping[End, Sequence[str]]

# Chosen on Spider's training questions.
TABLE_FLOOR = 0.06
COLUMN_FLOOR = 0.02
SURE = 0.5
_LONGEST_CELL_WORDS = 6
_SHORTEST_PREFIX = 4


@dataclass(frozen=True)
class Linked:
    """What a question is about; everything in the order of the schema.

    tables, columns: what is kept, bridge tables and keys included. sure: the tables that the question most likely
    names. scores: of every table (table,) and column (table, column), the probability that the query names it.
    matched: False when no word of the question met the schema: then all is kept.
    """

    tables: tuple[str, ...]
    columns: tuple[End, ...]
    sure: tuple[str, ...]
    scores: Mapping[tuple[str, ...], float]
    matched: bool = True


# Rows of tables, rows of columns, the probability of each.
Features = tuple[dict[str, tuple[float, ...]], dict[End, tuple[float, ...]], dict[tuple[str, ...], float]]


class Linker:
    """The links of one database; what does not depend on the question is done once.

    >>> a = Table("singer", (Column("id", "INT", True), Column("age", "INT"), Column("hometown", "TEXT")))
    >>> b = Table("stadium", (Column("id", "INT", True), Column("capacity", "INT"), Column("opened", "INT")))
    >>> Linker(Schema("s", (a, b))).link("What is the age of each singer?").sure
    ('singer',)
    """

    def __init__(self, schema: Schema, values: Values | None = None, graph: networkx.MultiGraph | None = None) -> None:
        self.schema = schema
        self.graph = schema_graph(schema) if graph is None else graph
        self._joins: tuple[Join, ...] = tuple(join for _, _, join in self.graph.edges(keys=True) if join)
        self._keys = {
            (table, column)
            for join in self._joins
            for table, columns in ((join.key.table, join.key.columns), (join.key.parent, join.key.parent_columns))
            for column in columns
        }
        neighbours = {table.name: set[str]() for table in schema.tables}
        for join in self._joins:
            neighbours[join.key.table].add(join.key.parent)
            neighbours[join.key.parent].add(join.key.table)
        self._neighbours = {name: tuple(sorted(found - {name})) for name, found in neighbours.items()}
        self._facts = {join.key.table for join in self._joins}
        names = [name for table in schema.tables for name in (table.name, *(c.name for c in table.columns))]
        self._segmenter = segment.Segmenter(names, (cell for cells in (values or {}).values() for cell in cells))
        self._tables = [_NamedTable(table, self._keys, self._segmenter) for table in schema.tables]
        self._summed = {(t.name, c.name) for t in self._tables for c in t.columns if c.summed}
        self._vocabulary = _Vocabulary(self._tables)
        self._cells = _CellIndex(values or {})

    def link(
        self, question: str, evidence: str = "", table_floor: float = TABLE_FLOOR, column_floor: float = COLUMN_FLOOR
    ) -> Linked:
        """The floors are the least probabilities that a table and a column are kept at."""
        tables, columns, scores = self.features(f"{question} {evidence}")
        if not scores:
            return _all(self.schema)
        sure = tuple(t.name for t in self.schema.tables if scores[(t.name,)] >= SURE)
        best = max(self.schema.tables, key=lambda t: scores[(t.name,)]).name
        likely = [t.name for t in self.schema.tables if scores[(t.name,)] >= table_floor] or [best]
        kept = connecting_tables(self.graph, likely)
        asked_of = self._facts.intersection(kept if sums(question) else ())
        columns_kept = self._kept_columns(set(kept), asked_of, scores, column_floor)
        return Linked(kept, tuple(columns_kept), sure or (best,), scores)

    def features(self, text: str) -> Features:
        """Features of tables and columns, and the probabilities that follow; all empty when no word met the schema."""
        asked = _Question(self._segmenter.words(text))
        met = self._vocabulary.met(asked)
        cells, numbers = self._cells.found_in(asked)
        if not met and not cells:
            return {}, {}, {}
        match = {table.name: _TableMatch(table, met, self._vocabulary, asked, cells, numbers) for table in self._tables}
        count = len(self._tables)
        of_tables = {name: m.features(self._around(name, match), count) for name, m in match.items()}
        first = {name: _probability(TABLE_WEIGHTS, row) for name, row in of_tables.items()}
        scores: dict[tuple[str, ...], float] = {(name,): score for name, score in first.items()}
        of_columns: dict[End, tuple[float, ...]] = {}
        for name, found in match.items():
            for column, row in found.column_features(first[name], asked):
                of_columns[name, column] = row
                scores[name, column] = _probability(COLUMN_WEIGHTS, row)
        return of_tables, of_columns, scores

    def _around(self, name: str, match: Mapping[str, _TableMatch]) -> list[_TableMatch]:
        return [match[other] for other in self._neighbours[name]]

    def _kept_columns(
        self, kept: set[str], facts: set[str], scores: Mapping[tuple[str, ...], float], floor: float
    ) -> Iterable[End]:
        """facts: tables whose numbers a question may sum without naming them."""
        needed = {
            (table, column)
            for join in self._joins
            if join.key.table in kept and join.key.parent in kept
            for table, columns in ((join.key.table, join.key.columns), (join.key.parent, join.key.parent_columns))
            for column in columns
        }
        for table in self.schema.tables:
            if table.name in kept:
                for column in table.columns:
                    end = (table.name, column.name)
                    summed = table.name in facts and end in self._summed
                    if column.primary_key or end in needed or summed or scores[end] >= floor:
                        yield end


def subschema(schema: Schema, tables: Iterable[str], columns: Iterable[End]) -> Schema:
    """The schema with these tables and columns only, and the foreign keys among them.

    A table whose columns were all left out keeps its first: no query can name a table without.
    """
    tables, columns = set(tables), set(columns)
    kept = []
    for table in schema.tables:
        if table.name in tables:
            left = tuple(c for c in table.columns if (table.name, c.name) in columns) or table.columns[:1]
            kept.append(replace(table, columns=left))
    present = {(table.name, column.name) for table in kept for column in table.columns}
    keys = tuple(
        key
        for key in schema.foreign_keys
        if {(key.table, c) for c in key.columns} | {(key.parent, c) for c in key.parent_columns} <= present
    )
    return Schema(schema.name, tuple(kept), keys)


class _Question:
    """stems: of its words; runs: its words written together, two and three at a time; text: for cells."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.stems = {stem(word) for word in self.words} - STOP
        two = zip(self.words, self.words[1:], strict=False)
        three = zip(self.words, self.words[1:], self.words[2:], strict=False)
        self.runs = {"".join(run) for run in (*two, *three)} | set(self.words)
        self.hinted = {hint for said in self.stems for hint in HINTS.get(said, ())}
        self.counts = bool(self.stems & COUNTING)
        self.measures = bool(self.stems & MEASURING)


class _Vocabulary:
    """The stems of a schema's names, and how common each is."""

    def __init__(self, tables: Sequence[_NamedTable]) -> None:
        self.holders: dict[str, int] = {}
        for table in tables:
            for name in (table.stems, *(column.stems for column in table.columns)):
                for part in set(name):
                    self.holders[part] = self.holders.get(part, 0) + 1
        self._starting: dict[str, list[str]] = {}
        for part in self.holders:
            for end in range(_SHORTEST_PREFIX, len(part)):
                self._starting.setdefault(part[:end], []).append(part)

    def met(self, asked: _Question) -> dict[str, float]:
        """How well each stem is met: 1 said, 0.6 one begins with the other, 0.4 hinted at; others are left out."""
        found = {hint: 0.4 for hint in asked.hinted if hint in self.holders}
        for said in asked.stems:
            for part in self._starting.get(said, ()):
                found[part] = 0.6
            for end in range(_SHORTEST_PREFIX, len(said)):
                if said[:end] in self.holders:
                    found[said[:end]] = 0.6
        found |= {said: 1.0 for said in asked.stems if said in self.holders}
        return found


class _CellIndex:
    """Text cells by their words, numbers as they are written -> the columns that hold them."""

    def __init__(self, values: Values) -> None:
        self._columns: dict[str, list[End]] = {}
        for end, cells in values.items():
            for cell in cells:
                parts = segment.plain_words(cell[:80])
                telling = len(parts) > 1 or any(len(part) > 1 or segment.unspaced(part) for part in parts)
                if telling and len(parts) <= _LONGEST_CELL_WORDS:
                    self._columns.setdefault(" ".join(parts), []).append(end)

    def found_in(self, asked: _Question) -> tuple[dict[End, float], set[End]]:
        """Columns with a text cell that the question holds, and how telling it is; columns with a number of it."""
        texts: dict[End, float] = {}
        numbers: set[End] = set()
        if not self._columns:
            return texts, numbers
        for length in range(1, _LONGEST_CELL_WORDS + 1):
            for start in range(len(asked.words) - length + 1):
                phrase = " ".join(asked.words[start : start + length])
                ends = self._columns.get(phrase)
                if not ends or (length == 1 and stem(phrase) in STOP):
                    continue
                if phrase.isdigit():
                    numbers.update(ends)
                else:
                    for end in ends:
                        texts[end] = max(texts.get(end, 0.0), 1.0 / math.sqrt(len(ends)))
        return texts, numbers


class _NamedColumn:
    def __init__(self, column: Column, table: Table, is_key: bool, names: segment.Segmenter) -> None:
        self.name, self.squashed = column.name, segment.squashed(column.name)
        self.stems = tuple(dict.fromkeys(map(stem, names.name_words(column.name))))
        own = set(map(stem, names.name_words(table.name)))
        self.beyond = tuple(part for part in self.stems if part not in own) or self.stems
        self.naming = bool(set(self.stems) & NAMING)
        self.identifying = bool(set(self.stems) & IDENTIFYING)
        self.primary, self.key = column.primary_key, is_key
        self.number = affinity(column.type) == "NUMBER"
        self.summed = self.number and not (is_key or self.identifying or set(self.stems) & DATING)


class _NamedTable:
    def __init__(self, table: Table, keys: set[End], names: segment.Segmenter) -> None:
        self.name, self.squashed = table.name, segment.squashed(table.name)
        self.stems = tuple(dict.fromkeys(map(stem, names.name_words(table.name))))
        self.columns = [_NamedColumn(c, table, (table.name, c.name) in keys, names) for c in table.columns]


class _TableMatch:
    """How one table meets one question."""

    def __init__(
        self,
        table: _NamedTable,
        met: Mapping[str, float],
        vocabulary: _Vocabulary,
        asked: _Question,
        cells: Mapping[End, float],
        numbers: set[End],
    ) -> None:
        self.table = table
        self.share = _share(table.stems, met, None)
        self.whole = float(self.share == 1.0 or stem(table.squashed) in asked.stems or table.squashed in asked.runs)
        self.shares = [_share(c.beyond, met, None) for c in table.columns]
        self.weighted = [_share(c.beyond, met, vocabulary.holders) for c in table.columns]
        self.full = [
            float(share == 1.0 or c.squashed in asked.runs) for share, c in zip(self.shares, table.columns, strict=True)
        ]
        self.rare = [_rarest(c.beyond, met, vocabulary.holders) for c in table.columns]
        self.cells = [cells.get((table.name, c.name), 0.0) for c in table.columns]
        self.numbers = [float((table.name, c.name) in numbers) for c in table.columns]
        telling = [rare for rare, c in zip(self.rare, table.columns, strict=True) if not c.key]
        self.best_column = max(telling, default=0.0)
        self.columns_met = min(sum(telling), 3.0)
        self.best_cell = max(self.cells, default=0.0)

    def features(self, around: Sequence[_TableMatch], tables: int) -> tuple[float, ...]:
        """In the order of graph.link_weights.TABLE_WEIGHTS."""
        return (
            1.0,
            self.share,
            self.whole,
            self.best_column,
            self.columns_met,
            self.best_cell,
            max(self.numbers, default=0.0),
            1.0 / tables,
            max((other.whole for other in around), default=0.0),
            max((other.best_column for other in around), default=0.0),
            max((other.best_cell for other in around), default=0.0),
            math.log1p(len(around)),
            math.log1p(len(self.table.columns)),
            max(self.full, default=0.0),
        )

    def column_features(self, table_score: float, asked: _Question) -> Iterable[tuple[str, tuple[float, ...]]]:
        """In the order of graph.link_weights.COLUMN_WEIGHTS."""
        logit = math.log(max(table_score, 1e-6) / max(1 - table_score, 1e-6))
        size = 1.0 / len(self.table.columns)
        for place, column in enumerate(self.table.columns):
            yield (
                column.name,
                (
                    1.0,
                    self.shares[place],
                    self.full[place],
                    self.weighted[place],
                    self.rare[place],
                    self.cells[place],
                    self.numbers[place],
                    logit,
                    min(logit, 0.0),
                    float(column.primary),
                    float(column.key),
                    float(column.naming),
                    float(column.naming) * self.share,
                    float(column.identifying),
                    float(column.number and asked.measures),
                    float(column.number and asked.counts),
                    size,
                    float(self.shares[place] == max(self.shares)),
                ),
            )


def _share(parts: Sequence[str], met: Mapping[str, float], holders: Mapping[str, int] | None) -> float:
    """The share of a name's words that is met; with holders, rare words count more."""
    weights = [1.0 / holders[part] if holders else 1.0 for part in parts]
    whole = sum(weights)
    return sum(w * met.get(part, 0.0) for w, part in zip(weights, parts, strict=True)) / whole if whole else 0.0


def _rarest(parts: Sequence[str], met: Mapping[str, float], holders: Mapping[str, int]) -> float:
    return max((met.get(part, 0.0) / holders[part] for part in parts), default=0.0)


def _probability(weights: Mapping[str, float], row: Sequence[float]) -> float:
    total = sum(weight * value for weight, value in zip(weights.values(), row, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def _all(schema: Schema) -> Linked:
    ends = tuple((t.name, c.name) for t in schema.tables for c in t.columns)
    names = tuple(t.name for t in schema.tables)
    scores: dict[tuple[str, ...], float] = {(name,): 0.0 for name in names} | dict.fromkeys(ends, 0.0)
    return Linked(names, ends, (), scores, matched=False)
