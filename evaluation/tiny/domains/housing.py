"""Real estate: agencies, their agents and the houses they sell."""

from __future__ import annotations

from evaluation.tiny.domain import Column, Domain, Link, Table

AGENCIES = (
    "Keystone Homes, Bayside Realty, First Door, Hillcrest Property, Open Gate, Rowan and Pike, Sunny Side Estates, "
    "Town and Field, Urban Nest, Whitfield Homes, Cornerstone Living, Ivy Lane Realty, Bluebell Property, Doorstep"
)

AGENTS = (
    "Angela Frost, Byron Tate, Cheryl Moss, Dean Hollis, Edna Crewe, Floyd Rigby, Gloria Penn, Hank Doyle, Inez "
    "Cordova, Jerry Stokes, Kim Ballard, Lance Weber, Mabel Orr, Nelson Quick, Olive Trent, Perry Sloan, Ruth Vickers, "
    "Sid Lyons, Tess Monroe, Vernon Hyde, Wade Nolan, Yvette Roy, Alvin Chase, Bonnie Frye, Clyde Barr, Dora Finley, "
    "Elmer Gates, Faye Harmon"
)

HOUSES = (
    "Rose Cottage, Hill House, Willow Bank, The Old Rectory, Oak Lodge, Mill View, Sea Breeze Villa, Pine Ridge, "
    "Meadow End, Stone Barn, Ferry House, Orchard House, Park Villa, The Gables, Fox Hollow, High Tower, Brook "
    "Cottage, Lake House, Ivy House, Spring Farm, Holly Lodge, Sunny Corner, West Manor, Eagle Crest, Chapel House, "
    "Garden Flat, Maple Court, Bay Tree House, Windy Nook, Elm Grove, River Loft, Castle View, Green Acres, Cherry "
    "House, North Lodge, Beech Hall, Harbour Loft, Market Flat, The Nest, Station Cottage, Heron House, Quarry Bank, "
    "Swan Court, Thorn Cottage, Valley View, Forge House, Dove Cottage, Cliff House"
)

DOMAIN = Domain(
    name="housing",
    tables=(
        Table(
            "agency",
            ("agency", "estate agency"),
            ("agencies", "estate agencies"),
            (
                Column("agency_id", "id"),
                Column("name", "name", ("name",), pool=tuple(AGENCIES.split(", "))),
                Column(
                    "founded", "year", ("founding year", "year of foundation"), low=1951, high=2020,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
                Column(
                    "fee", "number", ("fee", "agency fee"), low=1, high=6, step=0.1,
                    more=("more expensive",), less=("cheaper",), most=("most expensive",), least=("cheapest",),
                    unit="percent",
                ),
                Column(
                    "district", "category", ("district",), pool=("Docklands", "Old Quarter", "Westside", "Uptown"),
                ),
            ),
            rows=14,
        ),
        Table(
            "agent",
            ("agent", "broker"),
            ("agents", "brokers"),
            (
                Column("agent_id", "id"),
                Column("agency_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(AGENTS.split(", "))),
                Column(
                    "commission", "number", ("commission", "yearly commission"), low=8000, high=96000, step=250,
                    most=("most successful",),
                    least=("least successful",), unit="dollars",
                ),
                Column(
                    "joined", "date", ("joining date", "date of joining"), low=2004, high=2024,
                    most=("newest",), least=("longest serving",),
                ),
                Column("licensed", "flag", ("licence",), adjective="licensed"),
            ),
            rows=28,
        ),
        Table(
            "house",
            ("house", "home"),
            ("houses", "homes"),
            (
                Column("house_id", "id"),
                Column("agent_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(HOUSES.split(", "))),
                Column(
                    "style", "category", ("style", "architectural style"),
                    pool=("Victorian", "modern", "Georgian", "rustic", "colonial"), adjective="{}",
                ),
                Column(
                    "price", "number", ("price", "asking price"), low=95000, high=1850000, step=2500,
                    more=("more expensive", "pricier"), less=("cheaper",), most=("most expensive", "priciest"),
                    least=("cheapest",), unit="dollars",
                ),
                Column("bedrooms", "number", ("number of bedrooms", "bedroom count"), low=1, high=7, unit="bedrooms"),
                Column(
                    "area", "number", ("floor area", "area", "size"), low=38, high=420, step=1,
                    more=("larger", "bigger"), less=("smaller",), most=("largest", "biggest"), least=("smallest",),
                    unit="square metres",
                ),
                Column("heating", "flag", ("central heating",)),
            ),
            rows=48,
        ),
    ),
    links=(
        Link("agent", "agency_id", "agency", ("working for {}",), ("employing {}", "represented by {}")),
        Link("house", "agent_id", "agent", ("sold by {}", "offered by {}"), ("selling {}", "offering {}")),
    ),
)
