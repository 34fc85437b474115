"""English words as `graph.link` compares them: stems, words that say nothing, and what questions mean by some words.

A question in another language links by its cells and by the names that it shares with the schema, cut out of scripts
without spaces by `graph.segment`; where it shares none, the whole schema is kept.
"""

from __future__ import annotations

from functools import lru_cache

_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "est", "ed", "es", "ly", "s", "e", "y")
# What questions say: words in the names of the columns that they mean.
_HINTS = """
    who: name first last person
    person people called: name
    where: city location country place address
    when: date time year
    old young age: age birth
    born: birth
    long: length duration time
    fast: speed time
    heavy: weight
    tall high: height
    big large: size area population
    rich: price money
    cost much pay: price cost amount
    expensive cheap: price cost
    money: amount price
    earn: salary
    live: city address country
    recent latest earliest: date
    new: date year
    day month: date
    how: number
    title: name
    name: title
    sex male female: gender sex
    gender: sex
    email: mail
    phone: telephone cell
    telephone: phone
    kind: type category
    type: category
    category: type
    nation citizen origin: country
    airport: airline
"""


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The word without its ending; crude, but the same for names and questions.

    >>> stem("countries"), stem("country"), stem("singers"), stem("ages"), stem("age")
    ('countr', 'countr', 'sing', 'ag', 'ag')
    """
    word = word.casefold()
    for ending in _ENDINGS:
        shortest = 2 if ending in ("s", "e", "y", "es") else 3
        if word.endswith(ending) and len(word) - len(ending) >= shortest:
            return word[: -len(ending)]
    return word


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, text.split()))


def _hints() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in _HINTS.strip().splitlines():
        said, meant = line.split(":")
        for word in said.split():
            found[stem(word)] = found.get(stem(word), ()) + tuple(map(stem, meant.split()))
    return found


HINTS = _hints()
"""stem of a question's word -> stems of names."""
STOP = _stems("""
    a an the of in on at to for from by with and or is are be was were do does have has had what which who whose whom
    how show list find give all each every that this these those it their there any as not no me us our i you your than
""")
COUNTING = _stems("number count many")
MEASURING = _stems("""
    average mean total sum max min maximum minimum high low most least great large small old young long short more less
    over under above below between
""")
DATING = _stems("year month day date time")
NAMING = _stems("name title fname lname")
IDENTIFYING = _stems("id code key no num number")
_SUMMING = _stems("""
    total sum average mean amount much revenue income profit sale sold spend spent earn earned cost paid pay worth
""")


def sums(text: str) -> bool:
    """Whether a question may add up numbers that it does not name; where it is not English, it may."""
    words = [word.strip("?!.,;:") for word in text.split()]
    return any(stem(word) in _SUMMING for word in words) or 2 * sum(map(str.isascii, words)) < len(words)
