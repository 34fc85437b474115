"""An online shop: companies, their brands, the products and the customers who bought them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

COMPANIES = (
    "Norwell Group, Tamarind Holdings, Apex Goods, Bluewater Trading, Cresta Industries, Delmar Corporation, Evergreen "
    "Partners, Fulcrum Limited, Granite Works, Helios Group, Ivory Coast Imports, Juno Enterprises"
)

BRANDS = (
    "Lumio, Kettler, Brisa, Nordika, Pureleaf, Tempo, Vantage, Solara, Cloudberry, Zephyr, Hearthside, Quantix, "
    "Marlow, Oaken, Pixelon, Rustica, Swiftly, Terra Nova, Umbra, Wilder"
)

PRODUCTS = (
    "Desk Lamp, Electric Kettle, Yoga Mat, Wool Blanket, Running Shoes, Coffee Grinder, Garden Hose, Office Chair, "
    "Travel Mug, Rain Jacket, Wall Clock, Bread Knife, Phone Stand, Camping Tent, Bath Towel, Frying Pan, Bike Helmet, "
    "Picture Frame, Hand Mixer, Sleeping Bag, Book Shelf, Hair Dryer, Tool Box, Beach Umbrella, Water Bottle, Alarm "
    "Clock, Cutting Board, Leather Wallet, Table Fan, Snow Boots, Laundry Basket, Silk Scarf, Power Drill, Chess Set, "
    "Storage Box, Door Mat, Tea Pot, Head Torch, Floor Rug, Fishing Rod, Spice Rack, Swim Goggles, Paper Shredder, "
    "Plant Pot, Wine Rack"
)

CUSTOMERS = (
    "Adele Norton, Bernard Fox, Camille Perrin, Duncan Ray, Estelle Moon, Fergus Lamb, Grace Holden, Howard Banks, Ivy "
    "Chandler, Julian Cross, Kirsten Vogel, Leonard Hale, Monica Diaz, Nigel Burton, Ophelia Grey, Philip Stark, Rosa "
    "Jimenez, Sanjay Gupta, Thelma Blake, Ugo Marino, Violet Sharp, Wilbur Stone, Yolanda Cruz, Zane Mercer, Annika "
    "Holm, Basil Turner, Cora Lindsay, Dominic Price, Erica Foss, Floyd Barker, Greta Olsen, Hamish Bell, Ilse Brandt, "
    "Joel Pereira, Kelly Nash, Lars Dahlgren"
)

DOMAIN = Domain(
    name="shop",
    tables=(
        Table(
            "company",
            ("company", "firm"),
            ("companies", "firms"),
            (
                Column("company_id", "id"),
                Column("name", "name", ("name",), pool=tuple(COMPANIES.split(", "))),
                Column(
                    "revenue", "number", ("revenue", "yearly revenue", "turnover"), low=3, high=420, step=0.5,
                    most=("highest earning",), least=("lowest earning",), unit="million dollars",
                ),
                Column(
                    "staff", "number", ("number of employees", "staff size"), low=20, high=5400, step=10,
                    more=("larger", "bigger"), less=("smaller",), most=("largest", "biggest"), least=("smallest",),
                    unit="employees",
                ),
                Column(
                    "country", "category", ("country", "home country"), pool=("Sweden", "Japan", "Italy", "Brazil"),
                ),
            ),
            rows=12,
        ),
        Table(
            "brand",
            ("brand", "label"),
            ("brands", "labels"),
            (
                Column("brand_id", "id"),
                Column("company_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(BRANDS.split(", "))),
                Column(
                    "launched", "year", ("launch year", "year of launch"), low=1962, high=2021,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
                Column(
                    "segment", "category", ("segment", "market segment"),
                    pool=("budget", "standard", "luxury", "sport"),
                    adjective="{}",
                ),
            ),
            rows=20,
        ),
        Table(
            "product",
            ("product", "item"),
            ("products", "items"),
            (
                Column("product_id", "id"),
                Column("brand_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(PRODUCTS.split(", "))),
                Column(
                    "price", "number", ("price", "cost"), low=4, high=380, step=0.25,
                    more=("more expensive",), less=("cheaper", "less expensive"), most=("most expensive",),
                    least=("cheapest", "least expensive"), unit="dollars",
                ),
                Column("stock", "number", ("stock", "number in stock"), low=0, high=950, step=1, unit="pieces"),
                Column(
                    "rating", "number", ("rating", "average rating"), low=1, high=5, step=0.1,
                    more=("better rated",), less=("worse rated",), most=("best rated",), least=("worst rated",),
                    nullable=0.1, unit="stars",
                ),
                Column(
                    "material", "category", ("material",), pool=("wood", "steel", "plastic", "cotton", "glass"),
                ),
            ),
            rows=45,
        ),
        Table(
            "customer",
            ("customer", "buyer"),
            ("customers", "buyers"),
            (
                Column("customer_id", "id"),
                Column("full_name", "name", ("name", "full name"), pool=tuple(CUSTOMERS.split(", "))),
                Column(
                    "city", "category", ("city", "home town"),
                    pool=("Bristol", "Hamburg", "Chicago", "Madrid", "Perth", "Nantes"),
                ),
                Column(
                    "registered", "date", ("registration date", "date of registration"), low=2015, high=2024,
                    most=("newest", "most recently registered"), least=("longest registered",),
                ),
                Column("verified", "flag", ("verification",), adjective="verified"),
            ),
            rows=36,
        ),
        Table(
            "purchase",
            ("purchase",),
            ("purchases",),
            (
                Column("customer_id", "fk"),
                Column("product_id", "fk"),
                Column("quantity", "number", ("quantity", "number of pieces"), low=1, high=12, unit="pieces"),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("brand", "company_id", "company", ("owned by {}", "belonging to {}"), ("owning {}",)),
        Link("product", "brand_id", "brand", ("made by {}", "of {}"), ("making {}", "offering {}")),
        Link("purchase", "customer_id", "customer"),
        Link("purchase", "product_id", "product"),
    ),
    bridges=(
        Bridge(
            "purchase", "customer", "customer_id", "product", "product_id",
            ("who bought {}", "who purchased {}"), ("bought by {}", "sold to {}"),
        ),
    ),
)
