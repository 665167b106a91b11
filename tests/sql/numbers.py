"""Where SQL says a number of an enum, in place of its name."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

from tests.sql.statements import NOISE, modules, steps

ENUM = r"\b(?:unit|kind|state|status|system_account|reason|provider)"
OPERATOR = r"\s*(?:=|<>|IS (?:NOT )?DISTINCT FROM)\s*"
COMPARED = rf"{ENUM}{OPERATOR}\d+|\b\d+{OPERATOR}(?:\w+\.)?{ENUM}\b"
# Beside other values in a list or a row, which is not what a function is given: no name before it.
LISTED = r"(?:\b(?:IN|VALUES|ARRAY|SELECT)\b|[(,])\s*[(\[](?:[^()\[\]]+,)?\s*\d+\s*(?=,|\)|\])"
CHOSEN = r"\b(?:THEN|WHEN)\s+\d+"
NUMBER = re.compile("|".join((COMPARED, LISTED, CHOSEN)))


def numbers(sql: str) -> list[str]:
    """What in a text of SQL may be a number of an enum."""
    bare = NOISE.sub(lambda noise: "''" if noise[0].startswith("'") else " ", sql)
    return NUMBER.findall(" ".join(bare.split()))


def written() -> Iterator[tuple[str, str]]:
    """The steps of the schema, and the texts of modules as they are written: names in braces."""
    for step in steps():
        yield step.name, step.read_text()
    for module in modules():
        name = module.__name__.partition(".")[2]
        for text in _texts(module):
            yield name, text


def _texts(module: ModuleType) -> Iterator[str]:
    tree = ast.parse(inspect.getsource(module))
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {part for node in formatted for part in ast.walk(node)}
    yield from map(_template, formatted)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.value


def _template(formatted: ast.JoinedStr) -> str:
    parts = formatted.values
    return "".join(str(p.value) if isinstance(p, ast.Constant) else "{name}" for p in parts)
