"""Leagues, their clubs, the players of the clubs and the awards the players won."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

LEAGUES = (
    "Premier Division, Northern League, Coastal League, Atlantic League, Royal Division, Alpine League, Capital "
    "League, Eastern Conference, Liga Norte, Serie Oro, Super League, Metro League"
)

CLUBS = (
    "Rovers United, Harbour City, Athletic Moreno, Dynamo Vale, Red Star Kessel, Wanderers, Sporting Alba, Albion "
    "Rangers, Lakeside Town, Real Cortez, Iron Lions, Racing Duval, Forest Hill, Olympic Bray, Thunder Bay, Eagles of "
    "Brenner, Old Mill Athletic, Phoenix Rising, Borough Park, Inter Sassari, Vikings Trondal, Palm Coast, Union "
    "Saarland, Steel City"
)

PLAYERS = (
    "Diego Salas, Marcus Webb, Luka Horvat, Samuel Adeyemi, Pierre Lacombe, Erik Sand, Tomas Rojas, Kenji Arai, Bruno "
    "Teixeira, Callum Reid, Ousmane Ba, Niklas Vogt, Javier Leon, Aidan Murphy, Fabio Conte, Rasmus Dahl, Yaw Boateng, "
    "Milan Kovac, Andre Pinto, Jamal Carter, Viktor Blom, Hassan Idris, Leandro Cruz, Owen Pryce, Stefano Riva, Ivan "
    "Zoric, Mohamed Salem, Gustav Lind, Rafael Nunes, Kevin Moreau, Takumi Ono, Daniel Prieto, Emre Yilmaz, Patrick "
    "Kane, Sergio Bello, Jonas Weiss, Abdul Razak, Nico Ferrer, Filip Stanek, Declan Shaw, Paulo Dias, Henrik Voss, "
    "Malik Toure, Adam Kiss, Ruben Maas"
)

AWARDS = (
    "Golden Boot, Silver Whistle, Fair Play Trophy, Rookie Medal, Captain Shield, Fan Choice Prize, Iron Wall Prize, "
    "Best Assist Cup, Free Kick Trophy, Young Talent Medal, Comeback Prize, Legends Plaque, Spirit Cup, Goal of the "
    "Month"
)

DOMAIN = Domain(
    name="football",
    tables=(
        Table(
            "league",
            ("league",),
            ("leagues",),
            (
                Column("league_id", "id"),
                Column("name", "name", ("name",), pool=tuple(LEAGUES.split(", "))),
                Column(
                    "country", "category", ("country",), pool=("Scotland", "Spain", "Germany", "Chile", "Denmark"),
                ),
                Column(
                    "division", "number", ("division", "division number"), low=1, high=4, most=("lowest ranked",),
                    least=("highest ranked",),
                ),
            ),
            rows=12,
        ),
        Table(
            "club",
            ("club", "team"),
            ("clubs", "teams"),
            (
                Column("club_id", "id"),
                Column("league_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(CLUBS.split(", "))),
                Column(
                    "founded", "year", ("founding year", "year of foundation"), low=1875, high=2009,
                    more=("younger", "newer"), less=("older",), most=("youngest", "newest"), least=("oldest",),
                ),
                Column(
                    "budget", "number", ("budget", "yearly budget"), low=2, high=280, step=0.5,
                    most=("richest",), least=("poorest",), unit="million euros",
                ),
                Column("colour", "category", ("colour", "shirt colour"), pool=("red", "blue", "green", "white")),
            ),
            rows=24,
        ),
        Table(
            "player",
            ("player", "footballer"),
            ("players", "footballers"),
            (
                Column("player_id", "id"),
                Column("club_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(PLAYERS.split(", "))),
                Column(
                    "position", "category", ("position", "playing position"),
                    pool=("goalkeeper", "defender", "midfielder", "striker"),
                ),
                Column(
                    "birth_date", "date", ("birth date", "date of birth"), low=1986, high=2005,
                    most=("youngest",), least=("oldest",),
                ),
                Column(
                    "goals", "number", ("number of goals", "goal count"), low=0, high=64,
                    most=("top scoring",), least=("lowest scoring",), unit="goals",
                ),
                Column(
                    "height", "number", ("height",), low=163, high=201,
                    more=("taller",), less=("shorter",), most=("tallest",), least=("shortest",), unit="centimetres",
                ),
                Column(
                    "injured", "flag", ("injury",), adjective="injured",
                ),
            ),
            rows=45,
        ),
        Table(
            "award",
            ("award", "prize"),
            ("awards", "prizes"),
            (
                Column("award_id", "id"),
                Column("title", "name", ("title", "name"), pool=tuple(AWARDS.split(", "))),
                Column(
                    "prize_money", "number", ("prize money", "value"), low=500, high=60000, step=500,
                    more=("more valuable",), less=("less valuable",), most=("most valuable",),
                    least=("least valuable",),
                    unit="euros", nullable=0.1,
                ),
                Column(
                    "sponsor", "category", ("sponsor",), pool=("Norbank", "Veltra Oil", "Skyline Air", "Kappa Foods"),
                ),
            ),
            rows=14,
        ),
        Table(
            "award_win",
            ("award win",),
            ("award wins",),
            (
                Column("player_id", "fk"),
                Column("award_id", "fk"),
                Column("season", "year", ("season",), low=2016, high=2024),
            ),
            rows=50,
            bridge=True,
        ),
    ),
    links=(
        Link("club", "league_id", "league", ("of {}", "playing in {}"), ("including {}", "made up of {}")),
        Link("player", "club_id", "club", ("playing for {}", "of {}"), ("with {}", "that signed {}")),
        Link("award_win", "player_id", "player"),
        Link("award_win", "award_id", "award"),
    ),
    bridges=(
        Bridge(
            "award_win", "player", "player_id", "award", "award_id",
            ("who won {}", "who received {}"), ("won by {}", "given to {}"),
        ),
    ),
)
