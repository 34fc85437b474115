"""The pre-training text: an endless stream of random databases, each with questions and queries about it.

A document is a schema in the compact style, then blocks "-- question\\nSQL\\n". Schemas are random domains made of
`vocabulary`, or, for a share of the documents, the domains of the tiny benchmark with freshly drawn questions. No
document holds a question or a query that `Held` forbids: those of the benchmarks' dev splits and of tiny's train split.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from evaluation.tiny.build import FOLDER, dev_questions_and_queries, is_dev
from evaluation.tiny.domain import Domain, Table
from evaluation.tiny.grammar import questions
from evaluation.tiny.rows import make_rows
from graph.linearize import compact, identifier, join_condition
from graph.schema import Column as SchemaColumn
from graph.schema import ForeignKey, Schema
from graph.schema import Table as SchemaTable
from sft.pretraining.random_domain import random_domain

SPIDER_DEV = Path(__file__).with_name("spider_dev_hashes.txt")
_DIGEST = 8  # bytes: 2^64 values, so a fresh question is refused by chance once in 10^15


@dataclass(frozen=True)
class Document:
    """schema: compact text; blocks: (question, SQL) pairs; chats: (question, answer) pairs that are about the schema
    and hold no SQL; domain: the db_id it was made from."""

    schema: str
    blocks: tuple[tuple[str, str], ...]
    chats: tuple[tuple[str, str], ...] = ()
    domain: str = ""

    @property
    def text(self) -> str:
        """The document as one string.

        >>> Document("item(id)", (("How many items?", "SELECT COUNT(*) FROM item"),)).text
        'item(id)\\n-- How many items?\\nSELECT COUNT(*) FROM item\\n'
        """
        return self.schema + "\n" + "".join(f"-- {question}\n{sql}\n" for question, sql in self.blocks)


def normal(text: str) -> str:
    """What two spellings of one question or query share: its words, digits and signs in lower case.

    >>> normal("SELECT  count( * ) FROM T;") == normal("select count(*) from t")
    True
    """
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower())).rstrip(" ;?.!")


def digest(text: str) -> bytes:
    return hashlib.sha256(normal(text).encode()).digest()[:_DIGEST]


class Held:
    """The questions and queries that must not be learned, as digests of their normal form."""

    def __init__(self, texts: Iterable[str] = (), digests: Iterable[bytes] = ()) -> None:
        self.digests = frozenset(digests) | {digest(text) for text in texts}

    def refuses(self, *texts: str) -> bool:
        return any(digest(text) in self.digests for text in texts)


def held_out() -> Held:
    """Tiny's dev questions and queries, its train questions, and Spider's dev questions and queries.

    Spider's are bundled as digests, so that a rebuild does not need the data. Queries that are `is_dev` go as well.
    """
    dev_questions, dev_queries = dev_questions_and_queries()
    train = [json.loads(line)["question"] for line in (FOLDER / "train.jsonl").read_text("utf-8").splitlines()]
    spider = (bytes.fromhex(line) for line in SPIDER_DEV.read_text().split())
    return Held([*dev_questions, *dev_queries, *train], spider)


def schema_of(domain: Domain, rng: random.Random, shuffled: bool) -> Schema:
    """The domain's schema; shuffled: tables, columns and keys in random order."""
    tables = [_schema_table(table, rng, shuffled) for table in domain.tables]
    keys = [ForeignKey(k.child, (k.fk,), k.parent, (_key(domain, k.parent),)) for k in domain.links]
    for b in domain.bridges:
        for fk, parent in ((b.left_fk, b.left), (b.right_fk, b.right)):
            key = ForeignKey(b.table, (fk,), parent, (_key(domain, parent),))
            if key not in keys:
                keys.append(key)
    if shuffled:
        rng.shuffle(tables)
        rng.shuffle(keys)
    else:
        order = {table.name: i for i, table in enumerate(domain.tables)}
        keys.sort(key=lambda key: order[key.table])
    return Schema(domain.name, tuple(tables), tuple(keys))


def _schema_table(table: Table, rng: random.Random, shuffled: bool) -> SchemaTable:
    columns = [SchemaColumn(c.name, c.sql_type, c.kind == "id") for c in table.columns]
    if shuffled:
        rng.shuffle(columns)
    return SchemaTable(table.name, tuple(columns))


def _key(domain: Domain, table: str) -> str:
    return next(c.name for c in domain.table(table).columns if c.kind == "id")


def document(
    seed: int, index: int, held: Held, benchmark: tuple[Domain, ...], share: float, blocks: int
) -> Document | None:
    """Document `index` of the stream, the same for the same arguments; None when the draw came to nothing.

    share: how often the schema is one of `benchmark`; blocks: how many questions at most.
    """
    rng = random.Random(f"{seed}:{index}")
    own = bool(benchmark) and rng.random() < share
    domain = rng.choice(benchmark) if own else random_domain(rng, f"d{index}")
    drawn: dict[str, str] = {}
    for question in islice(questions(domain, make_rows(domain, rng), rng), 2 * blocks):
        if question.sql in drawn.values() or is_dev(question.sql) or held.refuses(question.question, question.sql):
            continue
        drawn[question.question] = question.sql
        if len(drawn) == blocks:
            break
    schema = schema_of(domain, rng, shuffled=rng.random() < 0.5)
    return Document(compact(schema), tuple(drawn.items()), tuple(chats(schema, rng)), domain.name) if drawn else None


def chats(schema: Schema, rng: random.Random, count: int = 1) -> Iterator[tuple[str, str]]:
    """Questions about the schema itself: what makes the model know the chat's tokens without having seen SQL there."""
    for _ in range(count):
        table = rng.choice(schema.tables)
        name, columns = identifier(table.name), [identifier(column.name) for column in table.columns]
        key = rng.choice(schema.foreign_keys) if schema.foreign_keys else None
        draw = rng.random()
        if key and draw < 0.4:
            yield f"How are {identifier(key.table)} and {identifier(key.parent)} joined?", join_condition(key)
        elif draw < 0.7:
            yield f"Which columns does {name} have?", ", ".join(columns)
        else:
            column = rng.choice(columns)
            tables = [identifier(t.name) for t in schema.tables if column in [identifier(c.name) for c in t.columns]]
            yield f"Which tables have a column {column}?", ", ".join(tables)


def documents(
    seed: int, held: Held, benchmark: tuple[Domain, ...] = (), share: float = 0.0, blocks: int = 10, start: int = 0
) -> Iterator[Document]:
    """The stream from document `start` on."""
    index = start
    while True:
        made = document(seed, index, held, benchmark, share, blocks)
        if made is not None:
            yield made
        index += 1
