"""Writes an exception for each reason of a refusal, and the tree of all errors."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.codegen.contract import Contract, Reason
from scripts.codegen.python import PACKAGE, docstring, exported, write_module

ERRORS = PACKAGE / "errors.py"  # written by hand
BASES = {
    "INTERNAL": "GiftpayError",
    "INVALID_ARGUMENT": "Malformed",
    "NOT_FOUND": "NotFound",
    "RESOURCE_EXHAUSTED": "Exhausted",
}
ROOT, UNANSWERED = "GiftpayError", "OutcomeUnknown"
REMARKS_AT = 40  # columns
TYPES = {str: "str", int: "int", list: "tuple[str, ...]"}

TITLE = "An exception for each reason of a refusal, with its figures."
TREE_TITLE = "The errors that a call can raise:"


def write_refusals(contract: Contract, into: Path) -> None:
    """Write giftpay/refusals.py."""
    answered = [reason for reason in contract.reasons if reason.answered]
    bases = sorted({_base(reason) for reason in answered} | {ROOT, UNANSWERED})
    write_module(
        into,
        "refusals.py",
        "\n".join([TITLE, "", TREE_TITLE, "", *_tree(answered), ""]),
        "from collections.abc import Mapping\n",
        f"from giftpay.errors import {', '.join(bases)}\n",
        exported(reason.exception for reason in answered),
        *map(_class, answered),
        _table(contract.reasons),
    )


def _base(reason: Reason) -> str:
    return BASES.get(reason.status, "Refused")


def _class(reason: Reason) -> str:
    figures = [f"    {name}: {_type(example)}\n" for name, example in reason.figures.items()]
    lines = [f"class {reason.exception}({_base(reason)}):\n", docstring(reason.comment), "\n"]
    pinned = ["    pinned = True\n\n"] if reason.pinned else []
    return "".join([*lines, *pinned, *figures, "\n"])


def _type(example: object) -> str:
    """The type of a figure, with an example unless it is a number."""
    shown = "" if isinstance(example, int) else f"  # such as {_python(example)}"
    return TYPES[type(example)] + shown


def _python(example: object) -> str:
    return json.dumps(example).replace("[", "(").replace("]", ")")


def _table(reasons: list[Reason]) -> str:
    rows = "".join(
        f'    "{reason.name}": {reason.exception if reason.answered else UNANSWERED},\n'
        for reason in reasons
    )
    return f"TYPES: Mapping[str, type[{ROOT}]] = {{\n{rows}}}\n"


def _tree(reasons: list[Reason]) -> Iterator[str]:
    """The tree of all errors: those written by hand, and one for each reason."""
    below: dict[str, list[tuple[str, str]]] = {}
    made = [(each.exception, _base(each), _attributes(each.figures)) for each in reasons]
    for name, base, remark in [*_written(), *made]:
        below.setdefault(base, []).append((name, remark))
    yield f"    {ROOT}"
    yield from _branches(below, ROOT, "    ")


def _branches(below: dict[str, list[tuple[str, str]]], base: str, indent: str) -> Iterator[str]:
    errors = below.get(base, [])
    for place, (name, remark) in enumerate(errors, 1):
        stem, space = ("├── ", "│   ") if place < len(errors) else ("└── ", "    ")
        yield f"{indent}{stem}{name}".ljust(REMARKS_AT) + remark
        yield from _branches(below, name, indent + space)


def _written() -> Iterator[tuple[str, str, str]]:
    """Each error of `giftpay.errors`: its name, its base, and its attributes or its docstring."""
    for node in ast.parse(ERRORS.read_text()).body:
        if isinstance(node, ast.ClassDef):
            attributes = [
                ast.unparse(each.target) for each in node.body if isinstance(each, ast.AnnAssign)
            ]
            sentence, _, _ = (ast.get_docstring(node) or "").partition(".")
            yield node.name, ast.unparse(node.bases[0]), _attributes(attributes) or f"{sentence}."


def _attributes(names: Iterable[str]) -> str:
    return " ".join(f".{name}" for name in names)
