import pytest

from graph.budget import within
from graph.link import Linker, subschema
from graph.schema import Column, ForeignKey, Schema, Table

SINGER = Table("singer", (Column("singer_id", "INT", True), Column("name", "TEXT"), Column("age", "INT")))
STADIUM = Table("stadium", (Column("stadium_id", "INT", True), Column("capacity", "INT"), Column("city", "TEXT")))
CONCERT = Table("concert", (Column("concert_id", "INT", True), Column("stadium_id", "INT"), Column("year", "INT")))
PLAYED = Table("played", (Column("concert_id", "INT"), Column("singer_id", "INT")))
MUSIC = Schema(
    "music",
    (SINGER, STADIUM, CONCERT, PLAYED),
    (
        ForeignKey("concert", ("stadium_id",), "stadium", ("stadium_id",)),
        ForeignKey("played", ("concert_id",), "concert", ("concert_id",)),
        ForeignKey("played", ("singer_id",), "singer", ("singer_id",)),
    ),
)


def test_tables_that_a_question_names_are_linked_and_the_rest_is_left_out():
    linked = Linker(MUSIC).link("What is the age of each singer?")
    assert linked.sure == ("singer",)
    assert "stadium" not in linked.tables
    assert ("singer", "age") in linked.columns


def test_the_tables_between_two_linked_ones_are_kept_with_the_keys_that_join_them():
    linked = Linker(MUSIC).link("Show the age of the singers and the capacity of the stadium")
    assert linked.tables == ("singer", "stadium", "concert", "played")
    assert {("played", "concert_id"), ("played", "singer_id"), ("concert", "stadium_id")} <= set(linked.columns)


def test_a_cell_of_the_question_finds_its_column():
    plain = Linker(MUSIC).link("Who sang in Wembley Park?").scores["stadium", "city"]
    values = {("stadium", "city"): ("Wembley Park", "Leeds")}
    assert Linker(MUSIC, values).link("Who sang in Wembley Park?").scores["stadium", "city"] > 2 * plain


@pytest.mark.parametrize("question", ["", "¿?", "どうぞ", "xyzzy"])
def test_a_question_that_meets_no_name_keeps_the_whole_schema(question):
    linked = Linker(MUSIC).link(question)
    assert not linked.matched
    assert subschema(MUSIC, linked.tables, linked.columns) == MUSIC


def test_a_question_in_another_language_links_by_the_names_that_it_shares():
    assert "stadium" in Linker(MUSIC).link("¿Cuál es la capacity del stadium más grande?").tables


def test_a_part_of_a_schema_has_the_keys_among_its_columns_only():
    part = subschema(MUSIC, {"concert", "stadium"}, {("stadium", "stadium_id"), ("concert", "year")})
    assert [[c.name for c in table.columns] for table in part.tables] == [["stadium_id"], ["year"]]
    assert part.foreign_keys == ()


def test_a_budget_takes_the_least_relevant_columns_and_keys_last():
    scores: dict[tuple[str, ...], float] = {("singer", "age"): 0.9, ("stadium", "capacity"): 0.5}

    def of_size(columns: int) -> Schema:
        return within(MUSIC, scores, lambda part: sum(len(table.columns) for table in part.tables) <= columns)

    assert sum(len(table.columns) for table in of_size(7).tables) == 7
    assert {column.name for table in of_size(8).tables for column in table.columns} >= {"age", "singer_id"}
    assert "year" not in {column.name for table in of_size(8).tables for column in table.columns}
    assert sum(len(table.columns) for table in of_size(0).tables) == 1


def test_a_table_of_two_thousand_columns_is_linked_and_cut():
    wide = Table("wide", tuple(Column(f"column_{number}", "TEXT") for number in range(2000)))
    schema = Schema("wide", (wide,))
    linked = Linker(schema).link("What is column 77 of wide?")
    part = within(schema, linked.scores, lambda part: len(part.tables[0].columns) <= 10)
    assert "column_77" in {column.name for column in part.tables[0].columns}


SINGERS = Schema(
    "歌手",
    (
        Table("歌手", (Column("歌手编号", "INTEGER", True), Column("姓名", "TEXT"), Column("国家", "TEXT"))),
        Table("专辑", (Column("专辑编号", "INTEGER", True), Column("歌手编号", "INTEGER"), Column("名称", "TEXT"))),
        Table("员工", (Column("工号", "INTEGER", True), Column("部门", "TEXT"))),
    ),
    (ForeignKey("专辑", ("歌手编号",), "歌手", ("歌手编号",)),),
)


@pytest.mark.parametrize(
    "question, sure",
    [
        ("每个歌手的姓名是什么？", ("歌手",)),
        ("有多少个员工?", ("员工",)),
        ("来自中国的歌手发行了哪些专辑？", ("歌手", "专辑")),
    ],
)
def test_a_question_without_spaces_is_cut_at_the_names_of_the_schema(question, sure):
    linked = Linker(SINGERS, {("歌手", "国家"): ("中国", "日本")}).link(question)
    assert linked.matched and linked.sure == sure and linked.tables == sure


@pytest.mark.parametrize(
    "table, column, question",
    [
        ("選手", "身長", "すべての選手の身長を教えてください"),
        ("ロボット", "バッテリー", "ロボットのバッテリーはいくつですか"),
        ("가수", "나이", "모든 가수의 나이는 얼마입니까"),
        ("นักร้อง", "อายุ", "นักร้องทุกคนมีอายุเท่าไร"),
        ("ＶＩＰ客户", "余额", "VIP客户的余额"),
        ("room", "price2", "ｐｒｉｃｅ２ of each ｒｏｏｍ"),
    ],
)
def test_other_scripts_and_full_width_letters_link_too(table, column, question):
    other = Table("倉庫", (Column("番号", "INTEGER", True), Column("住所", "TEXT")))
    wanted = Table(table, (Column("id", "INTEGER", True), Column(column, "TEXT")))
    linked = Linker(Schema("s", (other, wanted))).link(question)
    assert linked.tables == (table,) and linked.scores[table, column] > 0.5


@pytest.mark.parametrize(
    "question", ["Total of the sales per store?", "Which store earned most in its sales?", "How much is sold per sale?"]
)
def test_numbers_of_a_linked_fact_table_are_kept_for_sums(question):
    store = Table("store", (Column("store_id", "INT", True), Column("city", "TEXT")))
    facts = Column("quantity", "INT"), Column("amt", "REAL"), Column("disc", "NUMERIC"), Column("memo", "TEXT")
    sale = Table("sale", (Column("sale_id", "INT", True), Column("store_id", "INT"), *facts))
    other = Table("pet", tuple(Column(f"c{n}", "TEXT") for n in range(20)))
    schema = Schema("shop", (store, sale, other), (ForeignKey("sale", ("store_id",), "store", ("store_id",)),))
    linked = Linker(schema).link(question)
    assert "sale" in linked.tables
    assert {("sale", "quantity"), ("sale", "amt"), ("sale", "disc")} <= set(linked.columns)
