"""Museums, their exhibitions, the paintings shown there and the painters who made them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

MUSEUMS = (
    "Aldine Museum, Beaumont Gallery, City Art House, Dunmore Collection, Essex Museum, Fairholm Gallery, Glass Hill "
    "Museum, Hartwell Rooms, Institute of Colour, Kingsley Museum, Lindgren Hall, Museum of Light, National Print "
    "Room, Old Mint Gallery"
)

EXHIBITIONS = (
    "Shades of Green, Faces of Time, The Open Window, Storm and Calm, Children of the Sun, Lines and Circles, Winter "
    "Garden, The Human Hand, Dreams in Blue, Lost Villages, Gods and Heroes, Still Moments, City at Night, The New "
    "Century, Silent Rooms, Gold and Dust, Women of the North, The Long Journey, Mirror Images, Bread and Wine, "
    "Distant Shores, First Impressions, Wild Animals, Beyond the Frame"
)

PAINTERS = (
    "Adriana Velde, Baptiste Morel, Cornelis Haan, Dagmar Friis, Emilio Sorolla, Franz Reuter, Giulia Marchetti, Henri "
    "Vasseur, Isabel Quiroga, Jan Brouwer, Karin Lund, Lorenz Ziegler, Margot Delacroix, Niccolo Bassi, Olivier "
    "Renard, Pieter Claes, Rosario Vidal, Sigrid Aasen, Teodor Wolski, Vasco Pereira"
)

PAINTINGS = (
    "Woman with a Jug, The Blue Boat, Orchard in May, Three Sisters, The Bridge at Dusk, Portrait of a Baker, Harbour "
    "in Fog, The Yellow Chair, Night Watchman, Girl with a Kite, The Old Mill, Red Roofs, Morning Prayer, Fishermen, "
    "Cypress Road, The Card Game, Snow on the Square, The White Horse, Two Lemons, The Broken Mirror, Market Day, "
    "Sleeping Shepherd, The Burning Tower, Water Meadow, The Letter, Dancers, Bowl of Cherries, The Pilgrim, Autumn "
    "Field, Self Portrait, The Music Lesson, Black Swan, The Quarry, Wedding Feast, Rain on the Canal, The Green Door, "
    "Saint of the Hills, Cafe Interior, The Swimmer, Low Tide, Moonrise, The Astronomer, Violets, The Return, Stone "
    "Cutters"
)

DOMAIN = Domain(
    name="museum",
    tables=(
        Table(
            "museum",
            ("museum",),
            ("museums",),
            (
                Column("museum_id", "id"),
                Column("name", "name", ("name",), pool=tuple(MUSEUMS.split(", "))),
                Column(
                    "city", "category", ("city",), pool=("Paris", "Antwerp", "Florence", "Dresden", "Leeds"),
                    adjective="{}",
                ),
                Column(
                    "founded", "year", ("founding year", "year of foundation"), low=1790, high=2005,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
                Column(
                    "entry_fee", "number", ("entry fee", "admission price"), low=4, high=26, step=0.5,
                    more=("more expensive",), less=("cheaper",), most=("most expensive",), least=("cheapest",),
                    unit="euros",
                ),
                Column("guided_tours", "flag", ("guided tours",)),
            ),
            rows=14,
        ),
        Table(
            "exhibition",
            ("exhibition",),
            ("exhibitions",),
            (
                Column("exhibition_id", "id"),
                Column("museum_id", "fk"),
                Column("title", "name", ("title", "name"), pool=tuple(EXHIBITIONS.split(", "))),
                Column(
                    "opens_on", "date", ("opening date", "date of opening"), low=2017, high=2024,
                    more=("later", "more recent"), less=("earlier",), most=("most recent", "latest"),
                    least=("earliest",),
                ),
                Column(
                    "visitors", "number", ("number of visitors", "visitor count"), low=800, high=64000, step=100,
                    most=("most popular", "best visited"),
                    least=("least popular",), unit="visitors", nullable=0.1,
                ),
                Column(
                    "theme", "category", ("theme",), pool=("nature", "religion", "war", "love", "travel"),
                ),
            ),
            rows=24,
        ),
        Table(
            "painter",
            ("painter", "artist"),
            ("painters", "artists"),
            (
                Column("painter_id", "id"),
                Column("name", "name", ("name",), pool=tuple(PAINTERS.split(", "))),
                Column(
                    "nationality", "category", ("nationality",),
                    pool=("Dutch", "French", "Italian", "Spanish", "Norwegian"), adjective="{}",
                ),
                Column(
                    "born", "year", ("birth year", "year of birth"), low=1590, high=1920,
                    most=("latest born",), least=("earliest born",),
                ),
                Column(
                    "movement", "category", ("movement", "art movement"),
                    pool=("baroque", "romantic", "realist", "impressionist", "cubist"), adjective="{}",
                ),
            ),
            rows=20,
        ),
        Table(
            "painting",
            ("painting", "picture"),
            ("paintings", "pictures"),
            (
                Column("painting_id", "id"),
                Column("painter_id", "fk"),
                Column("title", "name", ("title", "name"), pool=tuple(PAINTINGS.split(", "))),
                Column(
                    "technique", "category", ("technique",), pool=("oil", "watercolour", "tempera", "pastel"),
                    adjective="{}",
                ),
                Column(
                    "value", "number", ("value", "estimated value"), low=15000, high=9800000, step=5000,
                    more=("more valuable",), less=("less valuable",), most=("most valuable",),
                    least=("least valuable",),
                    unit="euros",
                ),
                Column(
                    "width", "number", ("width",), low=20, high=340, step=1,
                    more=("wider",), less=("narrower",), most=("widest",), least=("narrowest",), unit="centimetres",
                ),
                Column("restored", "flag", ("restoration",), adjective="restored"),
            ),
            rows=45,
        ),
        Table(
            "display",
            ("display",),
            ("displays",),
            (Column("painting_id", "fk"), Column("exhibition_id", "fk")),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link(
            "exhibition", "museum_id", "museum",
            ("held at {}", "organised by {}"), ("that hosted {}", "that organised {}"),
        ),
        Link("painting", "painter_id", "painter", ("painted by {}", "by {}"), ("who painted {}", "who created {}")),
        Link("display", "painting_id", "painting"),
        Link("display", "exhibition_id", "exhibition"),
    ),
    bridges=(
        Bridge(
            "display", "painting", "painting_id", "exhibition", "exhibition_id",
            ("shown in {}", "displayed in {}"), ("featuring {}", "that showed {}"),
        ),
    ),
)
