"""The shop of docs/own-data.md: `python docs/shop/build.py [FILE]` writes shop.sqlite, with the same rows every time.

It is as databases are: keys of text and keys of two columns, a category under a category, names with blanks and
brackets, names that SQL has taken, dates as text, money as decimals, and cells that nobody filled in.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

SCHEMA = """
CREATE TABLE countries (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  vat_rate REAL NOT NULL
);
CREATE TABLE customers (
  customer_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT UNIQUE,
  city TEXT NOT NULL,
  country_code TEXT NOT NULL REFERENCES countries(code),
  "Signed Up" DATE NOT NULL,
  newsletter TEXT CHECK (newsletter IN ('yes', 'no'))
);
CREATE TABLE categories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  parent_id INTEGER REFERENCES categories(id)
);
CREATE TABLE suppliers (
  id INTEGER PRIMARY KEY,
  company TEXT NOT NULL UNIQUE,
  country_code TEXT REFERENCES countries(code),
  "Lead Time (days)" INTEGER
);
CREATE TABLE products (
  sku TEXT PRIMARY KEY,
  title TEXT NOT NULL UNIQUE,
  category_id INTEGER NOT NULL REFERENCES categories(id),
  supplier_id INTEGER REFERENCES suppliers(id),
  price DECIMAL(8, 2) NOT NULL,
  weight_g INTEGER,
  stock INTEGER NOT NULL,
  discontinued DATE
);
CREATE TABLE orders (
  order_id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers(customer_id),
  ordered_on DATE NOT NULL,
  shipped_on DATE,
  status TEXT NOT NULL,
  "shipping fee" DECIMAL(6, 2) NOT NULL
);
CREATE TABLE "order lines" (
  order_id INTEGER NOT NULL REFERENCES orders(order_id),
  line INTEGER NOT NULL,
  sku TEXT NOT NULL REFERENCES products(sku),
  quantity INTEGER NOT NULL,
  unit_price DECIMAL(8, 2) NOT NULL,
  discount_percent INTEGER,
  PRIMARY KEY (order_id, line)
);
CREATE TABLE payments (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders(order_id),
  paid_on DATE NOT NULL,
  method TEXT NOT NULL,
  amount DECIMAL(9, 2) NOT NULL
);
CREATE TABLE returns (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL,
  line INTEGER NOT NULL,
  "when" DATE NOT NULL,
  reason TEXT,
  refund DECIMAL(8, 2) NOT NULL,
  FOREIGN KEY (order_id, line) REFERENCES "order lines"(order_id, line)
);
CREATE TABLE reviews (
  id INTEGER PRIMARY KEY,
  sku TEXT NOT NULL REFERENCES products(sku),
  customer_id INTEGER NOT NULL REFERENCES customers(customer_id),
  stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
  comment TEXT,
  written_on DATE NOT NULL
);
"""
COUNTRIES = (
    ("DE", "Germany", 19.0), ("FR", "France", 20.0), ("NL", "Netherlands", 21.0), ("AT", "Austria", 20.0),
    ("IE", "Ireland", 23.0), ("PL", "Poland", 23.0), ("CI", "Côte d'Ivoire", 18.0), ("JP", "Japan", 10.0),
)  # fmt: skip
CITIES = {
    "DE": ("Berlin", "Hamburg", "Köln", "Leipzig"), "FR": ("Paris", "Lyon", "Nantes"), "NL": ("Utrecht", "Delft"),
    "AT": ("Wien", "Graz"), "IE": ("Dublin", "Cork"), "PL": ("Gdańsk", "Kraków"), "CI": ("Abidjan",),
    "JP": ("Osaka", "Kyoto"),
}  # fmt: skip
FIRST = ("Anna", "Ben", "Chloé", "Dario", "Eva", "Finn", "Greta", "Hugo", "Ines", "Jan", "Katja", "Luca", "Mila",
         "Niall", "Olga", "Pavel", "Rosa", "Sota", "Tara", "Yuki")  # fmt: skip
LAST = ("Albrecht", "Bakker", "Costa", "Dubois", "Endo", "Fischer", "Gruber", "Horvath", "Ito", "Jansen", "Kowalski",
        "Leroy", "Moreau", "Nowak", "O'Brien", "Petit", "Quinn", "Richter", "Sato", "Walsh")  # fmt: skip
CATEGORIES = (  # name, the category above it
    ("Kitchen", None), ("Garden", None), ("Office", None), ("Knives", 1), ("Cookware", 1), ("Tea", 1), ("Tools", 2),
    ("Seeds", 2), ("Paper", 3), ("Pens", 3), ("Lamps", 3),
)  # fmt: skip
THINGS = {  # category -> things, cheapest, dearest
    4: (("Paring Knife", "Bread Knife", "Chef's Knife", "Cleaver"), 9, 140),
    5: (("Frying Pan", "Saucepan", "Casserole", "Wok"), 19, 190),
    6: (("Teapot", "Kettle", "Tea Strainer", "Matcha Bowl"), 6, 90),
    7: (("Spade", "Rake", "Secateurs", "Hand Fork"), 8, 75),
    8: (("Tomato Seeds", "Basil Seeds", "Sunflower Seeds"), 2, 6),
    9: (("Notebook", "Sketchbook", "Letter Paper"), 4, 28),
    10: (("Fountain Pen", "Ballpoint", "Brush Pen"), 3, 160),
    11: (("Desk Lamp", "Floor Lamp"), 25, 240),
}
STYLES = ("Alba", "Borough", "Cedar", "Dune", "Ember", "Fjord", "Grove")
SUPPLIERS = ("Alder & Sons", "Brightwater", "Casa Lucia", "Dreizack", "Etoile Sarl", "Fuji Works", "Green Fingers",
             "Harbour Trade", "Ivory Coast Crafts")  # fmt: skip
METHODS = ("card", "card", "card", "bank transfer", "PayPal", "gift card")
REASONS = ("damaged", "too late", "wrong item", "not as described", None)
COMMENTS = ("Does what it should.", "Broke after a week.", "A present, well received.", "Smaller than I thought",
            "Would buy again!", "Arrived with a scratch", None, None, None)  # fmt: skip
FIRST_DAY, DAYS = date(2022, 1, 3), 1260
Rows = Iterator[tuple[object, ...]]


def build(target: Path) -> None:
    """Writes the database, whole or not at all."""
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as database:
        database.executescript("PRAGMA foreign_keys = ON;" + SCHEMA)
        for table, rows in tables(random.Random(1987)).items():
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
        database.commit()
        database.execute("VACUUM")
    os.replace(partial, target)


def tables(rng: random.Random) -> dict[str, list[tuple[object, ...]]]:
    """Table -> its rows, parents first."""
    made: dict[str, list[tuple[object, ...]]] = {
        "countries": list(COUNTRIES),
        "customers": list(customers(rng)),
        "categories": [(i, *row) for i, row in enumerate(CATEGORIES, 1)],
        "suppliers": list(suppliers(rng)),
        "products": list(products(rng)),
    }
    made["orders"] = list(orders(rng, made["customers"]))
    made["order lines"] = list(lines(rng, made["orders"], made["products"]))
    made["payments"] = list(payments(rng, made["orders"], made["order lines"]))
    made["returns"] = list(returns(rng, made["orders"], made["order lines"]))
    made["reviews"] = list(reviews(rng, made["orders"], made["order lines"]))
    return made


def customers(rng: random.Random) -> Rows:
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    rng.shuffle(names)
    for i, name in enumerate(names[:260], 1):
        country = rng.choices([code for code, *_ in COUNTRIES], (9, 6, 4, 3, 3, 3, 1, 2))[0]
        email = f"{name.lower().replace(' ', '.').replace(chr(39), '')}@example.org" if rng.random() < 0.85 else None
        newsletter = rng.choice(("yes", "no", "no", None))
        yield i, name, email, rng.choice(CITIES[country]), country, day(rng, 0, 300), newsletter


def suppliers(rng: random.Random) -> Rows:
    days = [2, 3, 4, 5, 7, 10, 14, 21, None]
    rng.shuffle(days)
    for i, company in enumerate(SUPPLIERS, 1):
        yield i, company, None if i == 8 else rng.choice(COUNTRIES)[0], days[i - 1]


def products(rng: random.Random) -> Rows:
    for category, (things, low, high) in THINGS.items():
        for thing in things:
            for style in rng.sample(STYLES, 4):
                price = round(low + (high - low) * rng.random() ** 2, 0) + rng.choice((0.0, 0.5, 0.95, 0.99))
                sku = f"{thing[:2].upper()}-{style[:3].upper()}-{category:02}{things.index(thing)}"
                supplier = rng.choice((None, *range(1, 9)))
                weight = None if rng.random() < 0.1 else rng.randrange(20, 4000, 10)
                gone = day(rng, 700, DAYS) if rng.random() < 0.12 else None
                yield sku, f"{style} {thing}", category, supplier, price, weight, rng.randrange(0, 160), gone


def orders(rng: random.Random, buyers: list[tuple[object, ...]]) -> Rows:
    weights = [1 / (1 + place) ** 0.6 for place in range(len(buyers) - 20)] + [0.0] * 20
    rng.shuffle(weights)
    for i, start in enumerate(sorted(rng.randrange(300, DAYS) for _ in range(1100)), 1):
        status = rng.choices(("delivered", "shipped", "open", "cancelled"), (80, 8, 7, 5))[0]
        sent = start + rng.randrange(1, 9) if status in ("delivered", "shipped") else None
        fee = rng.choice((0.0, 0.0, 3.9, 3.9, 5.9, 12.5))
        yield i, rng.choices(buyers, weights)[0][0], at(start), sent and at(sent), status, fee


def lines(rng: random.Random, placed: list[tuple[object, ...]], sold: list[tuple[object, ...]]) -> Rows:
    popular = [1 / (1 + place) ** 0.5 for place in range(len(sold) - 6)] + [0.0] * 6
    rng.shuffle(popular)
    for order, *_ in placed:
        for line in range(1, rng.choice((1, 1, 1, 2, 2, 3, 4)) + 1):
            sku, _, _, _, price, *_ = rng.choices(sold, popular)[0]
            yield order, line, sku, rng.choice((1, 1, 1, 2, 2, 3, 5)), price, rng.choice((None, None, None, 5, 10, 20))


def payments(rng: random.Random, placed: list[tuple[object, ...]], bought: list[tuple[object, ...]]) -> Rows:
    totals: dict[object, float] = {}
    for order, _, _, quantity, price, discount in bought:
        totals[order] = totals.get(order, 0.0) + quantity * price * (1 - (discount or 0) / 100)  # type: ignore[operator]
    paid = [row for row in placed if row[4] in ("delivered", "shipped") or rng.random() < 0.2]
    for i, (order, _, ordered_on, _, _, fee) in enumerate(paid, 1):
        when = date.fromisoformat(str(ordered_on)) + timedelta(days=rng.randrange(0, 15))
        yield i, order, when.isoformat(), rng.choice(METHODS), round(totals[order] + fee, 2)  # type: ignore[operator]


def returns(rng: random.Random, placed: list[tuple[object, ...]], bought: list[tuple[object, ...]]) -> Rows:
    sent = {row[0]: row[3] for row in placed if row[4] == "delivered"}
    back = [row for row in bought if row[0] in sent and rng.random() < 0.05]
    for i, (order, line, _, quantity, price, _) in enumerate(back, 1):
        when = date.fromisoformat(str(sent[order])) + timedelta(days=rng.randrange(3, 30))
        yield i, order, line, when.isoformat(), rng.choice(REASONS), round(quantity * price, 2)  # type: ignore[operator]


def reviews(rng: random.Random, placed: list[tuple[object, ...]], bought: list[tuple[object, ...]]) -> Rows:
    sent = {row[0]: (row[1], row[3]) for row in placed if row[4] == "delivered"}
    rated = [row for row in bought if row[0] in sent and rng.random() < 0.25]
    for i, (order, _, sku, *_) in enumerate(rated, 1):
        buyer, when = sent[order]
        written = date.fromisoformat(str(when)) + timedelta(days=rng.randrange(2, 60))
        yield i, sku, buyer, rng.choice((1, 2, 3, 4, 4, 5, 5, 5)), rng.choice(COMMENTS), written.isoformat()


def day(rng: random.Random, first: int, last: int) -> str:
    return at(rng.randrange(first, last))


def at(days: int) -> str:
    return (FIRST_DAY + timedelta(days=days)).isoformat()


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("shop.sqlite"))
