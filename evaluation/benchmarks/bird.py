"""BIRD: train, dev and mini-dev, in the folders that the official archives unpack to; mini-dev in three dialects."""

from evaluation.benchmarks.layout import Layout, fields

LAYOUT = Layout(
    "BIRD: large real databases, with evidence",
    splits={
        "train": ("train.json",),
        "dev": ("dev.json",),
        "mini_dev": ("mini_dev_sqlite.json",),
        "mini_dev_mysql": ("mini_dev_mysql.json",),
        "mini_dev_postgresql": ("mini_dev_postgresql.json",),
    },
    read=fields(sql="SQL", id="question_id", hardness="difficulty"),
    databases=("{split}_databases/{db_id}/{db_id}.sqlite", "dev_databases/{db_id}/{db_id}.sqlite"),
    tables=("{split}_tables.json", "dev_tables.json"),
    dialects={"mini_dev_mysql": "mysql", "mini_dev_postgresql": "postgres"},
    licence="CC BY-SA 4.0",
    source="https://bird-bench.github.io",
)
