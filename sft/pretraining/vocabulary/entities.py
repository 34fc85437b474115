"""Nouns that a table can be named after, by kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["person", "group", "place", "thing", "work", "event", "record"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Entity:
    """name: the usual noun in lower-case words ("art gallery"), also for identifiers; one, many: parallel synonyms."""

    name: str
    one: tuple[str, ...]
    many: tuple[str, ...]
    kind: Kind


# Entities are separated by ";", synonyms by ",", and an irregular plural follows "=".
NOUNS: dict[Kind, str] = {
    "person": """
        singer, vocalist; musician; actor, performer; director; author, writer; poet; painter; sculptor; photographer;
        journalist, reporter; editor; student, pupil; teacher, instructor; professor, lecturer; researcher; scientist;
        engineer; architect; lawyer, attorney; judge; doctor, physician; nurse; surgeon; dentist; pharmacist; patient;
        therapist; driver; pilot; captain; mechanic; technician; programmer, developer; analyst; accountant; banker;
        investor; broker; agent; manager; employee, worker; clerk; cashier; secretary; customer, client; buyer;
        seller, vendor; tenant, renter; landlord; owner; guest; visitor; tourist; passenger, traveller; member;
        volunteer; donor; candidate; voter; politician; mayor; governor; senator; soldier; officer; detective;
        firefighter; athlete; player; coach, trainer; swimmer; gymnast; wrestler; cyclist; runner; boxer; referee;
        chef, cook; waiter; baker; farmer, grower; gardener; dancer; designer; user; subscriber; applicant; intern;
        child=children, kid; parent; person=people; resident; citizen; collector; critic; speaker; translator;
        curator; astronaut; climber; rider; artist; composer; entrepreneur; billionaire; consultant; inspector
    """,
    "group": """
        company, firm; bank; school; university; college; club; team; band; orchestra; airline, carrier; publisher,
        publishing house; film studio; record label; newspaper; television channel, TV channel; radio station;
        charity, aid organisation; foundation; political party; agency; department; faculty; division; trade union;
        committee; church, parish; manufacturer, maker; brand; retailer; insurer, insurance company; law firm;
        startup; league; association; family, household; ministry; supplier; choir; fleet; crew; hospital network;
        hotel chain; sponsor; institute; government; community
    """,
    "place": """
        city, town; country, nation; state; county; district; village; island; mountain, peak; river; lake; park;
        stadium, arena; theatre, playhouse; cinema, movie theatre; museum; gallery, art gallery; library; hotel;
        restaurant; cafe, coffee house; bar; shop, store; supermarket; market; warehouse; factory, plant; office;
        branch; building; apartment, flat; house, home; room; airport; train station, railway station; port, harbour;
        bridge; tunnel; road, street; farm; garden; zoo; beach=beaches; hospital, clinic; ward; campus; dormitory;
        laboratory, lab; gym, fitness centre; swimming pool; castle; temple; monument; shopping mall; mine; power
        station; camp, camp site; region; province; venue; garage; race track, circuit; cave; volcano=volcanoes;
        desert; forest; embassy; prison; vineyard; studio
    """,
    "thing": """
        car, automobile; bus; train; truck, lorry; plane, aircraft=aircraft; ship, vessel; boat; bicycle, bike;
        motorcycle; engine; machine; computer; laptop; phone, mobile phone; camera; printer; device; tool; product,
        item; toy; board game; drink, beverage; wine; beer; dish, meal; cake; ingredient; fruit; medicine, drug;
        vaccine; chemical; metal; plant; tree; flower; animal; pet; dog; cat; horse; bird; fish=fish; insect;
        dinosaur; planet; star; satellite; rocket; telescope; musical instrument; guitar; piano; coin; stamp; jewel;
        watch; dress; shoe; bag; battery; lamp; spare part, component; server; app, application; website; robot;
        medal; trophy; statue; sofa; carpet; perfume; software tool; vehicle; engine part; snack; breed
    """,
    "work": """
        book; novel; poem; song, track; album, record; film, movie; television series=television series, TV show;
        episode; cartoon; documentary; theatre play, stage play; opera; musical; painting, picture; sculpture;
        photograph, photo; drawing; article; research paper, paper; report; magazine; comic; video game; podcast;
        video; recipe; course, class; lesson; thesis=theses; speech; journal; patent; project; blog post; symphony;
        map; advertisement; textbook; training program; research grant
    """,
    "event": """
        concert, show; festival; exhibition; conference; meeting; workshop; seminar; wedding; party; race; game;
        tournament; competition, contest; championship; election; battle; storm, hurricane; earthquake; flight; trip,
        journey; tour; cruise; expedition; surgery, operation; experiment; auction; sale; inspection; accident; crime;
        interview; exam, test; lecture; training session; campaign; performance; screening; broadcast; ceremony; hike;
        season; debate; mission; fair; football match, soccer match; eruption; flood; launch=launches
    """,
    "record": """
        invoice, bill; payment; booking, reservation; ticket; contract; loan; bank account, account; insurance policy,
        policy; claim; shipment; parcel, package; delivery; purchase; rental; subscription; appointment; complaint;
        application form; licence, permit; refund; donation; transfer; prescription; visa; support request; work
        order; gift card; fine, penalty; review; vote
    """,
}


def plural(noun: str) -> str:
    """The regular English plural of a noun, by its last word: "art gallery" -> "art galleries"."""
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _entity(text: str, kind: Kind) -> Entity:
    pairs = [word.strip().partition("=") for word in text.split(",")]
    one = tuple(single for single, _, _ in pairs)
    many = tuple(irregular or plural(single) for single, _, irregular in pairs)
    return Entity(one[0], one, many, kind)


ENTITIES: tuple[Entity, ...] = tuple(
    _entity(" ".join(text.split()), kind) for kind, nouns in NOUNS.items() for text in nouns.split(";")
)
