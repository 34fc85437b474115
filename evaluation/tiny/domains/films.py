"""Studios, directors, the films they made together and the actors in them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

STUDIOS = (
    "Silver Reel, Bluestone Pictures, Northern Lights Films, Paragon House, Cinema Verde, Red Lantern Studios, Atlas "
    "Motion, Dreamfield, Kestrel Films, Old Harbor Pictures, Sunrise Cinema, Wide Angle"
)

DIRECTORS = (
    "Alma Reinhart, Bruno Castell, Charlotte Dray, Dimitri Volkov, Elias Hartmann, Francine Noel, Gordon Lake, Hiroshi "
    "Abe, Ilona Szabo, Jacob Sterling, Kavita Sharma, Lars Engstrom, Manuel Ibarra, Nicole Archer, Otis Freeman, "
    "Paloma Reyes, Reza Karimi, Sabine Wolf"
)

FILMS = (
    "The Last Harvest, Midnight Ferry, Shadow Line, A Perfect Stranger, City of Ghosts, Rust, The Glass Tower, Her "
    "Second Life, Dead Reckoning, Paper Heart, The Long Drive, Under the Bridge, Cold Harbor, Love in Lisbon, The "
    "Inventor, Dust Storm, Laughing Matters, The Night Shift, Broken Wings, Escape Route, The Wedding Cake, Silent "
    "Valley, Two Left Feet, The Vault, Bright Lights, Sons of Iron, The Lighthouse Keeper, Red Planet Rising, Summer "
    "House, The Witness, Black Coffee, The Quiet Neighbor, Highland Song, Final Exam, Ocean Drive, The Impostor, Wild "
    "Horses, A Winter Tale, The Bookshop, Nine Lives"
)

ACTORS = (
    "Aisha Campbell, Benedict Lowe, Carmen Solis, Derek Holloway, Evelyn Chow, Finn Mallory, Gwen Ashford, Hakim Diop, "
    "Ivana Petrovic, Joel Rivers, Kate Winslow, Lionel Graves, Miranda Fox, Nathaniel Cruz, Odette Martin, Percy "
    "Young, Ramona Hill, Scott Delgado, Tessa Bloom, Ugo Ferri, Vivian Leighton, William Tran, Yasmin Haddad, Zoltan "
    "Nagy, Ariel Stone, Bradley Pike, Celeste Dumas, Dante Russo, Elsa Nyberg, Freddie Knox, Gemma Tate, Harvey Black"
)

DOMAIN = Domain(
    name="films",
    tables=(
        Table(
            "studio",
            ("studio", "film studio"),
            ("studios", "film studios"),
            (
                Column("studio_id", "id"),
                Column("name", "name", ("name",), pool=tuple(STUDIOS.split(", "))),
                Column("city", "category", ("city",), pool=("Hollywood", "Mumbai", "Rome", "Vancouver")),
                Column(
                    "founded", "year", ("founding year", "year of foundation"), low=1919, high=2010,
                    more=("newer", "younger"), less=("older",), most=("newest", "youngest"), least=("oldest",),
                ),
                Column("listed", "flag", ("stock listing",), adjective="listed"),
            ),
            rows=12,
        ),
        Table(
            "director",
            ("director", "film director"),
            ("directors", "film directors"),
            (
                Column("director_id", "id"),
                Column("name", "name", ("name",), pool=tuple(DIRECTORS.split(", "))),
                Column(
                    "age", "number", ("age",), low=29, high=81,
                    more=("older",), less=("younger",), most=("oldest",), least=("youngest",), unit="years",
                ),
                Column(
                    "nationality", "category", ("nationality",),
                    pool=("American", "Hungarian", "Mexican", "Iranian", "Korean"), adjective="{}",
                ),
                Column("oscars", "number", ("number of Oscars", "Oscar count"), low=0, high=6, unit="Oscars"),
            ),
            rows=18,
        ),
        Table(
            "film",
            ("film", "movie"),
            ("films", "movies"),
            (
                Column("film_id", "id"),
                Column("studio_id", "fk"),
                Column("director_id", "fk"),
                Column("title", "name", ("title", "name"), pool=tuple(FILMS.split(", "))),
                Column(
                    "genre", "category", ("genre", "kind"),
                    pool=("drama", "comedy", "thriller", "western", "adventure"), adjective="{}",
                ),
                Column(
                    "released", "year", ("release year", "year of release"), low=1972, high=2024,
                    more=("newer", "more recent"), less=("older",), most=("newest", "most recent"), least=("oldest",),
                ),
                Column(
                    "running_time", "number", ("running time", "length"), low=74, high=212,
                    more=("longer",), less=("shorter",), most=("longest",), least=("shortest",), unit="minutes",
                ),
                Column(
                    "box_office", "number", ("box office", "earnings"), low=1, high=840, step=0.5,
                    most=("most successful", "highest grossing"),
                    least=("least successful", "lowest grossing"), unit="million dollars", nullable=0.1,
                ),
            ),
            rows=40,
        ),
        Table(
            "actor",
            ("actor", "performer"),
            ("actors", "performers"),
            (
                Column("actor_id", "id"),
                Column("name", "name", ("name",), pool=tuple(ACTORS.split(", "))),
                Column(
                    "birth_date", "date", ("birth date", "date of birth"), low=1942, high=2004,
                    most=("youngest",), least=("oldest",),
                ),
                Column("training", "category", ("training",), pool=("stage", "television", "dance", "circus")),
            ),
            rows=32,
        ),
        Table(
            "casting",
            ("casting",),
            ("castings",),
            (
                Column("film_id", "fk"),
                Column("actor_id", "fk"),
                Column("part", "category", ("part", "role"), pool=("lead", "supporting", "minor", "cameo")),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("film", "studio_id", "studio", ("produced by {}", "made by {}"), ("that produced {}", "that made {}")),
        Link("film", "director_id", "director", ("directed by {}", "by {}"), ("who directed {}", "who made {}")),
        Link("casting", "film_id", "film"),
        Link("casting", "actor_id", "actor"),
    ),
    bridges=(
        Bridge(
            "casting", "actor", "actor_id", "film", "film_id",
            ("who appeared in {}", "who acted in {}"), ("starring {}", "featuring {}"),
        ),
    ),
)
