"""Cities, their venues, the concerts held there and the artists who play them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

CITIES = "London, Lisbon, Vienna, Dublin, Munich, Oslo, Porto, Lyon, Turin, Prague, Warsaw, Seville, Ghent, Bergen"

VENUES = (
    "Wembley Arena, Harbour Hall, Opal Theatre, Riverside Dome, Crown Stage, Blue Lantern, Echo Park, Granite Hall, "
    "Victory Stadium, Maple Room, Union Palace, Tidewater Arena, Olive Garden Stage, Iron Works, Moonlight Pavilion, "
    "Castle Yard, Velvet Room, Sunset Bowl, Canal House, Northgate Arena, Amber Theatre, Foundry Hall"
)

CONCERTS = (
    "Summer Nights, Winter Lights, Golden Hour, Open Skies, River Sounds, Starlight Gala, Echoes, Midnight Session, "
    "Spring Awakening, City Beats, Wild Strings, Northern Voices, Homecoming, Encore Evening, Rhythm Street, Soul "
    "Parade, Harvest Music, Thunder Road, Acoustic Sunday, Neon Dreams, Sea Breeze, Velvet Evening, New Horizons, "
    "Silver Tour, First Light, Last Waltz, Carnival Night, Firefly Show, Blue Monday, Red Curtain, Autumn Leaves, "
    "Paper Moon, Island Party, Mountain Call, Rainy Day Revue, Bright Future, Old Friends, Dancing Waters, Secret "
    "Garden, Grand Finale"
)

ARTISTS = (
    "Mara Quinn, Leo Castellan, Nina Okafor, Silver Foxes, Jonas Berg, Ruby Tanaka, Theo Marsh, Paper Kites, Ines "
    "Duarte, Caleb Frost, Luna Ferreira, Hollow Pines, Oscar Lindqvist, Priya Nair, Copper Wolves, Elena Rossi, Dexter "
    "Hale, Yuki Mori, The Lanterns, Amara Diallo, Felix Novak, Greta Sommer, Velvet Tigers, Hugo Laurent, Sofia "
    "Petrov, Marcus Bell, Northern Tide, Clara Jensen, Kofi Mensah, Desert Radio"
)

DOMAIN = Domain(
    name="concerts",
    tables=(
        Table(
            "city",
            ("city", "town"),
            ("cities", "towns"),
            (
                Column("city_id", "id"),
                Column("name", "name", ("name",), pool=tuple(CITIES.split(", "))),
                Column(
                    "population", "number", ("population", "number of inhabitants"), low=180000, high=2400000,
                    step=10000,
                    more=("larger",), less=("smaller",),
                    most=("most populous", "largest"),
                    least=("least populous", "smallest"), unit="people",
                ),
                Column("region", "category", ("region",), pool=("north", "south", "east", "west"), adjective="{}"),
            ),
            rows=14,
        ),
        Table(
            "venue",
            ("venue", "concert hall"),
            ("venues", "concert halls"),
            (
                Column("venue_id", "id"),
                Column("city_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(VENUES.split(", "))),
                Column(
                    "capacity", "number", ("capacity", "number of seats"), low=300, high=42000, step=100,
                    more=("bigger", "larger"), less=("smaller",), most=("biggest", "largest"), least=("smallest",),
                    unit="seats",
                ),
                Column(
                    "opened", "year", ("opening year", "year of opening"), low=1925, high=2021,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
                Column("parking", "flag", ("parking", "car parking")),
            ),
            rows=22,
        ),
        Table(
            "concert",
            ("concert", "show"),
            ("concerts", "shows"),
            (
                Column("concert_id", "id"),
                Column("venue_id", "fk"),
                Column("title", "name", ("title", "name"), pool=tuple(CONCERTS.split(", "))),
                Column(
                    "held_on", "date", ("date", "concert date"), low=2018, high=2024,
                    more=("later", "more recent"), less=("earlier",), most=("most recent", "latest"),
                    least=("earliest",),
                ),
                Column(
                    "ticket_price", "number", ("ticket price", "price of a ticket"), low=12, high=140, step=0.5,
                    more=("more expensive", "pricier"), less=("cheaper", "less expensive"), most=("most expensive",),
                    least=("cheapest", "least expensive"), unit="euros",
                ),
                Column(
                    "attendance", "number", ("attendance", "number of visitors"), low=150, high=30000, step=50,
                    most=("best attended",), least=("worst attended",), unit="visitors", nullable=0.1,
                ),
            ),
            rows=40,
        ),
        Table(
            "artist",
            ("artist", "musician"),
            ("artists", "musicians"),
            (
                Column("artist_id", "id"),
                Column("name", "name", ("name",), pool=tuple(ARTISTS.split(", "))),
                Column(
                    "genre", "category", ("genre", "style of music"),
                    pool=("jazz", "rock", "folk", "pop", "soul", "blues"), adjective="{}",
                ),
                Column(
                    "nationality", "category", ("nationality",),
                    pool=("British", "Swedish", "Brazilian", "Japanese", "Italian", "German"), adjective="{}",
                ),
                Column("albums", "number", ("number of albums", "album count"), low=1, high=24, unit="albums"),
            ),
            rows=30,
        ),
        Table(
            "performance",
            ("performance",),
            ("performances",),
            (Column("concert_id", "fk"), Column("artist_id", "fk")),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("venue", "city_id", "city", ("in {}", "located in {}"), ("with {}", "home to {}")),
        Link("concert", "venue_id", "venue", ("held in {}", "taking place in {}"), ("that hosted {}", "that held {}")),
        Link("performance", "concert_id", "concert"),
        Link("performance", "artist_id", "artist"),
    ),
    bridges=(
        Bridge(
            "performance", "artist", "artist_id", "concert", "concert_id",
            ("who performed in {}", "who played in {}"), ("featuring {}", "with performances by {}"),
        ),
    ),
)
