"""Verb phrases that join two kinds of entity: by a foreign key, by two keys to one parent, or through a bridge.

They are past tense, participles or prepositions, so that they read right after one noun and after many: "the agent
selling", "agents selling", never "the agent who sell".
"""

from __future__ import annotations

from dataclasses import dataclass

from sft.pretraining.vocabulary.entities import KINDS, Kind


@dataclass(frozen=True)
class LinkPhrase:
    """of_parent follows the child noun, has_child the parent noun (see evaluation.tiny.domain.Link)."""

    of_parent: tuple[str, ...]
    has_child: tuple[str, ...]
    child: tuple[Kind, ...]
    parent: tuple[Kind, ...]


@dataclass(frozen=True)
class RolePair:
    """Two foreign keys of one child to one parent: the roles name the columns ("home_team"), in words with spaces."""

    roles: tuple[str, str]
    of_parent: tuple[str, str]
    has_child: tuple[str, str]
    child: tuple[Kind, ...]
    parent: tuple[Kind, ...]


@dataclass(frozen=True)
class BridgePhrase:
    """left_verb follows the left noun, right_verb the right one (see Bridge in evaluation.tiny.domain).

    names: words for the bridge table.
    """

    left_verb: tuple[str, ...]
    right_verb: tuple[str, ...]
    left: tuple[Kind, ...]
    right: tuple[Kind, ...]
    names: tuple[str, ...]


ANY = "person group place thing work event record"

# of_parent, has_child, child kinds, parent kinds
LINK_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("in {}|located in {}", "with {}|home to {}", "place", "place"),
    ("near {}|close to {}", "near {}|next to {}", "place", "place"),
    ("owned by {}", "owning {}|who owned {}", "place thing group", "person"),
    ("managed by {}|run by {}", "managing {}|who managed {}", "place group work event", "person"),
    ("built by {}", "that built {}", "place thing", "group"),
    ("designed by {}", "who designed {}", "place thing work", "person"),
    ("visited by {}", "who visited {}", "place", "person"),
    ("run by {}|operated by {}", "running {}|operating {}", "place", "group"),
    ("living in {}|who lived in {}", "inhabited by {}|home to {}", "person", "place"),
    ("born in {}|from {}", "where {} grew up|that produced {}", "person", "place"),
    ("working in {}|who worked in {}", "where {} worked|employing {}", "person", "place"),
    ("working for {}|employed by {}", "employing {}|that hired {}", "person", "group"),
    ("belonging to {}|of {}", "with {}|made up of {}", "person", "group"),
    ("who joined {}", "joined by {}", "person", "group"),
    ("trained by {}|coached by {}", "training {}|who coached {}", "person", "person"),
    ("supervised by {}|reporting to {}", "supervising {}|who supervised {}", "person", "person"),
    ("advised by {}", "advising {}|who advised {}", "person", "person"),
    ("treated by {}|cared for by {}", "treating {}|who cared for {}", "person", "person"),
    ("driving {}|who drove {}", "driven by {}|assigned to {}", "person", "thing"),
    ("sponsored by {}", "sponsoring {}|that sponsored {}", "person group event", "group"),
    ("represented by {}", "representing {}|who represented {}", "person group", "person"),
    ("who signed up for {}", "that attracted {}", "person", "event work"),
    ("based in {}|with an office in {}", "home to {}|with {}", "group", "place"),
    ("founded by {}", "who founded {}", "group", "person"),
    ("led by {}|headed by {}", "leading {}|who led {}", "group work event", "person"),
    ("belonging to {}|owned by {}", "owning {}|that owned {}", "group", "group"),
    ("competing in {}", "with entries from {}", "group", "event"),
    ("financed by {}|funded by {}", "that financed {}|funding {}", "group work event", "group"),
    ("made by {}|produced by {}", "making {}|that produced {}", "thing", "group"),
    ("made in {}", "where {} came from|producing {}", "thing", "place"),
    ("kept in {}|stored in {}", "holding {}|that stored {}", "thing", "place"),
    ("sold by {}", "selling {}|that sold {}", "thing work", "group place"),
    ("used by {}", "using {}|who used {}", "thing", "person"),
    ("repaired by {}", "who repaired {}", "thing", "person"),
    ("discovered by {}", "who discovered {}", "thing place", "person"),
    ("contained in {}|built into {}", "containing {}|consisting of {}", "thing", "thing"),
    ("powered by {}", "powering {}|that powered {}", "thing", "thing"),
    ("bred by {}", "breeding {}|who bred {}", "thing", "person"),
    ("awarded at {}", "with {} as prizes", "thing", "event"),
    ("written by {}|by {}", "who wrote {}", "work", "person"),
    ("created by {}|made by {}", "who created {}|who made {}", "work", "person"),
    ("published by {}|released by {}", "that published {}|that released {}", "work", "group"),
    ("taught by {}|given by {}", "teaching {}|who taught {}", "work event", "person"),
    ("set in {}", "serving as the setting of {}", "work", "place"),
    ("shown in {}", "showing {}|that showed {}", "work", "place"),
    ("about {}|describing {}", "described in {}|covered in {}", "work", "place thing event"),
    ("from {}|included in {}", "including {}|containing {}", "work", "work"),
    ("based on {}|adapted from {}", "that inspired {}|adapted into {}", "work", "work"),
    ("translated by {}|edited by {}", "who translated {}|who edited {}", "work", "person"),
    ("held in {}|that took place in {}", "that hosted {}|where {} took place", "event", "place"),
    ("organised by {}|hosted by {}", "that organised {}|that hosted {}", "event", "group"),
    ("organised by {}", "who organised {}", "event", "person"),
    ("won by {}", "who won {}", "event", "person"),
    ("won by {}", "that won {}", "event", "group"),
    ("belonging to {}|within {}", "including {}|that included {}", "event", "event"),
    ("following {}", "followed by {}", "event", "event"),
    ("dedicated to {}", "celebrated by {}", "event", "work person"),
    ("made by {}|placed by {}", "who made {}|who placed {}", "record", "person"),
    ("issued by {}", "that issued {}", "record", "group place"),
    ("belonging to {}|of {}", "with {}|holding {}", "record", "person"),
    ("signed by {}", "who signed {}", "record", "person"),
    ("for {}|about {}", "with {}|that received {}", "record", "thing work event"),
    ("approved by {}|handled by {}", "who approved {}|who handled {}", "record", "person"),
    ("sent to {}", "that received {}", "record", "place group"),
    ("linked to {}", "linked to {}", "record", "record"),
    ("assigned to {}", "with {}|in charge of {}", "thing work event record", "group person"),
)

# roles, of_parent of each, has_child of each, child kinds, parent kinds
ROLE_ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("home|away", "with {} at home|played away by {}", "that hosted {}|visiting in {}", "event", "group"),
    ("origin|destination", "starting in {}|ending in {}", "where {} started|where {} ended", "event thing", "place"),
    ("winner|loser", "won by {}|lost by {}", "who won {}|who lost {}", "event", "person"),
    ("seller|buyer", "sold by {}|bought by {}", "who sold {}|who bought {}", "thing record", "person"),
    ("sender|receiver", "sent by {}|received by {}", "who sent {}|who received {}", "record", "person"),
    ("writer|editor", "written by {}|edited by {}", "who wrote {}|who edited {}", "work", "person"),
    ("leader|sponsor", "led by {}|sponsored by {}", "leading {}|sponsoring {}", "work group", "person"),
    ("owner|keeper", "owned by {}|kept by {}", "owning {}|keeping {}", "thing place", "person"),
    ("birth|work", "born in {}|working in {}", "where {} grew up|where {} worked", "person", "place"),
    ("first|second", "with {} as first choice|with {} as second choice", "chosen first by {}|chosen second by {}",
     "person",
     "work thing"),
    ("producer|distributor", "produced by {}|distributed by {}", "producing {}|distributing {}", "work thing",
     "group"),
    ("from|to", "sent from {}|sent to {}", "sending {}|receiving {}", "record", "place group"),
)

# left_verb, right_verb, left kinds, right kinds, names of the bridge table
BRIDGE_ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("who performed in {}|who appeared in {}", "featuring {}|with {}", "person", "event work",
     "performance|appearance"),
    ("who took part in {}", "with the participation of {}|joined by {}", "person", "event", "participation|entry"),
    ("who attended {}", "attended by {}", "person", "event", "attendance list|attendee"),
    ("who enrolled in {}|who took {}", "attended by {}|taken by {}", "person", "work", "enrollment|registration"),
    ("registered for {}", "with registrations from {}", "person", "work event", "registration|sign up"),
    ("who worked on {}|assigned to {}", "worked on by {}|staffed with {}", "person", "work", "assignment|works on"),
    ("who contributed to {}", "with contributions by {}", "person", "work", "contribution|credit"),
    ("who wrote {}", "written by {}", "person", "work", "authorship|writes"),
    ("who reviewed {}|who rated {}", "reviewed by {}|rated by {}", "person", "work thing place",
     "rating list|reviewer"),
    ("who liked {}", "liked by {}", "person", "work thing person", "likes|favourite"),
    ("who borrowed {}", "borrowed by {}", "person", "work thing", "borrowing|lending"),
    ("who bought {}|who purchased {}", "bought by {}|sold to {}", "person", "thing work", "purchase line|sold item"),
    ("owning {}|who owned {}", "owned by {}", "person", "thing place", "ownership|owns"),
    ("who rented {}", "rented by {}", "person", "thing place", "rental line|tenancy"),
    ("who used {}|using {}", "used by {}", "person", "thing", "usage|uses"),
    ("who ordered {}", "ordered by {}", "person", "thing", "ordering|basket"),
    ("who visited {}", "visited by {}", "person", "place", "visit|trip log"),
    ("who lived in {}", "where {} lived|inhabited by {}", "person", "place", "residence|stay"),
    ("who worked at {}|who worked in {}", "where {} worked|that employed {}", "person", "place group",
     "employment|career"),
    ("belonging to {}|who joined {}", "with {} as members|joined by {}", "person", "group",
     "membership|belongs to"),
    ("who supported {}|supporting {}", "supported by {}", "person", "group person", "support|backing"),
    ("following {}|who followed {}", "followed by {}", "person", "person group", "following|follows"),
    ("knowing {}|friends with {}", "known by {}|with {} as friends", "person", "person",
     "friendship|knows"),
    ("who treated {}", "treated by {}", "person", "person", "treatment|consultation"),
    ("who taught {}", "taught by {}", "person", "person", "teaching|tutoring"),
    ("holding {}|who received {}", "held by {}", "person", "record", "holding|holder"),
    ("who signed {}", "signed by {}", "person", "record", "signing|signs"),
    ("who won {}", "won by {}|awarded to {}", "person group", "thing event", "win|award list"),
    ("that took part in {}|that competed in {}", "contested by {}|with {} taking part", "group", "event",
     "entry|competes in"),
    ("sponsoring {}|that sponsored {}", "sponsored by {}", "group", "event person group", "sponsorship|sponsors"),
    ("selling {}|that offered {}", "sold by {}|offered by {}", "group place", "thing work", "offer|sells"),
    ("supplying {}|that supplied {}", "supplied by {}|bought from {}", "group", "thing place", "supply|supplies"),
    ("operating in {}|active in {}", "served by {}|with offices of {}", "group", "place", "operation area|presence"),
    ("that funded {}|financing {}", "funded by {}|financed by {}", "group", "work event", "funding line|funds"),
    ("that published {}", "published by {}", "group", "work", "publication line|publishes"),
    ("owning {}", "owned by {}", "group", "place thing group", "ownership|owns"),
    ("cooperating with {}|in partnership with {}", "cooperating with {}|in partnership with {}", "group", "group",
     "partnership|cooperation"),
    ("containing {}|made with {}", "used in {}|contained in {}", "thing", "thing", "composition|contains"),
    ("compatible with {}", "compatible with {}", "thing", "thing", "compatibility|fits"),
    ("found in {}|seen in {}", "with {}|inhabited by {}", "thing", "place", "sighting|occurrence"),
    ("shown at {}|presented at {}", "that presented {}|presenting {}", "thing work", "event",
     "display|presentation"),
    ("used in {}", "requiring {}|that used {}", "thing", "event work", "equipment|requires"),
    ("listed on {}", "for {}|including {}", "thing", "record", "line item|detail"),
    ("shown in {}|on display in {}", "that showed {}|with {} on display", "work", "place", "showing|exhibit"),
    ("set in {}", "serving as the setting of {}", "work", "place", "setting|takes place"),
    ("included in {}|appearing in {}", "including {}|containing {}", "work", "work", "inclusion|includes"),
    ("citing {}|referring to {}", "cited by {}|cited in {}", "work", "work", "citation|cites"),
    ("nominated at {}", "with nominations for {}", "work person", "event", "nomination|nominee"),
    ("passing through {}|with a stop in {}", "visited by {}|on the way of {}", "event", "place", "stop|passes"),
    ("covered by {}", "covering {}|that covered {}", "event place person", "record", "coverage|covers"),
    ("connected to {}|linked with {}", "connected to {}|linked with {}", "place", "place", "connection|link"),
    ("exporting to {}|that traded with {}", "importing from {}|supplied by {}", "place", "place", "trade|exports"),
    ("associated with {}|related to {}", "associated with {}|related to {}", ANY, ANY, "relation|association"),
)


def _kinds(text: str) -> tuple[Kind, ...]:
    return tuple(kind for kind in KINDS if kind in text.split())


def _pair(text: str) -> tuple[str, str]:
    first, second = text.split("|")
    return first, second


LINK_PHRASES: tuple[LinkPhrase, ...] = tuple(
    LinkPhrase(tuple(of.split("|")), tuple(has.split("|")), _kinds(child), _kinds(parent))
    for of, has, child, parent in LINK_ROWS
)
ROLE_PAIRS: tuple[RolePair, ...] = tuple(
    RolePair(_pair(roles), _pair(of), _pair(has), _kinds(child), _kinds(parent))
    for roles, of, has, child, parent in ROLE_ROWS
)
BRIDGE_PHRASES: tuple[BridgePhrase, ...] = tuple(
    BridgePhrase(tuple(lv.split("|")), tuple(rv.split("|")), _kinds(left), _kinds(right), tuple(names.split("|")))
    for lv, rv, left, right, names in BRIDGE_ROWS
)
