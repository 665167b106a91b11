"""Checks bounds on a TOML text that tomllib does not: nesting, dots in keys, lengths.

Without them a key of dots takes minutes to parse, and a row of brackets overflows the stack.
"""

import re

BYTES_MAX = 4 * 1024 * 1024  # as much as a message may have
DEPTH_MAX = 8  # of brackets and braces
DOTS_MAX = 8  # in a key
LETTERS_MAX = 200  # of a name, a number or a time

# The tokens of a text, as tomllib reads it. Strings and comments are one token each, so that their
# contents do not count. Quantifiers are possessive: no backtracking, each character is read once.
TOKEN = re.compile(
    rf"""
      "{{3}} (?: [^"\\]++ | \\. | "{{1,2}}+ (?!") )*+ "{{3,5}}+
    | '{{3}} (?: [^']++ | '{{1,2}}+ (?!') )*+ '{{3,5}}+
    | " (?: [^"\\\n]++ | \\. )*+ "
    | ' [^'\n]*+ '
    | \# [^\n]*+
    | (?P<long> [\w:+-]{{{LETTERS_MAX + 1},}}+ )
    | (?P<dot> \. )
    | (?P<opened> [\[{{] )
    | (?P<closed> [\]}}] )
    | (?P<end> [=,\n]++ )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def check_bounds(text: str) -> None:
    """Raise ValueError, with the place, for a text that is deeper or longer than any catalog."""
    depth = dots = 0
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        dots = dots + 1 if kind == "dot" else dots if kind is None else 0
        depth += (kind == "opened") - (kind == "closed")
        if depth > DEPTH_MAX:
            raise ValueError(f"More than {DEPTH_MAX} brackets deep {place(text, token.start())}")
        if dots > DOTS_MAX:
            raise ValueError(f"More than {DOTS_MAX} dots in a key {place(text, token.start())}")
        if kind == "long":
            where = place(text, token.start())
            raise ValueError(f"More than {LETTERS_MAX} characters without a quote {where}")


def place(text: str, position: int) -> str:
    """The line and column of a position, in tomllib's words."""
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"(at line {line}, column {column})"
