"""All SQL of the server, and its statements taken apart into the queries that they nest."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import giftpay_server
from giftpay_server.admin.checks import all_checks
from giftpay_server.journal.check import Check
from giftpay_server.postgres import migrations
from giftpay_server.slices import REGISTRY

VERBS = "ALTER|BEGIN|CREATE|DELETE|DO|DROP|GRANT|INSERT|LISTEN|LOCK|NOTIFY|SELECT|SET|UPDATE|WITH"
SQL = re.compile(rf"\s*(--[^\n]*\n\s*)*({VERBS})\s")

NOISE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
STATEMENT = re.compile(r"(?:\$\$.*?\$\$|[^;$]|\$(?!\$))+", re.DOTALL)

# FROM and UPDATE where they name tables: not of IS DISTINCT FROM, FOR UPDATE or DO UPDATE.
CLAUSE = re.compile(
    r"(?:(?<!DISTINCT )\bFROM|(?<!FOR )(?<!KEY )(?<!DO )\bUPDATE|\bUSING) (?!ON\b|OF\b)(.*?)"
    r"(?= (?:WHERE|GROUP|HAVING|WINDOW|ORDER|LIMIT|OFFSET|FOR|UNION|RETURNING|SET|FROM|USING"
    r"|ON CONFLICT)\b|$)"
)
BETWEEN_TABLES = re.compile(r",| (?:(?:CROSS|INNER|LEFT|RIGHT|FULL|OUTER) )*JOIN ")
TABLE = re.compile(r"(?:LATERAL )?(?:ONLY )?(\w*)(#\d+)?(?: WITH ORDINALITY)?(?: AS)?(?: (\w+))?")
COMMON = re.compile(r"(\w+)(?: ?#\d+)? AS (?:NOT )?(?:MATERIALIZED )?(#\d+)")
QUALIFIER = re.compile(r"(?<![\w.])(\w+)\.")


def is_sql(text: str) -> bool:
    """Whether a text of the program is a statement."""
    return SQL.match(text) is not None


def modules() -> Iterator[ModuleType]:
    """All modules of the server that may hold SQL for Postgres.

    Not the sandbox's, which has a database of another kind, nor the generated ones.
    """
    prefix = f"{giftpay_server.__name__}."
    for found in pkgutil.walk_packages(giftpay_server.__path__, prefix):
        if not found.name.startswith((f"{prefix}sandbox", f"{prefix}stored")):
            yield importlib.import_module(found.name)


def read_all() -> dict[str, str]:
    """The SQL constants by module and name, and the steps of the schema by file."""
    sql = {path.name: path.read_text() for path in steps()}
    named = {text: name for name, text in sql.items()}
    constants = [found for module in modules() for found in _constants(module)]
    constants += _texts("admin.checks.all_checks", all_checks(REGISTRY))
    for name, text in sorted(constants, key=lambda found: "[" in found[0]):  # whole ones first
        if named.setdefault(text, name) == name:
            sql[name] = text
    return sql


def steps() -> list[Path]:
    return sorted(Path(migrations.__file__).parent.glob("*.sql"))


def _constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    path = module.__name__.partition(".")[2]
    for name, value in vars(module).items():
        if not name.startswith("__"):
            yield from _texts(f"{path}.{name}", value)


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and is_sql(value):
        yield name, value
    elif isinstance(value, Check):
        yield name, value.sql
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _texts(f"{name}[{key!r}]", member)
    elif isinstance(value, (tuple, list)):
        for number, member in enumerate(value):
            yield from _texts(f"{name}[{number}]", member)


@dataclass(frozen=True)
class Query:
    """What is between two parentheses: `#0`, `#1`, ... are in the place of what it nests."""

    text: str
    inner: list[Query] = field(default_factory=list)

    def walk(self) -> Iterator[Query]:
        """This one and all that it nests."""
        yield self
        for query in self.inner:
            yield from query.walk()

    @property
    def sources(self) -> list[tuple[str, str, str]]:
        """What it reads or updates: name, mark of what is nested, and alias."""
        items = [
            item for found in CLAUSE.findall(self.text) for item in BETWEEN_TABLES.split(found)
        ]
        matches = [TABLE.match(item.strip()) for item in items]
        return [(match[1], match[2] or "", match[3] or "") for match in matches if match]

    @property
    def names(self) -> set[str]:
        """By which its sources are known to what it nests."""
        return {alias if alias not in ("", "ON") else name for name, _, alias in self.sources}

    def nested(self, mark: str) -> Query:
        """What one of its marks is in the place of."""
        return self.inner[int(mark[1:])]


def statements(sql: str) -> list[Query]:
    """Its statements, without comments and literals; a DO block or a function is one statement."""
    bare = NOISE.sub(lambda noise: "''" if noise[0].startswith("'") else " ", sql)
    return [_parsed(text) for text in STATEMENT.findall(bare) if text.strip()]


def _parsed(text: str) -> Query:
    stack: list[tuple[list[str], list[Query]]] = [([], [])]
    for piece in re.split(r"([()])", text):
        if piece == "(":
            stack.append(([], []))
        elif piece == ")":
            done = _query(*stack.pop())
            pieces, inner = stack[-1]
            pieces.append(f"#{len(inner)} ")
            inner.append(done)
        else:
            stack[-1][0].append(piece)
    return _query(*stack[0])


def _query(pieces: list[str], inner: list[Query]) -> Query:
    return Query(" ".join("".join(pieces).split()), inner)


def tables_joined(statement: Query) -> list[set[str]]:
    """Of each query of a statement: the tables whose rows it brings together.

    They are its own, those of the common tables and subqueries that it reads from, and those of the
    subqueries that refer to its rows.
    """
    common = {
        name: query.nested(mark)
        for query in statement.walk()
        for name, mark in COMMON.findall(query.text)
    }
    return [_tables(query, common, set()) for query in statement.walk()]


def _tables(query: Query, common: Mapping[str, Query], outer: set[str]) -> set[str]:
    found: set[str] = set()
    for name, mark, _ in query.sources:
        if name in common:
            others = {key: value for key, value in common.items() if key != name}
            found |= _tables(common[name], others, set())
        elif mark and not name:
            found |= _tables(query.nested(mark), common, set())
        elif not mark:
            found.add(name)
    visible = outer | query.names
    for nested in query.inner:
        if _refers(nested, visible):
            found |= _tables(nested, common, visible)
    return found


def _refers(query: Query, names: set[str]) -> bool:
    foreign = names - query.names
    return not foreign.isdisjoint(QUALIFIER.findall(query.text)) or any(
        _refers(nested, foreign) for nested in query.inner
    )
