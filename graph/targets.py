"""What a column may point to: the tables' keys looked up by name, and what sampled cells say of such a guess."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graph.schema import Column, Schema, Table

# (table, column) -> distinct cells as text, a bounded sample; names as the schema spells them.
Values = Mapping[tuple[str, str], frozenset[str]]

# Names that say nothing about what they identify.
_ANONYMOUS = frozenset({"id", "name", "code", "key", "no", "number", "type", "date", "year", "title", "description"})
_IDENTIFYING = ("id", "code", "key")
# Tuned on Spider's training databases.
_FEWEST_CELLS = 3
_MOST_CELLS_FOUND = 0.9
_FEW_CELLS_FOUND = 0.5
# A word that more tables share, as a prefix of their names or as their keys' name, tells none of them.
_MOST_ALIKE = 8


@dataclass(frozen=True)
class Target:
    """The single-column key of a table."""

    table: str
    column: Column

    def names(self, column: str) -> bool:
        """Whether a column of this name is named after the table: "song_id", "SongID" and "songs_id" for songs."""
        plural = letters(self.table)
        return letters(column) in {stem + ending for stem in (plural, singular(plural)) for ending in _IDENTIFYING}


class Targets:
    """The keys of a schema's tables, by what a column that points to them is called."""

    def __init__(self, schema: Schema) -> None:
        self._named: dict[str, list[Target]] = {}
        self._resembling: dict[str, list[Target]] = {}
        self._titled: dict[str, list[Target]] = {}
        self._keys: set[tuple[str, str]] = set()
        for target in _keys(schema):
            self._keys.add((target.table, target.column.name))
            for name in _names_for(target):
                self._named.setdefault(name, []).append(target)
            for stem in _stems_for(target):
                self._resembling.setdefault(stem, []).append(target)
            for name in _table_names(target):
                self._titled.setdefault(name, []).append(target)

    def named(self, table: str, column: str) -> list[Target]:
        """Keys of other tables that the column's whole name names; [] for a table's own key: others point to it."""
        found = self._named.get(letters(column), [])
        if any(target.table == table and target.column.name == column and target.names(column) for target in found):
            return []
        if len(found) > _MOST_ALIKE:
            found = [target for target in found if target.names(column)]
        return [target for target in found if target.table != table]

    def resembling(self, table: str, column: str) -> list[Target]:
        """Keys of other tables whose name, or whose table's, shares its first or last words with …_id, _code, _key.

        Also the key of a table that the column's last words spell out: winning_pilot, of pilot.
        [] for a table's own key: order_items.order_item_id numbers items, and is no order_id.
        """
        if (table, column) in self._keys:
            return []
        alike = [self._resembling.get(stem, []) for stem in _ends_of(_stem(column))]
        words = name_words(column)
        alike += [self._titled.get("".join(words[at:]), []) for at in range(len(words))]
        found = dict.fromkeys(target for targets in alike if len(targets) <= _MOST_ALIKE for target in targets)
        return [target for target in found if target.table != table]


class Cells:
    """How many of a column's cells a target holds. Samples below _FEWEST_CELLS say nothing."""

    def __init__(self, values: Values) -> None:
        self._values = values
        # A sample as large as the largest may have been cut off there: what it lacks says nothing.
        self._cut = max(map(len, values.values()), default=0)

    def allow(self, table: str, column: str, target: Target) -> bool:
        """False when enough cells of both are known and the target holds few of the column's."""
        parent = self._values.get((target.table, target.column.name), frozenset())
        share = self._share(table, column, target)
        return share is None or len(parent) == self._cut or share >= _FEW_CELLS_FOUND

    def confirm(self, table: str, column: str, target: Target) -> bool:
        """True when enough cells of both are known and the target holds nearly all of the column's."""
        return (self._share(table, column, target) or 0) >= _MOST_CELLS_FOUND

    def best(self, table: str, column: str, targets: list[Target]) -> list[Target]:
        """The targets that hold the largest share; all when nothing is known."""
        shares = [self._share(table, column, target) or 0 for target in targets]
        return [target for target, share in zip(targets, shares, strict=True) if share == max(shares)]

    def _share(self, table: str, column: str, target: Target) -> float | None:
        child = self._values.get((table, column), frozenset())
        parent = self._values.get((target.table, target.column.name), frozenset())
        if min(len(child), len(parent)) < _FEWEST_CELLS:
            return None
        return len(child & parent) / len(child)


def _keys(schema: Schema) -> Iterator[Target]:
    """The key of each table that has one of one column; where none is declared, the column named after the table."""
    for table in schema.tables:
        keys = [column for column in table.columns if column.primary_key] or _undeclared_key(table)
        if len(keys) == 1:
            yield Target(table.name, keys[0])


def _undeclared_key(table: Table) -> list[Column]:
    return [column for column in table.columns if Target(table.name, column).names(column.name)]


def _names_for(target: Target) -> list[str]:
    """What a column that points to this key may be called, letters and digits only."""
    key, plural = letters(target.column.name), letters(target.table)
    names = [plural + key, singular(plural) + key]
    return list(dict.fromkeys(names if key in _ANONYMOUS else [*names, key]))


def _table_names(target: Target) -> list[str]:
    plural = letters(target.table)
    return list(dict.fromkeys([plural, singular(plural)]))


def _stems_for(target: Target) -> list[str]:
    table = name_words(target.table)
    stems = [*_ends_of(table), *_ends_of([*table[:-1], singular(table[-1])] if table else [])]
    return list(dict.fromkeys([*stems, "".join(_stem(target.column.name))]))


def _stem(column: str) -> list[str]:
    """The words of …_id, …_code, …_key before that ending; [] for any other name.

    >>> _stem("HostCity_ID_2"), _stem("name"), _stem("dst_apid")
    (['host', 'city'], [], ['dst', 'ap'])
    """
    words = [word for word in name_words(column) if not word.isdigit()]
    for ending in _IDENTIFYING:
        if words and words[-1].endswith(ending):
            return [word for word in (*words[:-1], words[-1].removesuffix(ending)) if word]
    return []


def name_words(name: str) -> list[str]:
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", " ", name).split()
    return [part.casefold() for part in parts]


def _ends_of(words: list[str]) -> list[str]:
    """The first words together, and the last ones, of every length.

    >>> _ends_of(["third", "party", "company"])
    ['third', 'thirdparty', 'thirdpartycompany', 'partycompany', 'company']
    """
    places = range(1, len(words) + 1)
    return ["".join(words[:place]) for place in places] + ["".join(words[place:]) for place in places[:-1]]


def letters(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def singular(name: str) -> str:
    for plural, single in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("ss", "ss"), ("s", "")):
        if name.endswith(plural):
            return name.removesuffix(plural) + single
    return name
