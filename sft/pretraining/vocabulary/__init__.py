"""Word lists from which sft/pretraining/corpus.py makes thousands of random domains for pre-training.

    ENTITIES        Entity(name, one, many, kind): nouns for tables; kind is person, group, place, thing, work (has an
                    author or a title), event or record (has a code: an invoice, a booking)
    ATTRIBUTES      Attribute(column, suits, bridge): ready `evaluation.tiny.domain.Column`s with words, ranges, pools,
                    comparatives; `suits` lists the kinds of entity that may carry it; `bridge` marks those for bridge
                    tables. Draw columns of one table so that no two `clash(a, b)`.
    POOLS           pool name -> category values (already inside the columns)
    TITLES          kind -> choices of (column name, words) for the column that names a row
    compose_names(kind, count, rng)   distinct proper names for that column's pool
    LINK_PHRASES    LinkPhrase(of_parent, has_child, child kinds, parent kinds): fits when child.kind is in `child` and
                    parent.kind in `parent`
    ROLE_PAIRS      RolePair(roles, of_parent, has_child, child, parent): two foreign keys to one parent, a phrase each
    BRIDGE_PHRASES  BridgePhrase(left_verb, right_verb, left, right, names): `names` are words for the bridge table;
                    "{left}_{right}" and "{left}_in_{right}" are as usual
                    (keep them in the singular: "likes"). One phrase fits all kinds ("related to"); prefer another.
    NAMINGS         Naming: how identifiers are spelled; draw one per domain by `weight` and pass every name of the
                    domain through table_name, column_name, key_name, parent_key_name. A naming may map two columns to
                    one identifier: check within each table, without case.

A domain: draw 2 to 5 entities of different names, join each to an earlier one by a fitting LinkPhrase, RolePair or
BridgePhrase, draw a title, 2 to 5 attributes each, then spell the identifiers. Conventions for dates, flags and
adjectives are those of evaluation/tiny/domains. The words are common ones: short queries (SELECT count(*) FROM singer)
can coincide with a benchmark's, so the corpus has to drop whatever equals a dev question or query.
"""

from sft.pretraining.vocabulary.attributes import ATTRIBUTES, Attribute, clash
from sft.pretraining.vocabulary.entities import ENTITIES, KINDS, Entity, Kind, plural
from sft.pretraining.vocabulary.identifiers import (
    NAMINGS,
    Naming,
    column_name,
    key_name,
    parent_key_name,
    table_name,
)
from sft.pretraining.vocabulary.names import TITLES, compose_names
from sft.pretraining.vocabulary.phrases import (
    BRIDGE_PHRASES,
    LINK_PHRASES,
    ROLE_PAIRS,
    BridgePhrase,
    LinkPhrase,
    RolePair,
)
from sft.pretraining.vocabulary.pools import POOLS

__all__ = [
    "ATTRIBUTES",
    "BRIDGE_PHRASES",
    "ENTITIES",
    "KINDS",
    "LINK_PHRASES",
    "NAMINGS",
    "POOLS",
    "ROLE_PAIRS",
    "TITLES",
    "Attribute",
    "BridgePhrase",
    "Entity",
    "Kind",
    "LinkPhrase",
    "Naming",
    "RolePair",
    "clash",
    "column_name",
    "compose_names",
    "key_name",
    "parent_key_name",
    "plural",
    "table_name",
]
