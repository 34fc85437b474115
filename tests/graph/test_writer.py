import pytest

from graph.linearize import STYLES
from graph.prompt import build_messages
from graph.schema import Column, ForeignKey, Schema, Table
from graph.writer import PromptStyle, PromptWriter

CITY = Table("city", (Column("city_id", "INTEGER", True), Column("name", "TEXT")))
SHOP = Table("shop", (Column("shop_id", "INTEGER", True), Column("city_id", "INTEGER"), Column("name", "TEXT")))
SALE = Table("sale", (Column("shop_id", "INTEGER"), Column("price", "REAL")))
TRADE = Schema("trade", (CITY, SHOP, SALE), (ForeignKey("shop", ("city_id",), "city", ("city_id",)),))
ALL = [
    *(base + keys + linked for base in STYLES for keys in ("", "-keys") for linked in ("", "+linked")),
    *(base + "+graph" + linked for base in STYLES for linked in ("", "+linked")),
]


@pytest.mark.parametrize("word", ALL)
def test_a_style_is_its_word(word):
    assert str(PromptStyle.parse(word)) == word


@pytest.mark.parametrize("word", ["", "prose", "compact+linked+graph", "compact-keys+graph", "+graph", "compact "])
def test_a_word_that_is_no_style_is_refused_with_those_that_are(word):
    with pytest.raises(ValueError, match="BASE one of compact, ddl, mschema"):
        PromptStyle.parse(word)


def test_the_graph_block_has_declared_then_inferred_joins_and_the_paths_between_the_tables_named():
    writer = PromptWriter(TRADE, PromptStyle.parse("compact+graph"))
    assert writer.schema_text("The price of each sale in the city called Leeds").splitlines() == [
        "city(city_id, name)",
        "shop(shop_id, city_id, name)",
        "sale(shop_id, price)",
        "Joins:",
        "shop.city_id = city.city_id",
        "sale.shop_id = shop.shop_id (inferred)",
        "Paths:",
        "city, sale: shop.city_id = city.city_id AND sale.shop_id = shop.shop_id",
    ]


def test_without_keys_no_join_is_told():
    text = PromptWriter(TRADE, PromptStyle.parse("compact-keys")).schema_text("Which shops?")
    assert text.splitlines() == ["city(city_id, name)", "shop(shop_id, city_id, name)", "sale(shop_id, price)"]


@pytest.mark.parametrize("word", ALL)
def test_over_the_budget_columns_go_and_the_question_stays(word):
    question = "The price of each sale"
    writer = PromptWriter(TRADE, PromptStyle.parse(word), {("city", "name"): ("Leeds", "York")})
    assert len(writer.schema_text(question, fits=lambda text: len(text) <= 60)) <= 60
    assert question in build_messages(TRADE, question, style=word)[0]["content"]


def test_example_values_stand_as_sql_writes_them():
    values = {("city", "name"): ("O'Fallon",), ("city", "city_id"): ("7",)}
    text = PromptWriter(TRADE, PromptStyle.parse("mschema"), values).schema_text("")
    assert "  city_id INTEGER primary key e.g. 7\n  name TEXT e.g. 'O''Fallon'" in text
