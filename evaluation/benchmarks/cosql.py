"""CoSQL: conversations with a database; the part for tracking the state of the SQL."""

from evaluation.benchmarks.dialogue import read
from evaluation.benchmarks.layout import Layout

FOLDER = "sql_state_tracking/"
LAYOUT = Layout(
    "CoSQL: conversations across Spider's databases",
    splits={
        split: (f"{FOLDER}cosql_{split}.json|cosql_{split}.json|{FOLDER}{split}.json",)
        for split in ("train", "dev", "test")
    },
    read=read,
    databases=("database/{db_id}/{db_id}.sqlite",),
    licence="CC BY-SA 4.0",
    source="https://yale-lily.github.io/cosql",
)
