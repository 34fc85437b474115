"""Districts, their restaurants, the chefs, the dishes they invented and the ingredients in them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

RESTAURANTS = (
    "The Copper Pot, Casa Lucia, Golden Dragon, Salt and Smoke, Green Table, La Petite Cuisine, Blue Oyster, Spice "
    "Route, Mama Rosa, The Hungry Bear, Sakura House, Olive Branch, Red Chili, The Corner Bistro, Harvest Moon, Bamboo "
    "Garden, Fig and Fennel, The Grill Room, Lemon Tree, Night Market"
)

CHEFS = (
    "Antonio Greco, Bella Fournier, Chen Wei, Dolores Vega, Ewan Mackenzie, Fumiko Hara, Giorgio Bassano, Hana Kim, "
    "Ignacio Torres, Josephine Blanc, Kamal Sethi, Luisa Romano, Maurice Petit, Nora Lindgren, Orhan Demir, Pilar "
    "Soto, Raj Malhotra, Sven Eklund, Teresa Bianchi, Umberto Sala, Viola Kern, Wang Min, Yann Leroy, Zita Horvath, "
    "Amos Green, Britta Falk"
)

DISHES = (
    "Lamb Stew, Fish Curry, Onion Soup, Beef Noodles, Pumpkin Risotto, Chicken Pie, Spicy Tofu, Mushroom Toast, Duck "
    "Salad, Seafood Paella, Lentil Soup, Grilled Trout, Potato Gratin, Pork Dumplings, Cheese Omelette, Tomato Tart, "
    "Prawn Skewers, Vegetable Lasagne, Rice Pudding, Apple Crumble, Chocolate Cake, Lemon Sorbet, Stuffed Peppers, "
    "Garlic Bread, Roast Goose, Bean Chili, Crab Cakes, Spinach Ravioli, Beet Carpaccio, Almond Tart, Fried Squid, "
    "Honey Ribs, Leek Quiche, Chickpea Salad, Salmon Rolls, Goat Cheese Parcels"
)

INGREDIENTS = (
    "butter, garlic, flour, cream, olive oil, parsley, ginger, rice, eggs, sugar, black pepper, white wine, carrots, "
    "thyme, soy sauce, honey, coconut milk, lemon juice, cumin, basil, walnuts, mustard"
)

DOMAIN = Domain(
    name="restaurants",
    tables=(
        Table(
            "restaurant",
            ("restaurant",),
            ("restaurants",),
            (
                Column("restaurant_id", "id"),
                Column("name", "name", ("name",), pool=tuple(RESTAURANTS.split(", "))),
                Column(
                    "cuisine", "category", ("cuisine", "kind of cuisine"),
                    pool=("Italian", "Chinese", "Mexican", "French", "Indian"), adjective="{}",
                ),
                Column(
                    "stars", "number", ("rating", "star rating"), low=1, high=5, step=0.5,
                    more=("better rated",), less=("worse rated",), most=("best rated",), least=("worst rated",),
                    unit="stars",
                ),
                Column(
                    "opened", "year", ("opening year", "year of opening"), low=1978, high=2023,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
                Column("delivery", "flag", ("home delivery",)),
            ),
            rows=20,
        ),
        Table(
            "chef",
            ("chef", "cook"),
            ("chefs", "cooks"),
            (
                Column("chef_id", "id"),
                Column("restaurant_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(CHEFS.split(", "))),
                Column(
                    "experience", "number", ("experience", "years of experience"), low=1, high=38,
                    most=("most experienced",),
                    least=("least experienced",), unit="years",
                ),
                Column(
                    "wage", "number", ("wage", "monthly wage", "pay"), low=1900, high=7800, step=50,
                    most=("best paid",), least=("worst paid",),
                    unit="euros",
                ),
            ),
            rows=26,
        ),
        Table(
            "dish",
            ("dish", "meal"),
            ("dishes", "meals"),
            (
                Column("dish_id", "id"),
                Column("chef_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(DISHES.split(", "))),
                Column(
                    "course", "category", ("course",), pool=("starter", "main course", "side dish", "dessert"),
                ),
                Column(
                    "price", "number", ("price", "cost"), low=4, high=46, step=0.5,
                    more=("more expensive",), less=("cheaper",), most=("most expensive",), least=("cheapest",),
                    unit="euros",
                ),
                Column(
                    "calories", "number", ("number of calories", "calorie count"), low=120, high=1450, step=10,
                    unit="calories", nullable=0.1,
                ),
                Column("vegan", "flag", ("vegan label",), adjective="vegan"),
            ),
            rows=36,
        ),
        Table(
            "ingredient",
            ("ingredient",),
            ("ingredients",),
            (
                Column("ingredient_id", "id"),
                Column("name", "name", ("name",), pool=tuple(INGREDIENTS.split(", "))),
                Column(
                    "origin", "category", ("origin", "place of origin"),
                    pool=("local", "imported", "regional", "home grown"),
                    adjective="{}",
                ),
                Column(
                    "shelf_life", "number", ("shelf life",), low=2, high=720,
                    most=("longest lasting",), least=("shortest lasting",), unit="days",
                ),
            ),
            rows=22,
        ),
        Table(
            "recipe_item",
            ("recipe item",),
            ("recipe items",),
            (
                Column("dish_id", "fk"),
                Column("ingredient_id", "fk"),
                Column("grams", "number", ("amount", "amount in grams"), low=5, high=400, step=5, unit="grams"),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("chef", "restaurant_id", "restaurant", ("working at {}", "employed by {}"), ("employing {}",)),
        Link("dish", "chef_id", "chef", ("created by {}", "invented by {}"), ("who created {}", "who invented {}")),
        Link("recipe_item", "dish_id", "dish"),
        Link("recipe_item", "ingredient_id", "ingredient"),
    ),
    bridges=(
        Bridge(
            "recipe_item", "dish", "dish_id", "ingredient", "ingredient_id",
            ("made with {}", "containing {}"), ("used in {}", "needed for {}"),
        ),
    ),
)
