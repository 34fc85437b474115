"""A prompt style, and the schema text that it makes of a database and a question.

A style is one word, such as it stands in a config and beside an adapter: BASE[-keys][+graph][+linked]

    BASE      compact | ddl | mschema: a function of graph.linearize.STYLES; or package.module:function, from outside
    -keys     without the foreign keys: what a model is told that gets no graph at all
    +graph    the joins, declared then inferred, and all shortest join paths between the tables that the question names
    +linked   only the tables and columns that the question may be about, see graph.link
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, islice

import networkx

from graph.budget import within
from graph.build import Join, schema_graph
from graph.linearize import STYLES, Labels, identifier, join_condition
from graph.link import Linked, Linker, subschema
from graph.paths import join_paths
from graph.reference import is_reference, load
from graph.schema import Schema
from graph.values import with_examples

Values = Mapping[tuple[str, str], Sequence[str]]
MOST_PATHS = 8
EXAMPLES = 3


@dataclass(frozen=True)
class PromptStyle:
    """One prompt style; `str` is its word.

    >>> PromptStyle.parse("mschema+graph"), str(PromptStyle.parse("compact+linked"))
    (PromptStyle(base='mschema', keys=True, graph=True, linked=False), 'compact+linked')
    """

    base: str = "compact"
    keys: bool = True
    graph: bool = False
    linked: bool = False

    @classmethod
    def parse(cls, word: str) -> PromptStyle:
        """ValueError when the word is no style."""
        left = word
        linked, left = left.endswith("+linked"), left.removesuffix("+linked")
        graph, left = left.endswith("+graph"), left.removesuffix("+graph")
        keys, base = not left.endswith("-keys"), left.removesuffix("-keys")
        if is_reference(base):
            load(base)
        if (base not in STYLES and not is_reference(base)) or not (keys or not graph):
            raise ValueError(
                f"must be BASE, BASE+graph, BASE+linked or BASE+graph+linked, BASE one of {', '.join(STYLES)} or "
                "package.module:function; or BASE-keys, BASE-keys+linked, without the joins that a graph adds; got "
                f"{word!r}"
            )
        return cls(base, keys, graph, linked)

    def __str__(self) -> str:
        return self.base + "-keys" * (not self.keys) + "+graph" * self.graph + "+linked" * self.linked

    @property
    def per_question(self) -> bool:
        """Whether two questions about one database may get different schema texts."""
        return self.graph or self.linked

    @property
    def needs_values(self) -> bool:
        """Whether cells of the database shape the text."""
        return self.per_question or self.shows_examples

    @property
    def shows_examples(self) -> bool:
        """Whether the text may hold example values; of a style from outside nobody knows."""
        return self.base == "mschema" or is_reference(self.base)


class PromptWriter:
    """The schema texts of one database in one style; what does not depend on the question is done once.

    values: `graph.values.sample_values` of the database, where the style needs them.
    """

    def __init__(
        self, schema: Schema, style: PromptStyle, values: Values | None = None, labels: Labels | None = None
    ) -> None:
        self.style, self.labels = style, labels or Labels()
        self._values = {end: tuple(cells) for end, cells in (values or {}).items()}
        shown = any(column.examples for table in schema.tables for column in table.columns)
        bare = style.shows_examples and not shown
        self.schema = with_examples(schema, self._values, EXAMPLES) if bare else schema

    @cached_property
    def graph(self) -> networkx.MultiGraph:
        return schema_graph(self.schema, values={end: frozenset(cells) for end, cells in self._values.items()})

    @cached_property
    def _joins(self) -> list[Join]:
        """Declared ones first, as the schema has them."""
        found = [join for _, _, join in self.graph.edges(keys=True) if join]
        place = {key: number for number, key in enumerate(self.schema.foreign_keys)}
        return sorted(found, key=lambda join: place.get(join.key, len(place)))

    @cached_property
    def linker(self) -> Linker:
        return Linker(self.schema, self._values, self.graph)

    def schema_text(self, question: str, evidence: str = "", fits: Callable[[str], bool] | None = None) -> str:
        """The text for this question. Where `fits` says that it is too long, the least relevant columns are left out,
        until it fits or a single column is left."""
        if not self.style.per_question and (fits is None or fits(self._whole)):
            return self._whole
        linked = self.linker.link(question, evidence)
        schema = self.schema
        if self.style.linked:
            schema = subschema(schema, linked.tables, linked.columns)
        text = self._write(schema, linked)
        if fits is None or fits(text):
            return text
        return self._write(within(schema, linked.scores, lambda part: fits(self._write(part, linked))), linked)

    @cached_property
    def _whole(self) -> str:
        return self._write(self.schema, None)

    def _write(self, schema: Schema, linked: Linked | None) -> str:
        shown = schema if self.style.keys and not self.style.graph else replace(schema, foreign_keys=())
        style = load(self.style.base) if is_reference(self.style.base) else STYLES[self.style.base]
        lines = [style(shown, self.labels)]
        if self.style.graph and linked is not None:
            joins = [join for join in self._joins if _within(join, schema)]
            if joins:
                lines += [self.labels.joins, *map(_join_line, joins)]
            paths = [_path_line(*path) for path in islice(self._paths(linked, schema), MOST_PATHS)]
            if paths:
                lines += [self.labels.paths, *paths]
        return "\n".join(lines)

    def _paths(self, linked: Linked, schema: Schema) -> Iterator[tuple[str, str, Sequence[Join]]]:
        for source, target in combinations(linked.sure, 2):
            for path in join_paths(self.graph, source, target, MOST_PATHS):
                if all(_within(join, schema) for join in path):
                    yield source, target, path


def _within(join: Join, schema: Schema) -> bool:
    """Whether both sides of the join are shown."""
    shown = {table.name: {column.name for column in table.columns} for table in schema.tables}
    sides = ((join.key.table, join.key.columns), (join.key.parent, join.key.parent_columns))
    return all(table in shown and shown[table].issuperset(columns) for table, columns in sides)


def _join_line(join: Join) -> str:
    return join_condition(join.key) + " (inferred)" * (join.kind == "inferred")


def _path_line(source: str, target: str, path: Sequence[Join]) -> str:
    conditions = " AND ".join(join_condition(join.key) for join in path)
    return f"{identifier(source)}, {identifier(target)}: {conditions}"
