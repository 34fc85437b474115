"""The hand-written domains of the tiny benchmark, sorted by name.

Conventions on top of `Domain`: every fk, also of a bridge table, has one `Link`; a bridge table has no id; `low` and
`high` of a date are its years. A category's `adjective` is "{}" (jazz concerts); a flag's is the word said when the
value is "yes" ("retired authors", "authors who are not retired"), and a flag without one reads "with parking",
"without parking" from its words. Comparatives and superlatives follow the value: `more` is the larger value, so a year
column may have more=("newer",) and a birth year most=("youngest",); within one table no such word is used twice.
"""

from evaluation.tiny.domain import Domain
from evaluation.tiny.domains import (
    airline,
    company,
    concerts,
    films,
    football,
    hospital,
    housing,
    library,
    museum,
    restaurants,
    shop,
    university,
)

DOMAINS: tuple[Domain, ...] = (
    airline.DOMAIN,
    company.DOMAIN,
    concerts.DOMAIN,
    films.DOMAIN,
    football.DOMAIN,
    hospital.DOMAIN,
    housing.DOMAIN,
    library.DOMAIN,
    museum.DOMAIN,
    restaurants.DOMAIN,
    shop.DOMAIN,
    university.DOMAIN,
)

__all__ = ["DOMAINS"]
