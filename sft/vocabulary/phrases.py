"""Verb phrases that join two kinds of entity: by a foreign key, by two keys to one parent, or through a bridge."""

from __future__ import annotations

from dataclasses import dataclass

from sft.vocabulary.entities import KINDS, Kind


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
    ("in {}|located in {}", "that have {}|with {}", "place", "place"),
    ("near {}|close to {}", "near {}|that are close to {}", "place", "place"),
    ("owned by {}", "who own {}|owning {}", "place thing group", "person"),
    ("managed by {}|run by {}", "who manage {}|who run {}", "place group work event", "person"),
    ("built by {}", "that built {}", "place thing", "group"),
    ("designed by {}", "who designed {}", "place thing work", "person"),
    ("visited by {}", "who visited {}", "place", "person"),
    ("run by {}|operated by {}", "that run {}|that operate {}", "place", "group"),
    ("living in {}|who live in {}", "where {} live|inhabited by {}", "person", "place"),
    ("born in {}|from {}", "that are the birthplace of {}|where {} were born", "person", "place"),
    ("who work in {}|working in {}", "where {} work|that employ {}", "person", "place"),
    ("who work for {}|employed by {}", "that employ {}|with a staff of {}", "person", "group"),
    ("who belong to {}|of {}", "that have {}|made up of {}", "person", "group"),
    ("who joined {}", "joined by {}", "person", "group"),
    ("trained by {}|coached by {}", "who train {}|who coach {}", "person", "person"),
    ("supervised by {}|who report to {}", "who supervise {}", "person", "person"),
    ("advised by {}", "who advise {}", "person", "person"),
    ("treated by {}|cared for by {}", "who treat {}|who care for {}", "person", "person"),
    ("who drive {}|assigned to {}", "driven by {}|assigned to {}", "person", "thing"),
    ("sponsored by {}", "that sponsor {}", "person group event", "group"),
    ("represented by {}", "who represent {}", "person group", "person"),
    ("who signed up for {}", "that attracted {}", "person", "event work"),
    ("based in {}|with an office in {}", "that are home to {}|where {} are based", "group", "place"),
    ("founded by {}", "who founded {}", "group", "person"),
    ("led by {}|headed by {}", "who lead {}|who head {}", "group work event", "person"),
    ("that belong to {}|owned by {}", "that own {}|owning {}", "group", "group"),
    ("competing in {}", "with entries from {}", "group", "event"),
    ("financed by {}|funded by {}", "that finance {}|that fund {}", "group work event", "group"),
    ("made by {}|produced by {}", "that make {}|that produce {}", "thing", "group"),
    ("made in {}", "where {} are made|that produce {}", "thing", "place"),
    ("kept in {}|stored in {}", "that hold {}|where {} are kept", "thing", "place"),
    ("sold by {}", "that sell {}", "thing work", "group place"),
    ("used by {}", "who use {}", "thing", "person"),
    ("repaired by {}", "who repaired {}", "thing", "person"),
    ("discovered by {}", "who discovered {}", "thing place", "person"),
    ("contained in {}|that are part of {}", "that contain {}|that consist of {}", "thing", "thing"),
    ("powered by {}", "that power {}", "thing", "thing"),
    ("bred by {}", "who breed {}", "thing", "person"),
    ("awarded at {}", "where {} are awarded", "thing", "event"),
    ("written by {}|by {}", "who wrote {}|who have written {}", "work", "person"),
    ("created by {}|made by {}", "who created {}|who made {}", "work", "person"),
    ("published by {}|released by {}", "that published {}|that released {}", "work", "group"),
    ("taught by {}|given by {}", "who teach {}|who give {}", "work event", "person"),
    ("set in {}", "that are the setting of {}", "work", "place"),
    ("shown in {}", "that show {}|where {} are shown", "work", "place"),
    ("about {}|that describe {}", "described in {}|that are the subject of {}", "work", "place thing event"),
    ("from {}|that are part of {}", "that include {}|that contain {}", "work", "work"),
    ("based on {}|adapted from {}", "that inspired {}|adapted into {}", "work", "work"),
    ("translated by {}|edited by {}", "who translated {}|who edited {}", "work", "person"),
    ("held in {}|that took place in {}", "that hosted {}|where {} were held", "event", "place"),
    ("organised by {}|hosted by {}", "that organised {}|that hosted {}", "event", "group"),
    ("organised by {}", "who organised {}", "event", "person"),
    ("won by {}", "who won {}", "event", "person"),
    ("won by {}", "that won {}", "event", "group"),
    ("that are part of {}", "that include {}", "event", "event"),
    ("that follow {}", "followed by {}", "event", "event"),
    ("dedicated to {}", "celebrated by {}", "event", "work person"),
    ("made by {}|placed by {}", "who made {}|who placed {}", "record", "person"),
    ("issued by {}", "that issued {}", "record", "group place"),
    ("belonging to {}|of {}", "who have {}|with {}", "record", "person"),
    ("signed by {}", "who signed {}", "record", "person"),
    ("for {}|about {}", "with {}|that received {}", "record", "thing work event"),
    ("approved by {}|handled by {}", "who approved {}|who handled {}", "record", "person"),
    ("sent to {}", "that received {}", "record", "place group"),
    ("linked to {}", "linked to {}", "record", "record"),
    ("assigned to {}", "with {}|that have {}", "thing work event record", "group person"),
)

# roles, of_parent of each, has_child of each, child kinds, parent kinds
ROLE_ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("home|away", "with {} at home|played away by {}", "that hosted {}|that were the guests in {}", "event", "group"),
    ("origin|destination", "starting in {}|ending in {}", "where {} start|where {} end", "event thing", "place"),
    ("winner|loser", "won by {}|lost by {}", "who won {}|who lost {}", "event", "person"),
    ("seller|buyer", "sold by {}|bought by {}", "who sold {}|who bought {}", "thing record", "person"),
    ("sender|receiver", "sent by {}|received by {}", "who sent {}|who received {}", "record", "person"),
    ("writer|editor", "written by {}|edited by {}", "who wrote {}|who edited {}", "work", "person"),
    ("leader|sponsor", "led by {}|sponsored by {}", "who lead {}|who sponsor {}", "work group", "person"),
    ("owner|keeper", "owned by {}|kept by {}", "who own {}|who keep {}", "thing place", "person"),
    ("birth|work", "born in {}|who work in {}", "where {} were born|where {} work", "person", "place"),
    ("first|second", "with {} as first choice|with {} as second choice", "chosen first by {}|chosen second by {}",
     "person",
     "work thing"),
    ("producer|distributor", "produced by {}|distributed by {}", "that produce {}|that distribute {}", "work thing",
     "group"),
    ("from|to", "sent from {}|sent to {}", "that send {}|that receive {}", "record", "place group"),
)

# left_verb, right_verb, left kinds, right kinds, names of the bridge table
BRIDGE_ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("who performed in {}|who appeared in {}", "featuring {}|with {}", "person", "event work",
     "performance|appearance"),
    ("who took part in {}", "with the participation of {}|joined by {}", "person", "event", "participation|entry"),
    ("who attended {}", "attended by {}", "person", "event", "attendance list|attendee"),
    ("who enrolled in {}|who take {}", "attended by {}|taken by {}", "person", "work", "enrollment|registration"),
    ("registered for {}", "with registrations from {}", "person", "work event", "registration|sign up"),
    ("who work on {}|assigned to {}", "worked on by {}|staffed with {}", "person", "work", "assignment|works on"),
    ("who contributed to {}", "with contributions by {}", "person", "work", "contribution|credit"),
    ("who wrote {}", "written by {}", "person", "work", "authorship|writes"),
    ("who reviewed {}|who rated {}", "reviewed by {}|rated by {}", "person", "work thing place",
     "rating list|reviewer"),
    ("who like {}", "liked by {}", "person", "work thing person", "likes|favourite"),
    ("who borrowed {}", "borrowed by {}", "person", "work thing", "borrowing|lending"),
    ("who bought {}|who purchased {}", "bought by {}|sold to {}", "person", "thing work", "purchase line|sold item"),
    ("who own {}", "owned by {}", "person", "thing place", "ownership|owns"),
    ("who rented {}", "rented by {}", "person", "thing place", "rental line|tenancy"),
    ("who use {}", "used by {}", "person", "thing", "usage|uses"),
    ("who ordered {}", "ordered by {}", "person", "thing", "ordering|basket"),
    ("who visited {}", "visited by {}", "person", "place", "visit|trip log"),
    ("who lived in {}", "where {} lived", "person", "place", "residence|stay"),
    ("who worked at {}|who worked in {}", "where {} worked|that employed {}", "person", "place group",
     "employment|career"),
    ("who are members of {}|who belong to {}", "with {} as members|joined by {}", "person", "group",
     "membership|belongs to"),
    ("who support {}", "supported by {}", "person", "group person", "support|backing"),
    ("who follow {}", "followed by {}", "person", "person group", "following|follows"),
    ("who know {}|who are friends with {}", "known by {}|who have {} as friends", "person", "person",
     "friendship|knows"),
    ("who treated {}", "treated by {}", "person", "person", "treatment|consultation"),
    ("who taught {}", "taught by {}", "person", "person", "teaching|tutoring"),
    ("who hold {}|who have {}", "held by {}", "person", "record", "holding|holder"),
    ("who signed {}", "signed by {}", "person", "record", "signing|signs"),
    ("who won {}", "won by {}|awarded to {}", "person group", "thing event", "win|award list"),
    ("that took part in {}|that competed in {}", "contested by {}|with {} taking part", "group", "event",
     "entry|competes in"),
    ("that sponsor {}", "sponsored by {}", "group", "event person group", "sponsorship|sponsors"),
    ("that sell {}|that offer {}", "sold by {}|offered by {}", "group place", "thing work", "offer|sells"),
    ("that supply {}", "supplied by {}|bought from {}", "group", "thing place", "supply|supplies"),
    ("that operate in {}|active in {}", "served by {}|with offices of {}", "group", "place", "operation area|presence"),
    ("that funded {}|that finance {}", "funded by {}|financed by {}", "group", "work event", "funding line|funds"),
    ("that published {}", "published by {}", "group", "work", "publication line|publishes"),
    ("that own {}", "owned by {}", "group", "place thing group", "ownership|owns"),
    ("that cooperate with {}|that are partners of {}", "that cooperate with {}", "group", "group",
     "partnership|cooperation"),
    ("that contain {}|made with {}", "used in {}|contained in {}", "thing", "thing", "composition|contains"),
    ("compatible with {}", "compatible with {}", "thing", "thing", "compatibility|fits"),
    ("found in {}|seen in {}", "with {}|where {} are found", "thing", "place", "sighting|occurrence"),
    ("shown at {}|presented at {}", "that presented {}|where {} were shown", "thing work", "event",
     "display|presentation"),
    ("used in {}", "that require {}|that use {}", "thing", "event work", "equipment|requires"),
    ("listed on {}", "for {}|that include {}", "thing", "record", "line item|detail"),
    ("shown in {}|on display in {}", "that showed {}|with {} on display", "work", "place", "showing|exhibit"),
    ("set in {}", "that are the setting of {}", "work", "place", "setting|takes place"),
    ("included in {}|that appear in {}", "that include {}|that contain {}", "work", "work", "inclusion|includes"),
    ("that cite {}|that refer to {}", "cited by {}|cited in {}", "work", "work", "citation|cites"),
    ("nominated at {}", "with nominations for {}", "work person", "event", "nomination|nominee"),
    ("that pass through {}|with a stop in {}", "visited by {}|on the way of {}", "event", "place", "stop|passes"),
    ("covered by {}", "that cover {}", "event place person", "record", "coverage|covers"),
    ("connected to {}|linked with {}", "connected to {}|linked with {}", "place", "place", "connection|link"),
    ("that export to {}|that trade with {}", "that import from {}|supplied by {}", "place", "place", "trade|exports"),
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
