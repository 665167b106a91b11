"""The glossary lists the fifteen words of the house, and the server uses each of them."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT, table

WORDS = [word for word, _ in table("docs/ledger.md", "Words of the house")]
SOURCES = "\n".join(path.read_text() for path in ROOT.glob("server/src/**/*.py"))


def test_the_house_has_fifteen_words() -> None:
    assert len(set(WORDS)) == 15


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_glossary_is_used(word: str) -> None:
    spelling = word.replace(" ", "[ _]?")
    assert re.search(rf"\b_?{spelling}s?\b", SOURCES, re.IGNORECASE)
