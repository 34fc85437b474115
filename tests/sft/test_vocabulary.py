"""The word lists are large, consistent, and give identifiers that SQLite takes without quotes."""

from __future__ import annotations

import random
import re
import sqlite3
from collections import Counter

import pytest

from sft.pretraining.vocabulary import (
    ATTRIBUTES,
    BRIDGE_PHRASES,
    ENTITIES,
    KINDS,
    LINK_PHRASES,
    NAMINGS,
    POOLS,
    ROLE_PAIRS,
    TITLES,
    Kind,
    Naming,
    clash,
    column_name,
    compose_names,
    key_name,
    parent_key_name,
    plural,
    table_name,
)

IRREGULAR = (
    "bought",
    "bred",
    "built",
    "drove",
    "led",
    "lost",
    "made",
    "sent",
    "sold",
    "taught",
    "took",
    "won",
    "wrote",
)


def test_the_lists_are_large_enough_for_thousands_of_domains() -> None:
    assert len(ENTITIES) >= 250 and len(ATTRIBUTES) >= 300 and len(POOLS) >= 60
    assert len(LINK_PHRASES) >= 60 and len(BRIDGE_PHRASES) >= 50
    for kind in KINDS:
        assert sum(e.kind == kind for e in ENTITIES) >= 25, kind
        suited = Counter(a.column.kind for a in ATTRIBUTES if kind in a.suits)
        assert suited["number"] >= 10 and suited["category"] >= 8 and suited["flag"] >= 5, (kind, suited)
        assert suited["year"] + suited["date"] >= 4, (kind, suited)


def test_no_noun_names_two_entities() -> None:
    assert [n for n, count in Counter(e.name for e in ENTITIES).items() if count > 1] == []
    assert all(len(e.one) == len(e.many) for e in ENTITIES)


def test_plurals_follow_the_spelling_of_the_noun() -> None:
    assert [plural(n) for n in ("city", "toy", "church", "bus", "art gallery")] == [
        "cities", "toys", "churches", "buses", "art galleries",
    ]  # fmt: skip


def test_every_attribute_has_words_and_values() -> None:
    for attribute in ATTRIBUTES:
        column = attribute.column
        assert bool(attribute.suits) != attribute.bridge, column.name
        assert column.words and all(column.words), column.name
        assert not any(set(value) & set("\"'`;%") for value in column.pool), column.name
        if column.kind in ("number", "year", "date"):
            assert column.high - column.low >= 2 * column.step > 0, column.name
        if column.kind == "category":
            assert len(column.pool) >= 2 and column.adjective in ("", "{}"), column.name


def test_columns_clash_when_a_word_could_mean_either() -> None:
    by_name = {a.column.name: a.column for a in ATTRIBUTES}
    assert clash(by_name["salary"], by_name["wage"])  # both have a "best paid"
    assert clash(by_name["gender"], by_name["sex"])
    assert not clash(by_name["salary"], by_name["age"])


def test_every_pair_of_kinds_can_be_joined_through_a_bridge_and_most_by_a_key() -> None:
    bridged = {(left, right) for phrase in BRIDGE_PHRASES for left in phrase.left for right in phrase.right}
    linked = {(child, parent) for phrase in LINK_PHRASES for child in phrase.child for parent in phrase.parent}
    assert len(bridged) == len(KINDS) ** 2
    assert len(linked) >= 35


def test_phrases_have_one_gap_and_fit_one_and_many() -> None:
    phrases = [p for row in LINK_PHRASES for p in (*row.of_parent, *row.has_child)]
    phrases += [p for row in ROLE_PAIRS for p in (*row.of_parent, *row.has_child)]
    phrases += [p for row in BRIDGE_PHRASES for p in (*row.left_verb, *row.right_verb)]
    assert [p for p in phrases if p.count("{}") != 1] == []
    # "the agent who sell" would be wrong and "the agent who sold" is not: after who and that, the past tense only
    verbs = [m.group(1) for m in (re.match(r"(?:who|that) (\w+)", p) for p in phrases) if m]
    assert [verb for verb in verbs if not (verb.endswith("ed") or verb in IRREGULAR)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_distinct_complete_and_repeatable(kind: Kind) -> None:
    for seed in range(40):
        names = compose_names(kind, 60, random.Random(seed))
        assert len(set(names)) == 60
        assert not any(set(name) & set("{}'\"") for name in names)
        assert names == compose_names(kind, 60, random.Random(seed))


@pytest.mark.parametrize("naming", NAMINGS, ids=lambda n: n.name)
def test_sqlite_takes_every_spelling_without_quotes(naming: Naming) -> None:
    connection = sqlite3.connect(":memory:")
    for index, entity in enumerate(ENTITIES):
        keys = [key_name(naming, entity.name), parent_key_name(naming, "zone"), parent_key_name(naming, "zone", "home")]
        titles = [column_name(naming, title, entity.name) for title, _ in TITLES[entity.kind]]
        # a slice of all attributes per entity: over all entities each is met several times
        columns = [column_name(naming, a.column.name, entity.name) for a in ATTRIBUTES[index % 10 :: 10]]
        distinct = {name.lower(): name for name in (*keys, *titles, *columns)}.values()
        table = table_name(naming, entity.one[0], entity.many[0])
        connection.execute(f"CREATE TABLE {table} ({', '.join(f'{name} TEXT' for name in distinct)})")
        connection.execute(f"SELECT T1.{', T1.'.join(distinct)} FROM {table} AS T1").fetchall()
        connection.execute(f"DROP TABLE {table}")
