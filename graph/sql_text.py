"""Whether text reads as SQL, and where a statement ends, judged by its words alone: any text, no parser, linear time.

`shape` writes a stretch of text as one letter per word, and regular expressions over these letters tell SQL from prose:

    a bare name     v value, quoted name     t a word of prose      f FROM            c clause, g GROUP ORDER …  y BY
    j LEFT INNER …  J JOIN                   b AND IN IS AS …       u NOT CASE WHEN … e END ASC NULL …
    s SELECT WITH … o operator  ( ) , .      : punctuation of prose                   ; the statement's end
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_STATEMENT_WORDS = """
    select with values explain insert replace update delete create alter drop attach detach pragma vacuum reindex
    analyze truncate merge
"""
STATEMENTS = tuple(_STATEMENT_WORDS.split())
_CLASSES = {
    "f": "from",
    "c": "where having limit offset union intersect except using window indexed returning set on filter over rows "
    "range groups fetch qualify pivot for tablesample exclude do default nulls",
    "g": "group order partition",
    "y": "by",
    "j": "left right inner outer cross natural full",
    "J": "join",
    "b": "and or in is as like ilike glob between match regexp rlike collate escape div mod xor separator asof",
    "u": "not exists case when then else distinct all cast interval top unique recursive",
    "e": "end asc desc null true false current_date current_time current_timestamp isnull notnull nocase binary rtrim "
    "last first materialized",
    "s": " ".join(STATEMENTS).replace("replace ", ""),
    "t": "the each every this that these those of your which whose you we its their our my are were was will should "
    "would because so only here there",
}
_CLASS = {word: letter for letter, words in _CLASSES.items() for word in words.split()}
_COMPLETE = "ave)"  # after these a statement may end
LONGEST_COMMENT = 4_000  # characters; what is longer is no comment, which keeps time linear
_MOST_WORDS, _MOST_CHARACTERS = 48, 4000

_TOKEN = re.compile(
    r"""[ \t\r]*+(?:
     (?P<line>\n\s*)
    |(?P<word>[^\W\d][\w$]*+(?!['’](?:s|t|re|ve|ll|d|m)\b))
    |(?P<point>[(),])
    |(?P<value>'[^']*'|"[^"]*"|`[^`\n]+`|\[[^\]\n]*\]|\d[\w.]*|\.\d+|[@$:]\w+)
    |(?P<contraction>[^\W\d]\w*['’]\w+)
    |(?P<comment>--(?!-)[^\n]*|/\*.*?\*/)
    |(?P<end>[;；]|```|~~~|</\w|<[|｜]|-{3,})
    |(?P<prose>[.](?=\s*(?:\n|\Z)|\s+[A-Z][a-z])|[:!?](?=\s|\Z)|\*\*|…)
    |(?P<mark>\S))""",
    re.VERBOSE | re.DOTALL,
)

# Prose in a line that would go on with a statement: words of prose, three names in a row, a conjunction before a comma.
_PROSE = re.compile(r"[t:]|aaa|[bcugyfjJ][,:]|b[bc]|g(?!y)|(?<!g)y|j(?![jJ(])|J[^av(]")
_GOES_ON = re.compile(r"[),;.o*cgfbjJue(]|[av](?=[cgfjJb,);])")
# A query's columns and its first table, then what may follow a table; [^f] because FROM ends the columns.
_COLUMNS = r"(?P<columns>(?:(?!aaa|t|[,(]+[bc,:;)](?<!\(\))|bb|y|g|c(?!\()|s(?<!\(s)(?<!\Zs)|:)[^f;])+)"
_FROM = re.compile(_COLUMNS + r"f(?!;)(?:\(|[av](?:\.[av])*(?:\(|b?[av])?(?:[cgjJ,;)o:u]|\Z))")
_BARE = re.compile(_COLUMNS + r"(?:[;:cgs]|\Z)")
_SPOILT = re.compile(r"[^t:;]{1,60}f")  # uneven columns, but columns

_GAP = r"(?:\s|--[^\n]*+\n|/\*(?:[^*]|\*(?!/))*+\*/)++"
_NAME = r"""(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|'[^']+'|[^\W\d][\w$]*+)"""
_END = r"\s*(?:[;；]|\Z|\n|</|<[|｜]|[`\"'*])"
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})?"
# What tells each other statement from a sentence that begins with its word; ~ is a gap.
_FORMS = (
    rf"with~(?:recursive~)?{_NAME}\s*(?:\([^()]*\)\s*)?~?as\b~?(?:not~)?(?:materialized\b~?)?"
    r"(?:\(~?(?:select|values|with|\(|\Z)|select\b|\Z)",
    r"values~?\(~?(?:['\"\d\-+.(?:@xX]|null\b)[^()]*+(?:\([^()]*+\)[^()]*+)*+"
    r"(?:\)\s*(?:,|[;；]|\Z|\n|`|\"|</|order\b|union\b|limit\b)|\Z)",
    rf"explain~(?:query~plan~)?(?:{'|'.join(STATEMENTS)})\b",
    rf"(?:insert~(?:or~\w+~)?into|replace~into|merge~into)~{_DOTTED}~?"
    rf"(?:\(|values\b|select\b|with\b|default\b|as\b|using\b|{_NAME}~using)",
    rf"update~(?:or~\w+~)?{_DOTTED}~(?:as~{_NAME}~|(?!set\b){_NAME}~)?set~(?:\(|{_NAME}(?:\.{_NAME})?\s*=)",
    rf"delete~from~{_DOTTED}(?:~(?:where|order|limit|returning|indexed|not|as)\b|{_END})",
    r"create~(?:or~replace~)?(?:(?:temp|temporary|unique|virtual)~)?(?:table|view|index|trigger)~(?:if~not~exists~)?"
    rf"{_DOTTED}~?(?:\(|as\b|on\b|using\b|before\b|after\b|instead\b)",
    r"(?:drop~(?:table|view|index|trigger|database)|truncate(?:~table)?)~(?:if~exists~)?"
    rf"(?!the\b){_DOTTED}(?:~(?:cascade|restrict))?{_END}",
    rf"alter~table~{_DOTTED}~(?:rename|add|drop|alter|modify)\b",
    rf"attach~(?:database~)?(?:'[^']*'|\"[^\"]*\"|:?\w+)~as~{_NAME}{_END}",
    rf"detach~(?:database~)?{_NAME}{_END}",
    rf"pragma~(?:{_NAME}\.)?[a-z_]+(?:\s*=\s*[\w'\"\-]+|\s*\([^()\n]*\))?{_END}",
    rf"(?:vacuum(?:~{_NAME})?(?:~into~'[^']*')?|(?:reindex|analyze)(?:~{_NAME})?){_END}",
)
_OTHERS = re.compile("|".join(_FORMS).replace("~?", f"(?:{_GAP})?").replace("~", _GAP), re.IGNORECASE)
_CAPITALS = re.compile(r"[A-Z]+\s+[^\s:]|[A-Z]+[(*]")
_SELECT = re.compile(r"select\b", re.IGNORECASE)

# Found fast, and then looked at: what may end a statement, or hides what may.
_SIGN = re.compile("[;；`~<\\[\\]*'\"\\-/\n().:!?|{}\x80-\U0010ffff](?:(?<!\\.)|(?=\\s|\\Z))")
_EVENT = re.compile(
    r"""(?P<stop>[;；]|```|~~~|</[A-Za-z]|<[|｜]|\[/[A-Za-z]|\]\]>|\*\*|<(?:s|eos|bos|pad|end|end_of_turn|start_of_turn|EOS)>)
    |(?P<quote>['"`\[])
    |(?P<comment>--|/\*)
    |(?P<line>\n\s*)
    |(?P<open>[(])|(?P<close>[)])
    |(?P<prose>(?<=[\w)'"`\]])[.:!?](?=\s|\Z)|[*|](?=\s*(?:\n|\Z))|\{[^{}\n]*\}?|\}|[^\w\s\x00-\x7f])""",
    re.VERBOSE,
)
_COMMENT_END = re.compile(r"\n|```|~~~|</[A-Za-z]|<[|｜]|\Z")
_BREAKS_OUT = re.compile(r"\n[ \t>]*(?:```|~~~)|</\w|<[|｜]")
# A list, a row of a result, a tag.
_LISTED = re.compile(r"[-*+•>|]\s+[A-Z][a-z]+\s+[a-z]|\d+[.)]\s|\|[^|]|\(\d+ \w+\)|</?[A-Za-z][\w:-]*>")
_LAST_WORD = re.compile(r"(?:.*[^\w$])?([\w$]+)\Z", re.DOTALL)
_FIRST_WORD = re.compile(r"[^\W\d]\w*")


def reads_as_statement(text: str, at: int, fresh: bool = True, opening: bool = False, lines: bool = True) -> bool:
    """Whether a statement begins at `at`, where one of STATEMENTS stands.

    fresh: nothing but a label, a bullet or a bracket stands before it on its line; other words than SELECT and WITH
    begin a statement only there. opening: it is the very first word of an answer or a block; then a keyword in capitals
    is taken at its word, so that a malformed answer stays one, and whole. lines: look beyond the line.

    >>> reads_as_statement("SELECT name FROM singer", 0), reads_as_statement("Select the name of each singer.", 0)
    (True, False)
    """
    word = _FIRST_WORD.match(text, at)
    if not word:
        return False
    if opening and word[0].isupper() and _CAPITALS.match(text, at):
        return True
    if _SELECT.match(word[0]):
        return _selects(_words(text, word.end(), 12 if word[0].isupper() else _MOST_WORDS, lines), word[0], fresh)
    if not fresh and word[0].lower() != "with":
        return False
    window = text[at : at + _MOST_CHARACTERS]
    return bool(_OTHERS.match(window)) or (fresh and word[0] == "WITH" and _words(text, word.end())[:1] in ("a", "v"))


def _selects(shape: str, keyword: str, fresh: bool) -> bool:
    """Whether what follows SELECT is columns and a table, or columns that are no mere names."""
    if not keyword.isupper() and "t" in shape.partition(";")[0]:
        return False
    if not (keyword.isupper() or keyword.islower()):  # as a sentence begins
        body = shape.partition(";")[0]
        if ":" in body or "aaa" in body:
            return False
    if _FROM.match(shape):
        return True
    bare = _BARE.match(shape)
    if bare and "f" not in bare["columns"]:
        columns = bare["columns"]
        return bool(re.search(r"[v(o]", columns)) and not re.search(r"[av)]a(?:,|\Z)", columns)
    return fresh and (keyword.isupper() or keyword.islower()) and bool(_SPOILT.match(shape))


def _words(text: str, at: int, after_from: int = _MOST_WORDS, lines: bool = True) -> str:
    """The shape of what comes next, up to the line where a statement would not go on."""
    return "".join(_letters(text, at, at + _MOST_CHARACTERS, after_from, lines))


def _line(text: str, at: int) -> str:
    """The shape of the rest of one line, and of the word that begins the next."""
    end = text.find("\n", at, at + _MOST_CHARACTERS)
    end = min(len(text), at + _MOST_CHARACTERS) if end < 0 else end
    found = "".join(_letters(text, at, end, _MOST_WORDS, lines=False))
    after = _FIRST_WORD.search(text, end, end + 80) if len(found) == 1 else None
    return found + (_CLASS.get(after[0].lower(), "a") if after else "")


def _letters(text: str, at: int, end: int, after_from: int, lines: bool) -> Iterator[str]:
    """One letter per word of text[at:end]: at most _MOST_WORDS, and `after_from` from the first FROM on."""
    before, last, left = "", "", _MOST_WORDS
    for token in _TOKEN.finditer(text, at, end):
        kind = token.lastgroup
        if kind == "word":
            letter = _word(token["word"], last, text, token.end())
        elif kind == "value":
            letter = "v"
        elif kind == "point":
            letter = token["point"]
        elif kind == "line":
            place = token.end()
            if lines and place < len(text) and not goes_on(text, place, last in _COMPLETE, token["line"]):
                yield ";"
                return
            continue
        else:
            letter = _mark(str(kind), token[str(kind)], last)
            if not letter:
                continue
        yield letter
        before, last, left = last, letter, min(left - 1, after_from) if letter == "f" else left - 1
        if letter == ";" or left <= 0 or (letter == "s" and before not in ("", "(")):
            return


def _word(word: str, last: str, text: str, end: int) -> str:
    letter = _CLASS.get(word.lower(), "a")
    if letter != "a" and (last == "." or (letter == "t" and text[end : end + 1] in ("(", "."))):
        return "a"
    return letter


def _mark(kind: str, mark: str, last: str) -> str:
    """The letter of what is neither word nor value; "" for a comment, or a sign that belongs to a word."""
    complete = last != "" and last in _COMPLETE
    if kind in ("comment", "contraction", "end"):
        return {"comment": "", "contraction": "t", "end": ";"}[kind]
    if mark == "?" and not complete:
        return "v"
    if kind == "prose" or mark == "?":
        return ":"
    if mark == "*":
        return "o" if complete else "v"
    if mark in "`\"'":
        return ";"
    if not mark.isascii():
        return ":" if unicodedata.category(mark)[0] in "PS" else ""
    return "." if mark == "." else "o"


def goes_on(text: str, at: int, complete: bool, space: str = "\n") -> bool:
    """Whether the line that begins at `at` belongs to the statement before it.

    complete: the statement could end where that line breaks; space: the white space between.
    """
    blank = space.count("\n") > 1
    if not complete and not blank:
        return True
    word = _FIRST_WORD.match(text, at, at + 40)
    letter = _CLASS.get(word[0].lower(), "a") if word else ""
    if word and complete and word[0].isupper() and letter in "fcgjJ":
        return True
    if text.startswith(("--", "/*", "#"), at):
        return not text.startswith(("---", "#"), at)
    line = _line(text, at)
    if not complete:
        return not (line[:1] in ("a", "t") and _PROSE.search(line))
    if letter == "s":
        return reads_as_statement(text, at, lines=False)
    if _LISTED.match(text, at):
        return False
    return bool(_GOES_ON.match(line)) and not _PROSE.search(line)


def statement_end(text: str, start: int, closer: str = "") -> tuple[int, str]:
    """Where the statement that begins at `start` ends, and what ends it: the text there, "" for prose or nothing more.

    closer: the quote, backtick or bracket that it stands in.

    >>> statement_end("SELECT ';' FROM t; thanks", 0)
    (17, ';')
    """
    at, solid, depth = start, start, 0
    while sign := _SIGN.search(text, at):
        place, at = sign.start(), sign.end()
        event = _EVENT.match(text, place)
        if not event:
            continue
        kind, at = event.lastgroup, event.end()
        if kind == "stop":
            return place, event[0]
        if closer and text.startswith(closer, place) and _closes(text, place, closer, depth):
            return place, closer
        if kind == "quote":
            at = _after_quoted(text, place, bool(closer)) or at
        elif kind == "comment":
            if text[solid:place].strip():
                solid = place
            at = _after_comment(text, place)
            continue
        elif kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
        elif kind == "line":
            before = solid if not _code(text, solid, place) else place
            if at == len(text) or text.startswith("---", at):
                return place, ""
            if not goes_on(text, at, _is_complete(text, start, before), event[0]):
                return place, ""
            continue
        elif kind == "prose" and _ends_in_prose(text, event, start):
            return place, ""
        solid = at
    return len(text), ""


def _code(text: str, solid: int, place: int) -> bool:
    """Whether something other than a comment stands between."""
    return not text.startswith(("--", "/*"), solid)


def _closes(text: str, place: int, closer: str, depth: int) -> bool:
    """Whether the quote at `place` ends what the statement stands in, rather than begin a name or a text of its own."""
    if closer == ")":
        return depth == 0
    if closer in "*|":
        return not text[place + 1 : text.find("\n", place) if "\n" in text[place : place + 200] else None][:200].strip()
    before = text[place - 1]
    return len(closer) > 1 or before.isalnum() or before in ")_;*%'\"`]" or _after_quoted(text, place, True) is None


def _after_quoted(text: str, place: int, one_line: bool) -> int | None:
    """The end of the quoted text or name at `place`; None when the quote is a lone one."""
    close = "]" if text[place] == "[" else text[place]
    stop = text.find(close, place + 1, place + 130 if close == "]" else len(text))
    if stop < 0:
        return None
    inside = text[place + 1 : stop]
    if "\n" in inside:
        if one_line or close == "]":
            return None
        torn = text[place - 1 : place].isalnum() or text[stop + 1 : stop + 2].isalnum()
        if torn and _BREAKS_OUT.search(inside):
            return None
    return stop + 1


def _after_comment(text: str, place: int) -> int:
    if text[place] == "-":
        end = _COMMENT_END.search(text, place)
        return end.start() if end else len(text)
    stop = text.find("*/", place + 2, place + LONGEST_COMMENT)
    return place + 2 if stop < 0 else stop + 2


def _is_complete(text: str, start: int, end: int) -> bool:
    before = text[max(start, end - 80) : end].rstrip()
    word = _LAST_WORD.match(before)
    if word:
        return _CLASS.get(word[1].lower(), "a") in _COMPLETE + "t"
    return before[-1:] in tuple(")'\"`]")


def _ends_in_prose(text: str, event: re.Match[str], start: int) -> bool:
    mark, place = event[0], event.start()
    if mark[0] in "*|{":
        return False
    if mark == ".":
        rest = text[place + 1 : place + 200].partition("\n")[0]
        return not rest.strip() or (rest.strip()[0].isupper() and bool(_PROSE.search(_line(text, place + 1))))
    return mark.isascii() or unicodedata.category(mark)[0] in "PS"
