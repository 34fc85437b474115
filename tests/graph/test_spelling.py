"""Golds in one spelling: the same query, whoever typed it."""

import pytest

from graph.schema import Column, Schema, Table
from graph.spelling import canonical

SINGER = Table("Singer", (Column("Name", "TEXT"), Column("Age", "INTEGER"), Column("Birth Year", "INTEGER")))
BANDS = Schema("bands", (SINGER, Table("band", (Column("name", "TEXT"), Column("order", "INTEGER")))))


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("select count ( * )  from singer ;", "SELECT COUNT(*) FROM Singer"),
        ('SELECT age FROM Singer WHERE city  =  "Köln"', "SELECT Age FROM Singer WHERE city = 'Köln'"),
        ("SELECT age FROM singer WHERE age<>3", "SELECT Age FROM Singer WHERE Age != 3"),
        ("SELECT age FROM singer WHERE city = '<>'", "SELECT Age FROM Singer WHERE city = '<>'"),
        ('SELECT "birth year" FROM singer', 'SELECT "Birth Year" FROM Singer'),
        ("SELECT `order` FROM band", 'SELECT "order" FROM band'),
        (
            "SELECT t1.age FROM singer AS t1 JOIN band AS T2 ON t1.age = t2.`order`",
            'SELECT T1.Age FROM Singer AS T1 JOIN band AS T2 ON T1.Age = T2."order"',
        ),
        ("SELECT (broken", "SELECT (broken"),
    ],
)
def test_a_query_has_one_spelling(given: str, spelled: str) -> None:
    assert canonical(given, BANDS) == spelled
    assert canonical(spelled, BANDS) == spelled
