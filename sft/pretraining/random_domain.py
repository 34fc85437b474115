"""Random domains from the word lists of `vocabulary`: databases that nobody designed, but that could exist."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table
from sft.pretraining.vocabulary import (
    ATTRIBUTES,
    BRIDGE_PHRASES,
    ENTITIES,
    KINDS,
    LINK_PHRASES,
    NAMINGS,
    ROLE_PAIRS,
    TITLES,
    Entity,
    Naming,
    clash,
    column_name,
    compose_names,
    key_name,
    parent_key_name,
    table_name,
)

SIZES = ((1, 0.06), (2, 0.24), (3, 0.34), (4, 0.24), (5, 0.12))  # entities of a domain, weights
PLAIN = 0.3  # share of domains in plain snake case, whatever the weights of the namings say
INVENTED = 0.1  # share of nouns, columns and names that are made up, so that spelling has to be copied
_ONSETS = [*"bcdfghjklmnprstvwz", *["br", "ch", "cl", "dr", "fl", "gr", "kr", "pl", "pr", "sh", "sk", "st", "th", "tr"]]
_VOWELS = [*"aeiouaeio", "ai", "ea", "oo", "ou"]
_CODAS = ["", "", "", *"lmnrstx", "nd", "rk", "st"]


@dataclass
class _Draft:
    """A domain while it grows. `keys`: foreign key columns per table."""

    naming: Naming
    rng: random.Random
    entities: list[tuple[Entity, str]] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)
    bridge_tables: list[Table] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {name.lower() for _, name in self.entities} | {table.name.lower() for table in self.bridge_tables}


def random_domain(rng: random.Random, name: str) -> Domain:
    """A domain of one to five entities, joined by foreign keys and bridges, in one designer's spelling."""
    naming = NAMINGS[0] if rng.random() < PLAIN else rng.choices(NAMINGS, [naming.weight for naming in NAMINGS])[0]
    draft = _Draft(naming, rng)
    sizes, weights = zip(*SIZES, strict=True)
    wanted = rng.choices(sizes, weights)[0]
    while len(draft.entities) < wanted:
        entity = _entity(rng)
        table = table_name(naming, entity.name, entity.many[0] if entity.many else entity.name)
        if table.lower() not in draft.names and entity.name not in {e.name for e, _ in draft.entities}:
            _join(draft, entity, table)
    tables = [_table(draft, entity, table) for entity, table in draft.entities]
    return Domain(name, (*tables, *draft.bridge_tables), tuple(draft.links), tuple(draft.bridges))


def invented_word(rng: random.Random) -> str:
    """A pronounceable word that is probably in no dictionary.

    >>> invented_word(random.Random(1))
    'foust'
    """
    parts = rng.choice((1, 2, 2, 2, 3))
    syllables = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(parts)]
    return "".join(syllables) + rng.choice(_CODAS if parts > 1 else _CODAS[3:])


def _entity(rng: random.Random) -> Entity:
    if rng.random() >= INVENTED:
        return rng.choice(ENTITIES)
    word = invented_word(rng)
    many = word + ("es" if word.endswith(("s", "x", "sh", "ch")) else "s")
    return Entity(word, (word,), (many,), rng.choice(KINDS))


def _join(draft: _Draft, entity: Entity, table: str) -> None:
    """Add the entity, joined to one that is there; nothing happens when no phrase fits the pair drawn."""
    if draft.entities:
        other = draft.rng.choice(draft.entities)
        way = draft.rng.choices((_link, _roles, _bridge), (55, 6, 39))[0]
        ends = [(entity, table), other]
        draft.rng.shuffle(ends)
        if not way(draft, ends[0], ends[1], draft.names | {table.lower()}):
            return
    draft.entities.append((entity, table))


End = tuple[Entity, str]


def _link(draft: _Draft, child: End, parent: End, taken: set[str]) -> bool:
    fitting = [p for p in LINK_PHRASES if child[0].kind in p.child and parent[0].kind in p.parent]
    if not fitting:
        return False
    phrase = draft.rng.choice(fitting)
    return _add_key(draft, child, parent, "", phrase.of_parent, phrase.has_child)


def _roles(draft: _Draft, child: End, parent: End, taken: set[str]) -> bool:
    fitting = [p for p in ROLE_PAIRS if child[0].kind in p.child and parent[0].kind in p.parent]
    if not fitting:
        return False
    pair = draft.rng.choice(fitting)
    said = zip(pair.roles, pair.of_parent, pair.has_child, strict=True)
    return all([_add_key(draft, child, parent, role, (of,), (has,)) for role, of, has in said])


def _add_key(
    draft: _Draft, child: End, parent: End, role: str, of_parent: tuple[str, ...], has_child: tuple[str, ...]
) -> bool:
    key = parent_key_name(draft.naming, parent[0].name, role)
    keys = draft.keys.setdefault(child[1], [])
    if key.lower() in {k.lower() for k in keys} | {key_name(draft.naming, child[0].name).lower()}:
        return False
    keys.append(key)
    draft.links.append(Link(child[1], key, parent[1], of_parent, has_child))
    return True


def _bridge(draft: _Draft, left: End, right: End, taken: set[str]) -> bool:
    fitting = [p for p in BRIDGE_PHRASES if left[0].kind in p.left and right[0].kind in p.right]
    if not fitting:
        return False
    phrase, naming = draft.rng.choice(fitting), draft.naming
    words = [*phrase.names, f"{left[0].name} {right[0].name}", f"{left[0].name} in {right[0].name}"]
    word = draft.rng.choice(words)
    name = table_name(naming, word, word)
    keys = [parent_key_name(naming, entity.name) for entity, _ in (left, right)]
    if name.lower() in taken or keys[0].lower() == keys[1].lower():
        return False
    columns = [Column(key, "fk") for key in keys]
    if draft.rng.random() < 0.3:
        columns += _attributes(draft, word, [a.column for a in ATTRIBUTES if a.bridge], columns, 1)
    draft.bridge_tables.append(Table(name, (word,), (word + "s",), tuple(columns), 40, bridge=True))
    draft.bridges.append(
        Bridge(name, left[1], keys[0], right[1], keys[1], tuple(phrase.left_verb), tuple(phrase.right_verb))
    )
    draft.links += [Link(name, keys[0], left[1]), Link(name, keys[1], right[1])]
    return True


def _table(draft: _Draft, entity: Entity, name: str) -> Table:
    rng, naming = draft.rng, draft.naming
    columns = [Column(key_name(naming, entity.name), "id"), *(Column(k, "fk") for k in draft.keys.get(name, ()))]
    rows = rng.randint(12, 28)
    columns += [_title(draft, entity, rows, {c.name.lower() for c in columns})]
    choices = [a.column for a in ATTRIBUTES if entity.kind in a.suits]
    columns += _attributes(draft, entity.name, choices, columns, rng.choices((1, 2, 3, 4, 5), (1, 3, 4, 3, 1))[0])
    return Table(name, entity.one, entity.many, tuple(columns), rows)


def _title(draft: _Draft, entity: Entity, rows: int, taken: set[str]) -> Column:
    column, words = draft.rng.choice(TITLES[entity.kind])
    pool = compose_names(entity.kind, rows, draft.rng)
    if draft.rng.random() < INVENTED:
        pool = list({_invented_name(draft.rng): None for _ in range(rows)})
    name = column_name(draft.naming, column, entity.name)
    while name.lower() in taken:
        name += "_name"
    return Column(name, "name", words, tuple(pool))


def _invented_name(rng: random.Random) -> str:
    return " ".join(invented_word(rng).capitalize() for _ in range(rng.choice((1, 2, 2))))


def _attributes(draft: _Draft, entity: str, choices: list[Column], columns: list[Column], count: int) -> list[Column]:
    """Up to `count` columns that clash neither in identifier nor in words with each other or with `columns`."""
    rng, chosen, taken = draft.rng, list[Column](), {c.name.lower() for c in columns}
    for _ in range(3 * count):
        drawn = rng.choice(choices)
        column = _renamed(rng, drawn) if rng.random() < INVENTED else drawn
        name = column_name(draft.naming, column.name, entity)
        if name.lower() in taken or any(clash(drawn, c) or clash(column, c) for c in (*chosen, *columns)):
            continue
        taken.add(name.lower())
        nullable = 0.15 if rng.random() < 0.1 and column.kind in ("number", "category") else 0.0
        chosen.append(replace(column, nullable=nullable))
        if len(chosen) == count:
            break
    spelled = [replace(c, name=column_name(draft.naming, c.name, entity)) for c in chosen]
    return spelled


def _renamed(rng: random.Random, column: Column) -> Column:
    """The column under an invented name, and for categories with invented values."""
    word = invented_word(rng)
    second = rng.choice(("", "", " level", " rate", " count")) if column.kind == "number" else ""
    words = word + second
    pool = tuple({invented_word(rng): None for _ in range(5)}) if column.kind == "category" else column.pool
    return replace(column, name=words.replace(" ", "_"), words=(words,), pool=pool, more=(), less=(), most=(), least=(),
                   adjective="")  # fmt: skip
