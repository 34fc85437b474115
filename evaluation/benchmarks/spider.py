"""Spider 1.0, and the sets that were made from its questions: Spider-Syn, -DK, -Realistic, Dr.Spider."""

from evaluation.benchmarks.layout import Layout, fields

LAYOUT = Layout(
    "Spider 1.0: questions across 200 databases; also Spider-Syn, -DK, -Realistic and Dr.Spider",
    splits={
        "train": ("train_spider.json",),
        "train_others": ("train_others.json",),
        "train_all": ("train_spider.json", "train_others.json"),
        "dev": ("dev.json",),
        "test": ("test.json",),
        "syn_train": ("Spider-Syn/train_spider.json",),
        "syn": ("Spider-Syn/dev.json|dev_syn.json",),
        "dk": ("Spider-DK.json|Spider_DK.json",),
        "realistic": ("spider-realistic.json|spider_realistic.json",),
        "dr": ("questions_post_perturbation.json|*/questions_post_perturbation.json",),
    },
    read=fields(question=("SpiderSynQuestion", "question"), sql="query", hardness="hardness"),
    databases=(
        "database/{db_id}/{db_id}.sqlite",
        "test_database/{db_id}/{db_id}.sqlite",
        "database_post_perturbation/{db_id}/{db_id}.sqlite",
        "databases/{db_id}/{db_id}.sqlite",
    ),
    tables=("{split}_tables.json", "tables.json", "tables_post_perturbation.json"),
    licence="CC BY-SA 4.0",
    source="https://yale-lily.github.io/spider",
)
