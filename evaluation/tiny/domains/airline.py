"""Airports, planes, the flights between airports, and the passengers booked on them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

AIRPORTS = (
    "Heron Field, Cedar International, Bayview, Gull Island, Stony Ridge, Lakeshore, Red Mesa, Golden Plains, Port "
    "Ellis, Silver Creek, Falcon Point, Eastmoor, Kings Valley, Coral Coast, Summit Regional, Windhaven"
)

PLANES = (
    "Blue Heron, Night Owl, Swift Arrow, Morning Star, Red Baron, Sky Dancer, Cloud Hopper, Silver Wing, Storm Petrel, "
    "Golden Eagle, Iron Goose, Sea Hawk, Polar Tern, Desert Wind, Bright Comet, Grey Falcon, Lady Grace, Old Faithful"
)

PASSENGERS = (
    "Abigail Ross, Bruno Costa, Chloe Meyer, Damian Wolfe, Elise Fontaine, Farid Aziz, Gloria Stein, Hector Ruiz, "
    "Imani Brooks, Jasper Kent, Katya Orlova, Lorenzo Villa, Mei Chen, Nils Holgersen, Olivia Barnes, Paulo Ramos, "
    "Quinn Harper, Renata Silva, Stefan Vogel, Tamara Price, Ulrich Kohl, Valerie Simon, Wesley Grant, Ximena Lopez, "
    "Yara Saleh, Zachary Ford, Anita Desai, Boris Petrov, Cecilia Lund, Dorian West, Esther Kim, Gavin Doyle"
)

FLIGHTS = (
    "KA101, KA114, KA127, KA139, KA142, KA156, KA168, KA173, KA185, KA190, KA204, KA216, KA221, KA237, KA248, KA253, "
    "KA265, KA279, KA282, KA294, KA307, KA311, KA325, KA336, KA343, KA358, KA369, KA374, KA380, KA395, KA402, KA417, "
    "KA423, KA436, KA449, KA451, KA467, KA478, KA484, KA499, KA508, KA512, KA526, KA533, KA545"
)

DOMAIN = Domain(
    name="airline",
    tables=(
        Table(
            "airport",
            ("airport",),
            ("airports",),
            (
                Column("airport_id", "id"),
                Column("name", "name", ("name",), pool=tuple(AIRPORTS.split(", "))),
                Column(
                    "country", "category", ("country",),
                    pool=("Canada", "Mexico", "Iceland", "Portugal", "Morocco"),
                ),
                Column(
                    "runways", "number", ("number of runways", "runway count"), low=1, high=6, unit="runways",
                ),
                Column(
                    "elevation", "number", ("elevation", "altitude"), low=5, high=2400, step=5,
                    more=("higher",), less=("lower",), most=("highest",), least=("lowest",), unit="metres",
                ),
            ),
            rows=16,
        ),
        Table(
            "plane",
            ("plane", "aircraft"),
            ("planes", "aircraft"),
            (
                Column("plane_id", "id"),
                Column("nickname", "name", ("nickname", "name"), pool=tuple(PLANES.split(", "))),
                Column(
                    "manufacturer", "category", ("manufacturer", "maker"),
                    pool=("Airbus", "Boeing", "Embraer", "Bombardier"), adjective="{}",
                ),
                Column(
                    "seats", "number", ("number of seats", "seat count"), low=48, high=410, step=2,
                    more=("bigger", "larger"), less=("smaller",), most=("biggest", "largest"), least=("smallest",),
                    unit="seats",
                ),
                Column(
                    "built", "year", ("year of construction", "construction year"), low=1994, high=2022,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
            ),
            rows=18,
        ),
        Table(
            "flight",
            ("flight",),
            ("flights",),
            (
                Column("flight_id", "id"),
                Column("plane_id", "fk"),
                Column("origin_id", "fk"),
                Column("destination_id", "fk"),
                Column("code", "name", ("flight code", "code"), pool=tuple(FLIGHTS.split(", "))),
                Column(
                    "departs_on", "date", ("departure date", "date of departure"), low=2022, high=2024,
                    more=("later",), less=("earlier",), most=("latest", "most recent"), least=("earliest",),
                ),
                Column(
                    "duration", "number", ("duration", "flight time"), low=40, high=680, step=5,
                    more=("longer",), less=("shorter",), most=("longest",), least=("shortest",), unit="minutes",
                ),
                Column(
                    "fare", "number", ("fare", "ticket price"), low=49, high=1290, step=1,
                    more=("more expensive",), less=("cheaper",), most=("most expensive",), least=("cheapest",),
                    unit="dollars",
                ),
                Column(
                    "status", "category", ("status",), pool=("delayed", "cancelled", "punctual", "diverted"),
                    adjective="{}",
                ),
            ),
            rows=45,
        ),
        Table(
            "passenger",
            ("passenger", "traveller"),
            ("passengers", "travellers"),
            (
                Column("passenger_id", "id"),
                Column("name", "name", ("name",), pool=tuple(PASSENGERS.split(", "))),
                Column(
                    "age", "number", ("age",), low=3, high=88,
                    more=("older",), less=("younger",), most=("oldest",), least=("youngest",), unit="years",
                ),
                Column(
                    "loyalty_tier", "category", ("loyalty tier", "loyalty level"),
                    pool=("bronze", "silver", "gold", "platinum"), adjective="{}", nullable=0.1,
                ),
            ),
            rows=32,
        ),
        Table(
            "booking",
            ("booking",),
            ("bookings",),
            (Column("passenger_id", "fk"), Column("flight_id", "fk")),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("flight", "plane_id", "plane", ("operated with {}", "flown by {}"), ("used for {}", "operating {}")),
        Link(
            "flight", "origin_id", "airport",
            ("leaving from {}", "departing from {}"),
            ("at the start of {}", "that dispatched {}"),
        ),
        Link(
            "flight", "destination_id", "airport",
            ("arriving at {}", "landing at {}"), ("reached by {}", "that received {}"),
        ),
        Link("booking", "passenger_id", "passenger"),
        Link("booking", "flight_id", "flight"),
    ),
    bridges=(
        Bridge(
            "booking", "passenger", "passenger_id", "flight", "flight_id",
            ("booked on {}", "who took {}"), ("carrying {}", "booked by {}"),
        ),
    ),
)
