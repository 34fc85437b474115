"""Parts of proper names and the patterns that join them: thousands of people, places, products, titles and codes."""

from __future__ import annotations

import random

from sft.pretraining.vocabulary.entities import Kind

_PARTS: dict[str, str] = {
    "first": """
        Ada Adam Aisha Alan Albert Alice Amara Amir Ana Andre Anna Anton Arthur Astrid Ben Bianca Boris Bruno Carla
        Carlos Cecil Chen Chloe Clara Colin Dana Daniel David Diana Diego Dora Edgar Elena Eli Elsa Emil Emma Erik
        Esther Eva Farah Felix Fiona Frank Freya George Gina Grace Greta Hana Hans Harry Helen Hugo Ian Ida Igor Ines
        Ingrid Iris Isaac Ivan Jack James Jane Jonas Joyce Juan Julia Karen Karl Kate Kevin Kofi Laila Lars Laura Leo
        Lena Liam Lily Linda Lucas Lucia Luis Maria Mark Marta Maya Mei Milan Mira Nadia Nina Noah Nora Olga Oliver
        Omar Oscar Otto Pablo Paul Peter Petra Priya Rafael Ravi Rita Robert Rosa Ruth Samir Sara Simon Sofia Stella
        Sven Tara Thomas Tina Uma Vera Victor Walter Wendy Yara Yuki Zoe
    """,
    "last": """
        Abbott Adams Adler Ahmed Alvarez Andersen Archer Arnold Bach Baker Barnes Bauer Becker Bell Berg Bianchi
        Bishop Black Blake Bloom Boyd Brandt Brooks Brown Burke Byrne Campbell Carter Castro Chan Chapman Clark Cohen
        Cole Conti Cooper Costa Crane Cruz Dahl Daniels Davis Diaz Dixon Doyle Drake Dubois Duncan Ellis Evans Farrell
        Fischer Fisher Fleming Flores Ford Foster Fox Francis Frost Fuchs Garcia Gibson Gomez Grant Gray Green Gupta
        Haas Hall Hansen Harper Hart Hayes Hill Hoffman Holm Hughes Hunt Ibrahim Ivanov Jansen Jensen Johnson Jones
        Kane Kaplan Keller Kelly Khan Kim King Klein Kovacs Kumar Lambert Lane Larsen Lee Lewis Lind Lopez Lowe Lund
        Mann Marsh Martin Mason Mehta Meyer Miller Mills Moore Mori Moss Murphy Nash Nelson Novak Nunes Okafor Olsen
        Ortiz Osei Owens Palmer Park Patel Payne Pereira Perry Petrov Pike Porter Price Quinn Ramos Reed Reyes Rivera
        Rossi Roth Russo Sato Schmidt Shaw Silva Singh Smith Stone Suzuki Tanaka Taylor Torres Turner Vargas Vega
        Vogel Walker Walsh Ward Weber West White Wolf Wong Wood Wright York Young Zimmer
    """,
    "stem": """
        Ash Bay Birch Bram Brook Cedar Clay Cliff Crow Dale Elm Fair Fern Fox Glen Gold Hart Hazel Iron Kings Lake
        Lang Lock Maple Mill Moor North Oak Pine Queens Raven Red Rock Rose Salt Sand Silver South Spring Stan Stone
        Summer Thorn Vale West White Wild Wind Winter Wood
    """,
    "ending": "ville ton field ford burg ham port dale mont wick bridge stead well worth haven",
    "brand": """
        Altos Arvo Axion Belmor Brivo Cadex Celta Corvo Delfi Dynor Elvar Exo Falken Fenix Gavia Helio Hexa Indra
        Jovex Kalto Kova Lumex Lyra Mavik Merro Nexa Nimbo Norda Octa Orvik Paxo Pluma Qualo Quanta Rexo Rivo Sella
        Sonda Tavi Tekton Ultra Umbra Vanta Velo Verta Vireo Wexo Xenon Yara Zento Zeva
    """,
    "adjective": """
        Ancient Bitter Blue Bright Broken Burning Cold Crimson Dark Distant Empty Eternal Fading Final First Forgotten
        Frozen Golden Gentle Hidden Hollow Last Lonely Long Lost Lucky Modern New Northern Old Open Perfect Quiet Red
        Sacred Secret Shining Silent Silver Simple Small Southern Strange Sweet Tall Tender Velvet Wild Winter
    """,
    "noun": """
        Angel Anthem Bird Boat Bridge Castle Circle City Clock Cloud Coast Crown Dance Desert Door Dream Echo Fire
        Flame Forest Garden Ghost Harbor Heart Hero Home Horizon House Island Journey Key King Lake Lantern Letter
        Light Mirror Moon Morning Mountain Night Ocean Orchard Paper Path Promise Queen Rain River Road Rose Sailor
        Sea Shadow Sky Smile Song Star Stone Storm Story Stranger Summer Sun Tower Train Valley Voice Wall Water Wind
        Window Wolf World
    """,
    "concern": "Group Holdings Partners Systems Works Trust Union Network Alliance Industries Society Company",
    "site": "Hall Park House Square Tower Court Point Plaza Centre Gate Corner Arena Lodge Yard",
    "happening": "Festival Cup Open Summit Forum Days Classic Gala Meeting Marathon Games Week Trophy Challenge",
    "letter": "A B C D E F G H J K L M N P R S T V W X",
    "number": " ".join(str(n) for n in range(100, 1000, 7)),
}

PARTS: dict[str, tuple[str, ...]] = {key: tuple(text.split()) for key, text in _PARTS.items()}

PATTERNS: dict[Kind, tuple[str, ...]] = {
    "person": ("{first} {last}", "{first} {last}", "{first} {letter}. {last}", "{last}"),
    "group": ("{brand} {concern}", "{last} {concern}", "{stem}{ending} {concern}", "{brand}"),
    "place": ("{stem}{ending}", "{stem}{ending} {site}", "{last} {site}", "{adjective} {site}", "Port {last}"),
    "thing": ("{brand} {number}", "{brand}", "{adjective} {noun}", "{brand} {letter}{number}", "{noun} {brand}"),
    "work": ("{adjective} {noun}", "The {noun}", "{noun} and {noun}", "The {adjective} {noun}", "{last} {noun}"),
    "event": ("{stem}{ending} {happening}", "{adjective} {happening}", "{brand} {happening}", "{noun} {happening}"),
    "record": ("{letter}{number}", "{letter}{letter}{number}", "{letter}{number}{letter}"),
}

# kind -> (column name, words) of the column that names a row
TITLES: dict[Kind, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "person": (("name", ("name",)), ("full_name", ("full name", "name")), ("name", ("name",))),
    "group": (("name", ("name",)), ("short_name", ("short name", "name"))),
    "place": (("name", ("name",)), ("place_name", ("name",))),
    "thing": (("name", ("name",)), ("model", ("model", "model name")), ("label", ("label", "name"))),
    "work": (("title", ("title", "name")), ("name", ("name",))),
    "event": (("name", ("name",)), ("title", ("title", "name")), ("theme", ("theme",))),
    "record": (("code", ("code",)), ("reference", ("reference", "reference code")), ("serial", ("serial number",))),
}


def compose_names(kind: Kind, count: int, rng: random.Random) -> list[str]:
    """`count` different names (at most 90) of one pattern of the kind, in random order; no part twice within a name."""
    pattern = rng.choice(PATTERNS[kind])
    names: dict[str, None] = {}
    for attempt in range(100 * count):
        # a pattern of few parts (one brand) can run short of names: then any pattern of the kind helps out
        chosen = pattern if attempt < 10 * count else rng.choice(PATTERNS[kind])
        names[_fill(chosen, rng)] = None
        if len(names) == count:
            return list(names)
    raise AssertionError(f"{count} distinct names of kind {kind} were asked, {len(names)} exist")


def _fill(pattern: str, rng: random.Random) -> str:
    for part, values in PARTS.items():
        gap = "{" + part + "}"
        for value in rng.sample(values, pattern.count(gap)):
            pattern = pattern.replace(gap, value, 1)
    return pattern
