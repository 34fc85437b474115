"""CHASE: Chinese dialogues."""

from evaluation.benchmarks.dialogue import read
from evaluation.benchmarks.layout import Layout

LAYOUT = Layout(
    "CHASE: Chinese dialogues across databases",
    splits={"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)},
    read=read,
    databases=("database/{db_id}/{db_id}.sqlite", "databases/{db_id}/{db_id}.sqlite"),
    licence="CC BY-SA 4.0",
    source="https://xjtu-intsoft.github.io/chase",
)
