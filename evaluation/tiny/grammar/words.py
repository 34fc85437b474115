"""English for the question grammar: plurals, articles, lists, and how a value of a column is said."""

from __future__ import annotations

import re
from functools import cache

from evaluation.tiny.domain import Column

PARTICIPLES = {
    "release": "released",
    "publication": "published",
    "publishing": "published",
    "founding": "founded",
    "foundation": "founded",
    "opening": "opened",
    "construction": "built",
    "building": "built",
    "birth": "born",
    "hiring": "hired",
    "hire": "hired",
    "launch": "launched",
    "launching": "launched",
    "renovation": "renovated",
    "production": "produced",
    "creation": "created",
    "establishment": "established",
    "planting": "planted",
    "admission": "admitted",
    "purchase": "purchased",
    "registration": "registered",
    "manufacture": "manufactured",
    "completion": "completed",
    "adoption": "adopted",
    "discovery": "discovered",
    "recording": "recorded",
    "signing": "signed",
}
IRREGULAR = {"have": "has", "are": "is", "do": "does", "go": "goes"}
PLURALS = {"life": "lives", "person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet"}
UNCOUNTABLE = ("parking", "insurance", "staff", "equipment", "money", "pay", "population", "attendance")
PAST = frozenset((
    "began", "bought", "built", "came", "did", "drew", "drove", "flew", "found", "fought", "gave", "grew", "had",
    "held", "kept", "led", "lost", "made", "met", "paid", "put", "ran", "read", "sang", "saw", "sent", "sold",
    "spent", "spoke", "taught", "took", "went", "won", "wore", "wrote", "was", "were",
))  # fmt: skip
BY_RESULT = frozenset((
    "born", "bought", "built", "driven", "flown", "given", "grown", "held", "kept", "led", "made", "paid", "run",
    "sold", "sung", "taught", "taken", "won", "written",
))  # fmt: skip
HEAD_END = re.compile(r" (?:of|in|per|at|for|from|on|to|by) ")


@cache
def plural(phrase: str) -> str:
    """The plural of a noun phrase, at its head.

    >>> plural("year of birth"), plural("country"), plural("box"), plural("sales")
    ('years of birth', 'countries', 'boxes', 'sales')
    """
    match = HEAD_END.search(phrase)
    if match:
        return plural(phrase[: match.start()]) + phrase[match.start() :]
    last = phrase.rsplit(" ", 1)[-1]
    if last in PLURALS:
        return phrase.removesuffix(last) + PLURALS[last]
    if phrase.endswith(UNCOUNTABLE) or (phrase.endswith("s") and not phrase.endswith(("ss", "us", "is"))):
        return phrase
    if phrase.endswith("y") and phrase[-2:-1] not in "aeiou":
        return phrase[:-1] + "ies"
    return phrase + ("es" if phrase.endswith(("s", "x", "ch", "sh", "z")) else "s")


@cache
def with_article(phrase: str) -> str:
    """The phrase after "a" or "an", or as it is when it is plural or cannot be counted.

    >>> with_article("age"), with_article("university"), with_article("sales")
    ('an age', 'a university', 'sales')
    """
    head = HEAD_END.split(phrase)[0]
    if head.endswith(UNCOUNTABLE) and not head.endswith(("population", "attendance")):
        return phrase
    if head.endswith("s") and not head.endswith(("ss", "us", "is")):
        return phrase
    return a_or_an(phrase)


def a_or_an(phrase: str) -> str:
    """
    >>> a_or_an("artist who sings"), a_or_an("university"), a_or_an("jazz album")
    ('an artist who sings', 'a university', 'a jazz album')
    """
    vowel = phrase[0].lower() in "aeiou" and not phrase.lower().startswith(("uni", "use", "eu", "one"))
    return f"{'an' if vowel or phrase.startswith('hour') else 'a'} {phrase}"


def listed(phrases: list[str]) -> str:
    """
    >>> listed(["name"]), listed(["name", "age"]), listed(["name", "age", "city"])
    ('name', 'name and age', 'name, age and city')
    """
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


def agreed(clause: str, word: str) -> str:
    """ "whose sales is" as "whose sales are", when the column's word is plural."""
    if plural(word) != word or word.endswith(UNCOUNTABLE) or not clause.startswith(f"whose {word} "):
        return clause
    verb, _, rest = clause.removeprefix(f"whose {word} ").partition(" ")
    return f"whose {word} {'are' if verb == 'is' else verb.removesuffix('s')} {rest}"


@cache
def participle(column: Column) -> str:
    """ "published" for a publication year, "" when its words hold none."""
    for word in column.words:
        for part in word.split():
            if part in PARTICIPLES:
                return PARTICIPLES[part]
    return ""


@cache
def counted(column: Column) -> str:
    """ "pages" for a "number of pages" (so that one can say "more than 300 pages"), "" for other columns."""
    for word in column.words:
        if word.startswith("number of "):
            return word.removeprefix("number of ")
    return ""


def said(value: int | float | str) -> str:
    """A value in a question, the same characters as in the query."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else repr(value)


def with_unit(column: Column, word: str, value: int | float) -> str:
    """ "20 dollars"; without the unit where the column's word says it already ("number of seats")."""
    if not column.unit or column.unit.rstrip("s") in word or column.kind != "number":
        return said(value)
    if value == 1 and column.unit.endswith("s"):
        return f"1 {column.unit[:-1]}"
    return f"{said(value)} {column.unit}"


@cache
def singular_verb(clause: str) -> str:
    """A clause about many, about one; clauses that hold no present verb stay as they are.

    >>> singular_verb("that have parking"), singular_verb("who teach Art"), singular_verb("who wrote Emma")
    ('that has parking', 'who teaches Art', 'who wrote Emma')
    """
    who, _, rest = clause.partition(" ")
    verb, _, rest = rest.partition(" ")
    if who not in ("who", "that") or verb.endswith("ed") or verb in PAST:
        return clause
    return f"{who} {IRREGULAR.get(verb) or plural(verb)} {rest}"


@cache
def finite(clause: str) -> str:
    """A clause after a noun as the rest of "Which albums …?"; "" where that is not English.

    >>> finite("who wrote Emma"), finite("written by Ann"), finite("with parking"), finite("whose age is 3")
    ('wrote Emma', 'were written by Ann', 'have parking', '')
    """
    first, _, rest = clause.partition(" ")
    if first in ("who", "that"):
        return rest
    if first == "with":
        return f"have {rest}"
    if first in BY_RESULT or first in PARTICIPLES.values():
        return f"were {clause}"
    if first in ("in", "by", "at", "from") or first.endswith("ed"):
        return f"are {clause}"
    return ""


def sentence(text: str) -> str:
    """The text with a capital at the front and no doubled blanks."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]
