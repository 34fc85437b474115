"""Forms in which models answer, each with the SQL that must be taken from it."""

import time
from pathlib import Path

import pytest

from graph.answer import extract_sql

ANSWERS = Path(__file__).parents[3] / "shared" / "cases" / "answers.jsonl"
COUNT = "SELECT count(*) FROM singer"

FORMS = [
    ("SELECT 1", "SELECT 1"),
    (" select name from t ; ;\n", "select name from t"),
    ("```sql\nSELECT a\nFROM t;\n```", "SELECT a\nFROM t"),
    ("First ```sql\nSELECT 1``` but rather:\n```SQLite\nSELECT 2\n```\nDone.", "SELECT 2"),
    ("```sql\nSELECT a FROM", "SELECT a FROM"),
    ("<think>SELECT 1</think>SELECT 2", "SELECT 2"),
    ("<think>SELECT 1", ""),
    ("Sure:\nWITH x AS (SELECT 1) SELECT * FROM x;\nIt works.", "WITH x AS (SELECT 1) SELECT * FROM x"),
    ("With this query:\n(SELECT 1)", "(SELECT 1)"),
    ("The answer is SELECT 1; thanks", "SELECT 1"),
    ("SELECT ';' AS a, \"b;c\" FROM t -- d;e\nWHERE x", "SELECT ';' AS a, \"b;c\" FROM t -- d;e\nWHERE x"),
    ("SELECT 1; DROP TABLE t;", "SELECT 1; DROP TABLE t"),
    ("DELETE FROM t", "DELETE FROM t"),
    ("I would select the singer.", ""),
    ("```python\nprint(1)\n```", ""),
    ("", ""),
    (
        "Sure! Here's the query:\n\n```sql\nSELECT count(*) FROM singer;\n```\n\n"
        "This query uses `COUNT(*)` to count. Don't forget `SELECT name FROM singer`.",
        COUNT,
    ),
    ("<think>\nOkay, the user wants…\n```sql\nSELECT 1 FROM x\n```\n</think>\n\nSELECT count(*) FROM singer", COUNT),
    ("<think>I think SELECT count(*) FROM concert", ""),
    (
        "To find singers older than 20, you can use the following SQL query:\n\nSELECT name\nFROM singer\n"
        "WHERE age > 20;\n\nThis will return names.",
        "SELECT name\nFROM singer\nWHERE age > 20",
    ),
    ("**SQL Query:**\n\nSELECT count(*) FROM singer\n\n**Explanation:**\nIt counts.", COUNT),
    ("- SELECT count(*) FROM singer\n- This counts the singers", COUNT),
    ("1. SELECT count(*) FROM singer\n2. Run it", COUNT),
    ("SQLQuery: SELECT count(*) FROM singer\nSQLResult: 6\nAnswer: There are six.", COUNT),
    ("### SQL\nSELECT count(*) FROM singer\n### Explanation\nfoo", COUNT),
    (
        "```python\nimport sqlite3\nconn = sqlite3.connect('a.db')\n"
        'cur.execute("SELECT count(*) FROM singer")\nprint(cur.fetchone())\n```',
        COUNT,
    ),
    ('```python\nquery = """\nSELECT count(*)\nFROM singer\n"""\n```', "SELECT count(*)\nFROM singer"),
    (
        "query = 'SELECT name FROM singer WHERE country = \\'France\\''",
        "SELECT name FROM singer WHERE country = 'France'",
    ),
    ('{"sql": "SELECT name\\nFROM singer\\nWHERE a = \'\\u00e9\'"}', "SELECT name\nFROM singer\nWHERE a = 'é'"),
    (
        "{'sql': \"SELECT name FROM singer WHERE country = 'France'\"}",
        "SELECT name FROM singer WHERE country = 'France'",
    ),
    (
        '{"sql": "SELECT name FROM singer WHERE country = "France""}',
        'SELECT name FROM singer WHERE country = "France"',
    ),
    (
        '[{"name": "query_db", "arguments": "{\\"query\\": \\"SELECT a FROM t WHERE b = \\\\\\"x\\\\\\"\\"}"}]',
        'SELECT a FROM t WHERE b = "x"',
    ),
    (
        '<tool_call>\n{"name": "sql", "arguments": {"sql": "SELECT count(*) FROM singer;"}}\n</tool_call>',
        COUNT,
    ),
    ("<function=execute_sql>\n<parameter=query>\nSELECT count(*) FROM singer\n</parameter>\n</function>", COUNT),
    ('[execute_sql(query="SELECT count(*) FROM singer")]', COUNT),
    ("analysisThe user asks to count. SELECT 1 FROM x?assistantfinalSELECT count(*) FROM singer", COUNT),
    (
        "<|channel|>analysis<|message|>Use SELECT 2 FROM y<|end|><|start|>assistant<|channel|>final"
        "<|message|>```sql\nSELECT count(*) FROM singer\n```<|return|>",
        COUNT,
    ),
    ("analysisWe need SELECT a FROM b", ""),
    ("SELECT count(*) FROM singer<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nSELECT x FROM y", COUNT),
    ("SELECT count(*) FROM singer<end_of_turn>", COUNT),
    ("SELECT count(*) FROM singer</s>", COUNT),
    ("SELECT '</think>' AS a FROM t", "SELECT '</think>' AS a FROM t"),
    ("SELECT '```' AS a FROM t", "SELECT '```' AS a FROM t"),
    ("```sql\nSELECT '```' AS a FROM t\n```", "SELECT '```' AS a FROM t"),
    ("SELECT '<|im_end|>' AS a, \"</sql>\" FROM t", "SELECT '<|im_end|>' AS a, \"</sql>\" FROM t"),
    ("<sql>SELECT '</sql>' FROM t WHERE x = ';'</sql>", "SELECT '</sql>' FROM t WHERE x = ';'"),
    ("SELECT a\n\nFROM t\n\nWHERE b = 1\n\nORDER BY a", "SELECT a\n\nFROM t\n\nWHERE b = 1\n\nORDER BY a"),
    (
        "SELECT a\nFROM t\n-- only the new\nWHERE b = 1\n\nThis is the answer.",
        "SELECT a\nFROM t\n-- only the new\nWHERE b = 1",
    ),
    ("DROP TABLE singer;", "DROP TABLE singer"),
    ("```sql\nDROP TABLE singer;\n```", "DROP TABLE singer"),
    ("Sure, I will do it: DELETE FROM singer WHERE age > 3;", "DELETE FROM singer WHERE age > 3"),
    ("UPDATE singer SET age = 3 WHERE id = 1", "UPDATE singer SET age = 3 WHERE id = 1"),
    ("SELECT 1 FROM a; DROP TABLE a;", "SELECT 1 FROM a; DROP TABLE a"),
    ("SELECT 1 FROM a; SELECT 2 FROM b", "SELECT 1 FROM a; SELECT 2 FROM b"),
    ("SELECT 1 FROM a；SELECT 2 FROM b；", "SELECT 1 FROM a;SELECT 2 FROM b"),
    ("查询如下：SELECT count(*) FROM singer；谢谢", COUNT),
    ("查询如下：\nSELECT count(*) FROM singer\n这个查询统计歌手的数量。", COUNT),
    ("VALUES (1, 'a'), (2, 'b')", "VALUES (1, 'a'), (2, 'b')"),
    ("Values (in dollars) are shown.\nSELECT price FROM item;", "SELECT price FROM item"),
    ("Create a query that counts:\nSELECT count(*) FROM singer;", COUNT),
    ("Update the query to this:\nSELECT count(*) FROM singer;", COUNT),
    ("Explain: we count.\nSELECT count(*) FROM singer;", COUNT),
    ("With the table singer:\nSELECT count(*) FROM singer", COUNT),
    ("With singer as the main table, we count.\n\nSELECT count(*) FROM singer", COUNT),
    ("Delete nothing.\nDrop nothing.\nInsert nothing.\nselect count(*) from singer", "select count(*) from singer"),
    (
        "Select name from the table singer where the age is over 20.\n\nSELECT name FROM singer WHERE age > 20",
        "SELECT name FROM singer WHERE age > 20",
    ),
    ("Replace X with the value.\nSELECT count(*) FROM singer;", COUNT),
    ("Select all singers:\nSELECT * FROM singer", "SELECT * FROM singer"),
    ("Select the name of every singer.", ""),
    ("select the name of each singer", ""),
    ("Use SELECT to choose columns, then FROM to choose the table.", ""),
    ("The answer is SELECT count(*) FROM singer.", COUNT),
    ('The query is "SELECT count(*) FROM singer".', COUNT),
    ("You can run `SELECT count(*) FROM singer` to get it.", COUNT),
    ("Run `SELECT `name` FROM `singer``.", "SELECT `name` FROM `singer`"),
    ("**SELECT count(*) FROM singer**", COUNT),
    ("*SELECT count(*) FROM singer*", COUNT),
    ("| SQL |\n|---|\n| SELECT count(*) FROM singer |", COUNT),
    ("sqlite> SELECT count(*) FROM singer;\n6", COUNT),
    ("\\boxed{SELECT count(*) FROM singer}", COUNT),
    ('<pre><code class="language-sql">SELECT count(*) FROM singer</code></pre>', COUNT),
    ("```\nSELECT count(*) FROM singer;\n```", COUNT),
    ("```SQL SELECT count(*) FROM singer;```", COUNT),
    ("``` {.sql}\nSELECT count(*) FROM singer\n```", COUNT),
    ("    ```sql\n    SELECT a\n    FROM t\n    ```", "SELECT a\n    FROM t"),
    ("> ```sql\n> SELECT a\n> FROM t\n> ```", "SELECT a\nFROM t"),
    ("SELECT count(*) FROM singer\n```\nExplanation: SELECT name FROM singer is wrong.", COUNT),
    ("````sql\nSELECT a FROM t\n````", "SELECT a FROM t"),
    ("```sql\n-- Count\nSELECT count(*) FROM singer;\n```", COUNT),
    ("```sql\n/* a; */\nSELECT count(*) FROM singer -- done; ok\n```", "SELECT count(*) FROM singer -- done; ok"),
    (
        "WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c WHERE n<5)\nSELECT n FROM c;",
        "WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c WHERE n<5)\nSELECT n FROM c",
    ),
    (
        'with "my table" as (select 1)\n, b as (\n  select 2\n)\n\nselect * from b',
        'with "my table" as (select 1)\n, b as (\n  select 2\n)\n\nselect * from b',
    ),
    (
        "WITH `a b` AS NOT MATERIALIZED (SELECT 1) SELECT * FROM `a b`",
        "WITH `a b` AS NOT MATERIALIZED (SELECT 1) SELECT * FROM `a b`",
    ),
    ("Human: how many?\nAssistant: SELECT count(*) FROM singer\nHuman: And", COUNT),
    ("SELECT count(*) FROM singer\nQuestion: How many concerts?\nSQL: SELECT count(*) FROM concert", COUNT),
    ("SELECT count(*) FROM singer\n(6 rows)", COUNT),
    ("SELECT count(*) FROM singer\n[(6,)]", COUNT),
    ("SELECT count(*) FROM singer\n---\nThat's it", COUNT),
    ("SELECT count(*) FROM singer\nwhich counts them.", COUNT),
    ("SELECT count(*) FROM singer\nIt's the number of singers.", COUNT),
    ("SELECT name FROM singer WHERE name = 'O''Brien';", "SELECT name FROM singer WHERE name = 'O''Brien'"),
    (
        "```sql\nSELECT name FROM singer WHERE name = 'O'Brien'\n```\nNote the 'x'.",
        "SELECT name FROM singer WHERE name = 'O'Brien'",
    ),
    ("<answer>The SQL is: SELECT count(*) FROM singer</answer>", COUNT),
    ('{"answer": "```sql\\nSELECT count(*) FROM singer;\\n```"}', COUNT),
    (
        '{"sql": "SELECT count(*) FROM singer", "explanation": "I use SELECT count(*) FROM concert otherwise"}',
        COUNT,
    ),
    ("[THINK]SELECT 1 FROM a[/THINK]SELECT count(*) FROM singer", COUNT),
    ("◁think▷SELECT 1 FROM a◁/think▷SELECT count(*) FROM singer", COUNT),
    (
        "<|START_THINKING|>SELECT 1 FROM a<|END_THINKING|><|START_RESPONSE|>SELECT count(*) FROM si"
        "nger<|END_RESPONSE|>",
        COUNT,
    ),
    ("<seed:think>SELECT 1</seed:think>SELECT count(*) FROM singer", COUNT),
    ("<reasoning>SELECT 1 FROM a</reasoning>\n<sql>SELECT count(*) FROM singer</sql>", COUNT),
    ("<reflection>ok</reflection><output>SELECT count(*) FROM singer</output>", COUNT),
    ("Here is the SQL\r\n\r\n```sql\r\nSELECT a\r\nFROM t;\r\n```\r\n", "SELECT a\r\nFROM t"),
    (
        "SELECT name FROM singer WHERE note = 'a\n\nThis is a note; really.\n' AND x = 1",
        "SELECT name FROM singer WHERE note = 'a\n\nThis is a note; really.\n' AND x = 1",
    ),
    (
        "SELECT CASE WHEN a > 1 THEN 'x'\nELSE 'y' END AS kind\nFROM t",
        "SELECT CASE WHEN a > 1 THEN 'x'\nELSE 'y' END AS kind\nFROM t",
    ),
    (
        "SELECT s.name\nFROM singer\n  s\nJOIN concert c ON c.id = s.id",
        "SELECT s.name\nFROM singer\n  s\nJOIN concert c ON c.id = s.id",
    ),
    (
        "SELECT\n  a,\n  b\nFROM\n  t\nWHERE\n  c IN (\n    SELECT c\n    FROM u\n  )\n  AND d = 2\nLIMIT\n  5\n",
        ("SELECT\n  a,\n  b\nFROM\n  t\nWHERE\n  c IN (\n    SELECT c\n    FROM u\n  )\n  AND d = 2\nLIMIT\n  5"),
    ),
    ("(SELECT a FROM t) UNION (SELECT b FROM u)", "(SELECT a FROM t) UNION (SELECT b FROM u)"),
    ("EXPLAIN QUERY PLAN SELECT a FROM t", "EXPLAIN QUERY PLAN SELECT a FROM t"),
    ("PRAGMA table_info(singer);", "PRAGMA table_info(singer)"),
    ("Analyze the question first.\nSELECT count(*) FROM singer", COUNT),
    ("SELECT 1", "SELECT 1"),
    ("Step 1: Select the singers.\nStep 2: Count.\n\nFinal SQL: SELECT count(*) FROM singer", COUNT),
    ("I select name from singer? No.\n```\nSELECT count(*) FROM singer\n```", COUNT),
    ("SELECT count(*) FROM singer — this counts them", COUNT),
    ("SELECT count(*) FROM singer 👍", COUNT),
    ("SELECT 姓名 FROM 歌手 WHERE 国家 = '中国'。", "SELECT 姓名 FROM 歌手 WHERE 国家 = '中国'"),
    ("SELECT ชื่อ FROM นักร้อง WHERE ประเทศ = 'ไทย'", "SELECT ชื่อ FROM นักร้อง WHERE ประเทศ = 'ไทย'"),
    ('```json\n{"thought": "SELECT 1 FROM a", "sql": "SELECT count(*) FROM singer"}\n```', COUNT),
    ("```yaml\nsql: SELECT count(*) FROM singer\nconfidence: high\n```", COUNT),
    ("<![CDATA[SELECT count(*) FROM singer]]>", COUNT),
    ("SELECT [first name] FROM [my table] WHERE [a;b] = 1;", "SELECT [first name] FROM [my table] WHERE [a;b] = 1"),
    ("SELECT a FROM t WHERE b LIKE '%--%' AND c = 1", "SELECT a FROM t WHERE b LIKE '%--%' AND c = 1"),
    (
        "SELECT DISTINCT name FROM singer\n\nUNION\n\nSELECT name FROM band",
        "SELECT DISTINCT name FROM singer\n\nUNION\n\nSELECT name FROM band",
    ),
    (
        "Certainly.\n\nselect s.name, count(*) from singer s group by s.name having count(*) > 1\n\n"
        "In this query, we group.",
        "select s.name, count(*) from singer s group by s.name having count(*) > 1",
    ),
    ("SELECT count(*) FROM singer\n\nAs you can see, it counts.", COUNT),
    ("SELECT count(*) FROM singer\nWhere needed, add a filter.", COUNT),
    ("SELECT count(*) FROM singer\nOn the other hand, it may fail", COUNT),
    ("SELECT count(*) FROM singer\n\nFrom the singer table we count.", COUNT),
    ("SELECT count(*) FROM singer\nUsing count(*) we get the number.", COUNT),
    ("SELECT count(*) FROM singer\n\nOrder does not matter.", COUNT),
    ("SELECT count(*) FROM singer\n\nOr, if you like:\n\nSELECT count(id) FROM singer", COUNT),
    ("SELECT count(*) FROM singer;\n\nAlternatively:\n\nSELECT count(id) FROM singer;", COUNT),
    ("USE music;\nSELECT count(*) FROM singer;", COUNT),
    ("SELECT count(*) FROM singer\nGO", COUNT),
    ("<s> SELECT count(*) FROM singer </s>", COUNT),
    ("assistant\n\nSELECT count(*) FROM singer", COUNT),
    (
        "The SQL query to get this would be: select count(*) from singer where age > 20 and country = 'US'.",
        "select count(*) from singer where age > 20 and country = 'US'",
    ),
    (
        "SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id -- join\n"
        "WHERE T2.year = 2014 # mysql",
        (
            "SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id -- join\nWHERE "
            "T2.year = 2014 # mysql"
        ),
    ),
    (
        "Table singer has columns: id, name.\n\n`name` is text.\n\n`SELECT name FROM singer;`",
        "SELECT name FROM singer",
    ),
    ("```sql\nSELECT a FROM t;\n```\n\n```sql\nSELECT a FROM", "SELECT a FROM"),
    ("<think>It's 'quoted</think>SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'x'"),
    ("I'll wrap it in `</think>` no.\nSELECT count(*) FROM singer", COUNT),
    ("SELECT count(*) FROM singer;\n<explanation>Select others</explanation>", COUNT),
    ("SELECT count(*) FROM singer\n<explanation>Counts</explanation>", COUNT),
    ("REPLACE INTO t VALUES (1)", "REPLACE INTO t VALUES (1)"),
    ("SELECT replace(name, 'a', 'b') FROM singer", "SELECT replace(name, 'a', 'b') FROM singer"),
    (
        "SELECT name\nFROM singer\nWHERE replace(name, 'a', 'b') = 'c'",
        "SELECT name\nFROM singer\nWHERE replace(name, 'a', 'b') = 'c'",
    ),
    ("ALTER TABLE singer ADD COLUMN x", "ALTER TABLE singer ADD COLUMN x"),
    ("ATTACH DATABASE 'x.db' AS y", "ATTACH DATABASE 'x.db' AS y"),
    (
        "The question asks for the number of singers. I could write\nSELECT count(*) FROM concert;\n"
        "but that is the wrong table.\n</think>\n\nSELECT count(*) FROM singer;",
        COUNT,
    ),
    ("Maybe ```sql\nSELECT 1 FROM a\n``` hmm</think>\n```sql\nSELECT count(*) FROM singer\n```", COUNT),
    (
        "Select the name of every singer older than 20:\n\nSELECT name FROM singer WHERE age > 20;",
        "SELECT name FROM singer WHERE age > 20",
    ),
    (
        "```sql\nWITH\n-- singers per country\nper_country AS (\n"
        "  SELECT country, count(*) AS n FROM singer GROUP BY country\n)\n"
        "SELECT country FROM per_country WHERE n > 1;\n```",
        (
            "WITH\n-- singers per country\nper_country AS (\n  SELECT country, count(*) AS n FROM singer G"
            "ROUP BY country\n)\nSELECT country FROM per_country WHERE n > 1"
        ),
    ),
    ("SQL: select count(*) from singer", "select count(*) from singer"),
    ("SQLQuery: SELECT count(*) FROM singer\nSQLResult: [(6,)]\nAnswer: six", COUNT),
    ("/* count them */ select count(*) from singer", "select count(*) from singer"),
    ("SELECT count(*) FROM singer\n\nThis query counts the rows of the table singer.", COUNT),
    ("<answer>SELECT count(*) FROM singer</answer>", COUNT),
    ("<sql>select count(*) from singer</sql>", "select count(*) from singer"),
    (
        '{"reasoning": "count", "sql": "SELECT count(*) FROM singer WHERE country = \\"France\\""}',
        'SELECT count(*) FROM singer WHERE country = "France"',
    ),
    ("```sql\nSELECT name FROM singer;\n```\nResult:\n```\nname\n----\nJoe\n```", "SELECT name FROM singer"),
    (
        "```sql\nSELECT name FROM singer;\n```\nTo create the table:\n```sql\nCREATE TABLE singer(id int);\n```",
        "SELECT name FROM singer",
    ),
    ("SELECT count(*) FROM singer; SELECT name FROM singer;", "SELECT count(*) FROM singer; SELECT name FROM singer"),
    ("Sure! Here's the SQL:\n\nSELECT count(*) FROM singer;\n\nLet me know if it's ok.", COUNT),
    ("I use SELECT and COUNT. \n```\nselect count(*) from singer\n```", "select count(*) from singer"),
    ("BEGIN;\nSELECT 1 FROM singer;\nCOMMIT;", "SELECT 1 FROM singer"),
    (
        "WITH a AS MATERIALIZED (SELECT * FROM singer) SELECT count(*) FROM a",
        "WITH a AS MATERIALIZED (SELECT * FROM singer) SELECT count(*) FROM a",
    ),
    ("~~~sql\nselect count(*) from singer\n~~~", "select count(*) from singer"),
    ("SELECT name FROM singer WHERE age &gt; 20", "SELECT name FROM singer WHERE age &gt"),
    ("<think>ok</think><think>x</think>\n```sql\nselect 1 from singer;```", "select 1 from singer"),
    ("count(*) FROM singer", ""),
    ("select _ from _ | select count(*) from singer", "select _ from _ | select count(*) from singer"),
    ("SELECT count(*) FROM singer; -- counts; SELECT others", COUNT),
    ("SELECT count(*) FROM singer;\nExplain: we count.", COUNT),
    ("SELECT count(*) FROM singer;\nUpdate: none needed.", COUNT),
    ("SELECT count(*) FROM singer;\nWith this we count.", COUNT),
]


@pytest.mark.parametrize("answer, sql", FORMS)
def test_the_statement_is_taken_and_nothing_else(answer, sql):
    assert extract_sql(answer) == sql


def test_a_statement_taken_once_is_taken_again_as_it_is():
    again = [sql for _, sql in FORMS if "\n\n" not in sql and "O'Brien" not in sql]
    assert [extract_sql(sql) for sql in again] == again


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name name FROM FROM singer WHERE",
        "SELECT a b c d FROM t WHERE x IN (SELECT y FROM u)",
        "WITH a (SELECT b FROM c) SELECT d FROM e",
        "WITH a AS SELECT b FROM c",
        "SELECT count(*)) FROM singer",
        "SELECT a FROM t WHERE b = 'x",
        "SELECT a FROM t; SELECT b b b FROM u",
    ],
)
def test_a_malformed_answer_stays_whole_and_malformed(sql):
    assert extract_sql(sql) == sql


@pytest.mark.parametrize("part", ["name FROM t WHERE x IN (SELECT y FROM u)", "a FROM t UNION SELECT b FROM u"])
def test_a_part_of_a_broken_query_is_no_answer(part):
    assert extract_sql(part) == ""


REPEATED = [
    *(
        "`",
        "``` ",
        "~",
        "<",
        "{",
        "'",
        '"',
        "/*",
        "select ",
        "SELECT a FROM b ",
        "select 'a ",
        "select -- ",
        "select /* ",
    ),
    *(
        "select/*",
        "'a': 'x\\' ",
        '"a": "',
        "<think> ",
        "</think>",
        "'</think>' ",
        "<sql>",
        "[",
        "with a as (",
        "(select ",
    ),
    *(
        "values ((",
        "--",
        ";",
        "；",
        "\\",
        "<|im_end|>",
        '"select a"x ',
        "select 1; /* ",
        '"""',
        "select a\n",
        "\n",
        ". ",
    ),
]


@pytest.mark.parametrize("part", REPEATED)
def test_no_text_takes_more_than_linear_time(part):
    def seconds(characters: int) -> float:
        text = part * (characters // len(part))
        began = time.process_time()
        extract_sql(text)
        return time.process_time() - began

    seconds(500)
    assert seconds(16_000) < 12 * seconds(4_000) + 0.05  # 16 times were quadratic
