"""One line of printable text: what people write, and nothing that is there without being seen.

Python's `str.isprintable` is another rule: it refuses the joiners in emoji, the no-break space of
French and whatever is newer than its tables, and allows a text of invisible letters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, combining

# Latin, Greek, Cyrillic, Kana, Han, Hangul: no marks and no blanks, so that Python's rule will do.
PLAIN = re.compile(
    "[ -~\u00a1-\u02ff\u0370-\u0482\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3]+"
)
JOINERS = "\u200c\u200d"
SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
EMOJI = re.compile("[\U0001f000-\U0001faff]")  # also those that Python's tables do not know yet

# Format characters that are seen: the signs that Arabic, Syriac and Kaithi put around numbers.
SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
# Letters, symbols and marks that nobody sees. The first leave a gap, as spaces do.
BLANKS = "\u115f\u1160\u2800\u3164\uffa0\U00013441\U00013442\U0001d159"
INVISIBLE_MARKS = "\u034f\u17b4\u17b5"

# The flag of England or of Texas: a black flag, and its region in characters that nobody sees.
REGIONAL_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,7}\U000e007f")

VIRAMA = 9  # the combining class of the marks that take the vowel from a consonant

# In the letters of `_role`. As many marks are on one character as Tibetan needs; more cover the
# lines above and below. A joiner is between two others or, as in Malayalam, after a virama. No part
# gives back what it took: a hostile text is read once.
SEEN = "vs?+(?:j?+[mh]){0,8}+(?:(?<=h)j)?+"
GAP = "(?:_[mh]{0,8}+)++"
LINE = re.compile(f"{SEEN}(?:(?:(?<!j)j|{GAP})?+{SEEN})*+")


def is_line(text: str) -> bool:
    """Whether it is one line of printable text that begins and ends with something to see."""
    if text.isascii() or PLAIN.fullmatch(text):
        return text.isprintable() and text.strip(" ") == text != ""
    return LINE.fullmatch("".join(map(_role, REGIONAL_FLAG.sub("v", text)))) is not None


@lru_cache(maxsize=8192)
def _role(character: str) -> str:
    """What it is in a line: seen, _ a gap, a mark, a halant, selector or joiner, or x for none."""
    if character in JOINERS:
        return "j"
    if SELECTORS.match(character):
        return "s"
    if character in BLANKS:
        return "_"
    if character in SIGNS or EMOJI.match(character):
        return "v"
    return _role_of_category(character)


def _role_of_category(character: str) -> str:
    match category(character):
        case "Zs":
            return "_"
        case "Mn" | "Mc" | "Me" if character not in INVISIBLE_MARKS:
            return "h" if combining(character) == VIRAMA else "m"
        case kind if kind[0] in "LNPS":
            return "v"
    return "x"
