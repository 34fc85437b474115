"""SParC: Spider's questions taken apart into dialogues."""

from evaluation.benchmarks.dialogue import read
from evaluation.benchmarks.layout import Layout

LAYOUT = Layout(
    "SParC: dialogues of related questions across Spider's databases",
    splits={"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)},
    read=read,
    databases=("database/{db_id}/{db_id}.sqlite",),
    licence="CC BY-SA 4.0",
    source="https://yale-lily.github.io/sparc",
)
