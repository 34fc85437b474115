"""What a schema's picture shows: real names, every join between its columns, the question, a legend."""

from typing import Any

from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.text import Text

from graph.build import schema_graph
from graph.link import Linker
from graph.picture import PATH, draw_schema
from graph.schema import Column, ForeignKey, Schema, Table

COLUMNS = tuple(Column(name, "INTEGER", name == "id") for name in ("id", "boss_id", "dept_id", "Full Name", "cost$"))
WIDE = Table("Dept", (Column("id", "INTEGER", True), *(Column(f"c{n}", "TEXT") for n in range(30))))
SCHEMA = Schema(
    "firm",
    (Table("Employee", COLUMNS), WIDE),
    (ForeignKey("Employee", ("boss_id",), "Employee", ("id",)), ForeignKey("Employee", ("dept_id",), "Dept", ("id",))),
)


def drawn(question: str = "") -> tuple[list[str], list[Any], list[Any]]:
    linked = Linker(SCHEMA).link(question) if question else None
    [axes] = draw_schema(SCHEMA, schema_graph(SCHEMA), linked, question).axes
    joins = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    return [text.get_text() for text in axes.findobj(Text) if text.get_text()], joins, boxes


def test_names_stand_as_they_are_and_long_tables_are_cut() -> None:
    texts, joins, boxes = drawn()
    assert {"Employee", "Dept", "firm", "  Full Name", r"  cost\$", "  id (key)", "  … 17 more"} <= set(texts)
    assert (len(joins), len(boxes)) == (2, 2)
    assert {"declared join", "inferred join"} <= set(texts) and "not linked" not in texts


def test_a_join_runs_from_column_to_column_and_a_reference_to_itself_round_the_side() -> None:
    _, (own, other), _ = drawn()
    box = {patch.get_y() for patch in drawn()[2]}
    assert box == {0.0}
    # the second and third column of Employee (lines 2 and 3), the first of both tables (line 1), 1.3 below the top
    assert [own.get_path().vertices[place][1] for place in (0, -1)] == [2 + 1.3, 1 + 1.3]
    assert [other.get_path().vertices[place][1] for place in (0, -1)] == [3 + 1.3, 1 + 1.3]
    start, bend, _, end = own.get_path().vertices
    assert start[0] == end[0] < bend[0]


def test_the_question_is_the_title_and_its_paths_are_red() -> None:
    texts, joins, _ = drawn("The full name of each employee and its dept")
    assert any(text.endswith("The full name of each employee and its dept") for text in texts)
    assert "linked to the question (• column)" in texts
    red = [joins[place].get_edgecolor()[:3] for place in (0, 1)]
    assert red[1] != red[0] and "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in red[1])) == PATH
