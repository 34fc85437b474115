"""Publishers, their authors, the books, and the readers who borrow them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

PUBLISHERS = (
    "Larkspur Press, Bright Harbor Books, Stonebridge House, Red Kite Publishing, Inkwell and Sons, Meridian Books, "
    "Foxglove Editions, Tall Pine Press, Lighthouse Media, Cobalt Books, Quill Street, Juniper House"
)

AUTHORS = (
    "Edith Marlowe, Samuel Thorne, Beatrix Holm, Arjun Mehta, Colette Dubois, Harold Pike, Lucia Moreno, Viktor "
    "Sokolov, Miriam Adler, Tobias Wren, Hana Suzuki, Declan Byrne, Rosalind Achebe, Anton Kessler, Freya Nilsen, "
    "Pablo Iglesias, Winifred Stone, Emeka Obi, Judith Crane, Matteo Conti, Agnes Bauer, Nathan Cole, Leila Haddad, "
    "Orson Blake"
)

BOOKS = (
    "The Silent Harbor, A Garden of Ashes, Salt and Iron, The Clockmaker, Beneath the Ice, Letters from Nowhere, The "
    "Glass Orchard, Night Train North, The Last Cartographer, Wolves of Winter, A Brief Summer, The Copper Key, House "
    "of Sparrows, The Long Shadow, Paper Boats, City of Lamps, The Seventh Door, Broken Compass, Moon over Marsh, The "
    "Quiet Empire, Red Clay, A Thousand Steps, The Weaver, Storm Season, The Lost Atlas, Cold Water, The Painted Room, "
    "Song of the Reed, Bitter Almonds, The Stone Bridge, Falling Stars, The Beekeeper, Northern Light, Two Rivers, The "
    "Hollow Crown, Dust and Honey, The Empty Chair, Wild Thyme, The Observatory, Last Ferry Home, A Map of Rain, The "
    "Iron Gate, Sleepless, The Orange Tree, Winter Bread"
)

READERS = (
    "Alice Turner, Ben Archer, Carla Dunn, Dario Fenn, Ella Grant, Frank Hobbs, Gina Lowe, Henry Nash, Iris Palmer, "
    "Jack Reeves, Kira Shaw, Liam Tate, Molly Vance, Noah Wells, Olga York, Peter Zane, Quentin Ames, Rita Boyd, Simon "
    "Clay, Tina Drake, Umar Ellis, Vera Flynn, Walter Gibbs, Xenia Hart, Yusuf Khan, Zoe Lane, Adam Moss, Bella Neal, "
    "Cyrus Park, Dora Quick"
)

DOMAIN = Domain(
    name="library",
    tables=(
        Table(
            "publisher",
            ("publisher", "publishing house"),
            ("publishers", "publishing houses"),
            (
                Column("publisher_id", "id"),
                Column("name", "name", ("name",), pool=tuple(PUBLISHERS.split(", "))),
                Column(
                    "founded", "year", ("founding year", "year of foundation"), low=1880, high=2012,
                    more=("newer", "younger"), less=("older",), most=("newest", "youngest"), least=("oldest",),
                ),
                Column(
                    "headquarters", "category", ("headquarters", "head office"),
                    pool=("Boston", "Edinburgh", "Toronto", "Berlin", "Sydney"), adjective="{}",
                ),
            ),
            rows=12,
        ),
        Table(
            "author",
            ("author", "writer"),
            ("authors", "writers"),
            (
                Column("author_id", "id"),
                Column("publisher_id", "fk"),
                Column("full_name", "name", ("name", "full name"), pool=tuple(AUTHORS.split(", "))),
                Column(
                    "birth_year", "year", ("birth year", "year of birth"), low=1921, high=1994,
                    most=("youngest",), least=("oldest",),
                ),
                Column(
                    "country", "category", ("country", "home country"),
                    pool=("England", "India", "France", "Norway", "Nigeria", "Spain"),
                ),
                Column("retired", "flag", ("retirement",), adjective="retired"),
            ),
            rows=24,
        ),
        Table(
            "book",
            ("book",),
            ("books",),
            (
                Column("book_id", "id"),
                Column("author_id", "fk"),
                Column("title", "name", ("title",), pool=tuple(BOOKS.split(", "))),
                Column(
                    "genre", "category", ("genre", "kind"),
                    pool=("mystery", "fantasy", "romance", "history", "poetry", "horror"), adjective="{}",
                ),
                Column(
                    "pages", "number", ("number of pages", "page count", "length"), low=90, high=880, step=2,
                    more=("longer",), less=("shorter",), most=("longest",), least=("shortest",), unit="pages",
                ),
                Column(
                    "price", "number", ("price", "cost"), low=6, high=48, step=0.25,
                    more=("more expensive",), less=("cheaper",), most=("most expensive",), least=("cheapest",),
                    unit="dollars",
                ),
                Column(
                    "published", "year", ("publication year", "year of publication"), low=1955, high=2023,
                    more=("newer", "more recent"), less=("older",), most=("newest", "most recent"), least=("oldest",),
                ),
            ),
            rows=45,
        ),
        Table(
            "reader",
            ("reader", "library member"),
            ("readers", "library members"),
            (
                Column("reader_id", "id"),
                Column("full_name", "name", ("name", "full name"), pool=tuple(READERS.split(", "))),
                Column(
                    "age", "number", ("age",), low=8, high=84,
                    more=("older",), less=("younger",), most=("oldest",), least=("youngest",), unit="years",
                ),
                Column(
                    "joined", "date", ("joining date", "date of joining"), low=2012, high=2024,
                    most=("newest", "most recent"), least=("longest standing",), nullable=0.1,
                ),
                Column(
                    "membership", "category", ("membership", "type of membership"),
                    pool=("junior", "standard", "premium", "senior"), adjective="{}",
                ),
            ),
            rows=30,
        ),
        Table(
            "loan",
            ("loan",),
            ("loans",),
            (
                Column("reader_id", "fk"),
                Column("book_id", "fk"),
                Column("loan_date", "date", ("loan date",), low=2022, high=2024),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link(
            "author", "publisher_id", "publisher",
            ("published by {}", "under contract with {}"), ("representing {}", "working with {}"),
        ),
        Link("book", "author_id", "author", ("written by {}", "by {}"), ("who wrote {}",)),
        Link("loan", "reader_id", "reader"),
        Link("loan", "book_id", "book"),
    ),
    bridges=(
        Bridge(
            "loan", "reader", "reader_id", "book", "book_id",
            ("who borrowed {}", "who took out {}"), ("borrowed by {}", "lent to {}"),
        ),
    ),
)
