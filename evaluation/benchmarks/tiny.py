"""The bundled benchmark: databases as SQL scripts, built into the cache."""

from pathlib import Path

from evaluation.benchmarks.layout import Layout, fields

FOLDER = Path(__file__).parent.parent / "tiny"
LAYOUT = Layout(
    "tiny: bundled, generated questions on small databases",
    splits={"train": ("train.jsonl",), "dev": ("dev.jsonl",)},
    read=fields(hardness="kind"),
    databases=("databases/{db_id}.sql",),
    bundled=FOLDER,
    licence="Apache-2.0",
    source="evaluation/tiny",
)
