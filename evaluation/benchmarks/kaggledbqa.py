"""KaggleDBQA: questions on eight databases of Kaggle, a file per database, halved into few-shot and test."""

from evaluation.benchmarks.layout import Layout, fields

LAYOUT = Layout(
    "KaggleDBQA: realistic questions on eight Kaggle databases",
    splits={
        "train": ("examples/*_fewshot.json|*_fewshot.json",),
        "test": ("examples/*_test.json|*_test.json|examples/*.json",),
    },
    read=fields(sql="query", evidence=("evidence", "external_knowledge")),
    databases=("databases/{db_id}/{db_id}.sqlite", "database/{db_id}/{db_id}.sqlite"),
    tables=("KaggleDBQA_tables.json", "tables.json"),
    licence="CC BY-SA 4.0",
    source="https://github.com/Chia-Hsuan-Lee/KaggleDBQA",
)
