"""Words of a question, a name or a cell in any script.

Chinese, Japanese, Korean, Thai and their like write no spaces, or join particles to words: there a question is cut by
the names and cells of the schema itself, longest first. Full-width letters and digits count as plain ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from graph.targets import letters, name_words

# Thai, Lao, Burmese, Hangul, Khmer, kana, Han
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30fa\u30fc-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_RUN = re.compile(rf"[{_UNSPACED}]+")
_LONGEST = 24


def unspaced(word: str) -> bool:
    """Whether it begins in a script without spaces."""
    return bool(_RUN.match(word))


def plain_words(text: str) -> list[str]:
    """Words in lower case; a stretch without spaces is one.

    >>> plain_words("ＶＩＰ客户 in 2024")
    ['vip', '客户', 'in', '2024']
    """
    return _WORD.findall(_normal(text))


def squashed(name: str) -> str:
    """A name's letters and digits, written together."""
    return letters(name) if name.isascii() else "".join(plain_words(name))


class Segmenter:
    """Cuts what has no spaces at the names and cells of one schema.

    >>> cut = Segmenter(["歌手", "歌手编号", "姓名"], ["中国"])
    >>> cut.words("中国歌手的姓名?"), cut.name_words("歌手编号")
    (['中国', '歌手', '的', '姓名'], ['歌手', '编号'])
    """

    def __init__(self, names: Iterable[str], cells: Iterable[str] = ()) -> None:
        self._names = {run for name in names if not name.isascii() for run in _RUN.findall(_normal(name))}
        shorter = {name for name in self._names if len(name) > 1}
        self._pieces = {name: _cut(name, shorter - {name}) for name in self._names}
        parts = {piece for pieces in self._pieces.values() for piece in pieces}
        found = (run for cell in cells if not cell.isascii() for run in _RUN.findall(_normal(cell[:80])))
        self._known = self._names | {part for part in parts if len(part) > 1}
        self._known |= {run for run in found if len(run) <= _LONGEST}

    def words(self, text: str) -> list[str]:
        """The words of a question, in order; a name made of others gives its parts."""
        found: list[str] = []
        for word in plain_words(text):
            for part in _cut(word, self._known) if unspaced(word) else [word]:
                found += self._pieces.get(part, [part])
        return found

    def name_words(self, name: str) -> list[str]:
        """The words of a table's or column's name."""
        return name_words(name) if name.isascii() else self.words(name)


def _cut(run: str, known: set[str]) -> list[str]:
    """The run in pieces: what is known, longest first from the left, and what is left between."""
    pieces, rest, at = [], "", 0
    while at < len(run):
        end = next((end for end in range(min(len(run), at + _LONGEST), at, -1) if run[at:end] in known), at)
        if end == at:
            rest, at = rest + run[at], at + 1
            continue
        pieces += [rest, run[at:end]]
        rest, at = "", end
    return [piece for piece in (*pieces, rest) if piece]


def _normal(text: str) -> str:
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
