"""CSpider: Spider's questions in Chinese."""

from evaluation.benchmarks.layout import Layout, fields

LAYOUT = Layout(
    "CSpider: Spider's questions in Chinese, on its databases",
    splits={"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)},
    read=fields(sql="query", hardness="hardness"),
    databases=("database/{db_id}/{db_id}.sqlite", "test_database/{db_id}/{db_id}.sqlite"),
    licence="CC BY-SA 4.0",
    source="https://taolusi.github.io/CSpider-explorer",
)
