"""The hand-written domains keep the promises that the question grammar rests on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest
import sqlglot

from evaluation.tiny.domain import Column, Domain, Table
from evaluation.tiny.domains import DOMAINS

PAST = ("took", "wrote", "made", "held", "saw", "won", "taught", "bought")
each_domain = pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.name)


def repeated(items: Iterable[object]) -> list[object]:
    return [item for item, count in Counter(items).items() if count > 1]


def columns_of(domain: Domain) -> list[tuple[Table, Column]]:
    return [(table, column) for table in domain.tables for column in table.columns]


def phrases_of(domain: Domain) -> list[str]:
    links = [p for link in domain.links for p in (*link.of_parent, *link.has_child)]
    return links + [p for bridge in domain.bridges for p in (*bridge.left_verb, *bridge.right_verb)]


def depth(domain: Domain, table: str) -> int:
    """Foreign keys on the longest walk upwards from a table."""
    return max((1 + depth(domain, link.parent) for link in domain.links if link.child == table), default=0)


@each_domain
def test_identifiers_are_short_snake_case_and_name_one_thing(domain: Domain) -> None:
    assert not repeated(table.name for table in domain.tables)
    for table in domain.tables:
        names = [column.name for column in table.columns]
        assert not repeated(names), table.name
        assert all(re.fullmatch(r"[a-z][a-z_]{1,17}", name) for name in [table.name, *names]), names
        sql = f"SELECT t.{', '.join(names)} FROM {table.name} AS t ORDER BY {', '.join(names)}"
        assert sqlglot.parse_one(sql, dialect="sqlite").sql("sqlite") == sql, "an identifier would need quotes"


@each_domain
def test_tables_hold_id_then_foreign_keys_then_the_rest(domain: Domain) -> None:
    for table in domain.tables:
        kinds = [column.kind for column in table.columns]
        order = {"id": 0, "fk": 1}
        assert kinds == sorted(kinds, key=lambda kind: order.get(kind, 2)), table.name
        if table.bridge:
            assert kinds.count("fk") == 2 and "id" not in kinds and "name" not in kinds, table.name
        else:
            assert kinds.count("id") == kinds.count("name") == 1 and table.columns[0].name == f"{table.name}_id"
            assert 2 <= len(kinds) - kinds.count("fk") - 2 <= 5, table.name
        assert len(table.one) == len(table.many) >= 1 and 12 <= table.rows <= 60, table.name


@each_domain
def test_every_foreign_key_has_one_link_to_an_entity(domain: Domain) -> None:
    keys = [(table.name, column.name) for table, column in columns_of(domain) if column.kind == "fk"]
    assert sorted(keys) == sorted((link.child, link.fk) for link in domain.links)
    for link in domain.links:
        assert not domain.table(link.parent).bridge
        said = bool(link.of_parent) and bool(link.has_child)
        assert said != domain.table(link.child).bridge, link


@each_domain
def test_every_bridge_table_joins_two_entities_by_its_own_keys(domain: Domain) -> None:
    assert [b.table for b in domain.bridges] == [t.name for t in domain.tables if t.bridge]
    parents = {(link.child, link.fk): link.parent for link in domain.links}
    for bridge in domain.bridges:
        assert parents[bridge.table, bridge.left_fk] == bridge.left
        assert parents[bridge.table, bridge.right_fk] == bridge.right
        assert domain.table(bridge.left).rows * domain.table(bridge.right).rows > domain.table(bridge.table).rows


@each_domain
def test_phrases_have_one_gap_and_say_one_thing(domain: Domain) -> None:
    assert all(phrase.count("{}") == 1 for phrase in phrases_of(domain))
    both_sides = [(link.child, link.parent, p) for link in domain.links for p in (*link.of_parent, *link.has_child)]
    assert not repeated(both_sides)


@each_domain
def test_phrases_read_right_after_one_and_after_many(domain: Domain) -> None:
    """Past tense and participles: "the agent selling", "agents selling", never "the agent who sell"."""
    verbs = [m.group(1) for m in (re.match(r"(?:who|that) (\w+)", p) for p in phrases_of(domain)) if m]
    assert [verb for verb in verbs if not (verb.endswith("ed") or verb in PAST)] == []


@each_domain
def test_a_value_tells_its_column(domain: Domain) -> None:
    values = [value.lower() for _, column in columns_of(domain) for value in column.pool]
    assert not repeated(values)
    assert not any(re.search(r"[\"'`;%_]", value) or value != value.strip() for value in values)


@each_domain
def test_pools_are_large_enough_and_ranges_wide_enough(domain: Domain) -> None:
    for table, column in columns_of(domain):
        at = f"{table.name}.{column.name}"
        assert 0.0 <= column.nullable <= 0.3, at
        assert column.kind in ("id", "fk") or column.words, at
        if column.kind == "name":
            assert len(column.pool) >= table.rows, at
        elif column.kind == "category":
            assert 4 <= len(column.pool) <= 8 and column.adjective in ("", "{}"), at
        elif column.kind in ("number", "year", "date"):
            assert column.high - column.low >= 2 * column.step > 0 and not column.pool, at


@each_domain
def test_no_word_of_a_table_means_two_columns(domain: Domain) -> None:
    for table in domain.tables:
        assert not repeated(word for column in table.columns for word in column.words), table.name
        degrees = [d for c in table.columns for words in (c.more, c.less, c.most, c.least) for d in words]
        assert not repeated(degrees), table.name
    nouns = [noun for table in domain.tables for noun in zip(table.one, table.many, strict=True)]
    assert not repeated(nouns)


def test_the_domains_offer_bridges_chains_and_parallel_keys() -> None:
    assert len(DOMAINS) == 12 and [d.name for d in DOMAINS] == sorted({d.name for d in DOMAINS})
    assert all(3 <= len(domain.tables) <= 5 for domain in DOMAINS)
    assert sum(bool(domain.bridges) for domain in DOMAINS) >= 9
    assert sum(any(depth(d, t.name) >= 2 for t in d.tables if not t.bridge) for d in DOMAINS) >= 7
    parallel = [d for d in DOMAINS if repeated((link.child, link.parent) for link in d.links)]
    assert 1 <= len(parallel) <= 2
