from dataclasses import replace

from evaluation.benchmarks import Example, Turn
from evaluation.benchmarks.shots import with_shots
from graph.prompt import messages_from_text


def example(id: str, db_id: str, question: str, sql: str) -> Example:
    return Example(id, db_id, question, "", sql, f"/{db_id}.sqlite", "")


ASKED = example("1", "zoo", "How many animals are there?", "SELECT count(*) FROM animal")
POOL = [
    ASKED,
    replace(
        ASKED, id="2", question="how many ANIMALS are there ?", db_id="park"
    ),  # the same question, spelled otherwise
    example("3", "zoo", "How many animals are old?", "SELECT count(*) FROM animal WHERE age > 9"),
    example("4", "shop", "How many items are there?", "SELECT count(*) FROM item"),
    example("5", "shop", "List the names of items", "SELECT name FROM item"),
    example("6", "shop", "How many are there?", ""),  # no query answers it
]


def test_shots_are_the_most_similar_questions_of_other_databases_and_never_the_question_itself() -> None:
    (found,) = with_shots([ASKED], POOL, 2)
    assert found.shots == (Turn("How many items are there?", "SELECT count(*) FROM item"),)
    (found,) = with_shots([ASKED], [*POOL, replace(POOL[4], question="How many names?")], 2)
    assert [turn.question for turn in found.shots] == ["How many items are there?", "How many names?"]


def test_where_there_is_one_database_its_own_questions_are_shots() -> None:
    (found,) = with_shots([ASKED], [ASKED, POOL[2]], 3)
    assert [turn.question for turn in found.shots] == ["How many animals are old?"]


def test_a_prompt_has_the_shots_before_the_schema_and_the_dialogue_behind_it() -> None:
    (message,) = messages_from_text(
        "t(a)", "And b?", "", [("Only a?", "SELECT a FROM t")], [("All?", "SELECT *\nFROM u")]
    )
    assert message["content"].split("\n") == [
        "Write one SQLite query.",
        *("Example: All?", "SQL: SELECT * FROM u"),
        "t(a)",
        *("Earlier question: Only a?", "SQL: SELECT a FROM t"),
        "Question: And b?",
    ]
