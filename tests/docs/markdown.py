"""Reads the documents: code blocks, command lines, tables and links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "client/*.md", "server/*.md")
    for path in ROOT.glob(pattern)
)

Row = list[str]


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a language, "" for those of none, in their order."""
    found = re.findall(r"^```(.*)\n((?s:.*?))^```$", _text(document), re.MULTILINE)
    return [text for named, text in found if named == language]


def command_lines(path: Path) -> list[str]:
    """The command lines of `giftpay` in a document, in its blocks and inline."""
    fence = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    text = path.read_text()
    fenced = re.findall(r"^(?:\$ )?(giftpay .*)$", "".join(fence.findall(text)), re.MULTILINE)
    return [*fenced, *re.findall(r"`(giftpay [^`]+)`", fence.sub("", text))]


def table(document: str, heading: str) -> list[Row]:
    """The cells of the first table under a heading, without its head and the backticks."""
    section = _text(document).split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines[2:]]


def links(path: Path) -> list[str]:
    """The links of a document inside the checkout."""
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", path.read_text())
    return [target for target in targets if not target.startswith(("http:", "https:"))]


def anchors(path: Path) -> set[str]:
    """The names under which a document's headings are pointed to."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _text(document: str) -> str:
    return (ROOT / document).read_text()
