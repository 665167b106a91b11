"""One line of printable text, by the rule said otherwise and by what people write."""

from __future__ import annotations

import re
import unicodedata

import pytest
from giftpay_server.wire.text import is_line
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.texts import HOSTILE, WRITTEN


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_what_people_write_is_a_line(text: str) -> None:
    assert is_line(text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_hides_is_none(text: str) -> None:
    assert not is_line(text)


def test_the_empty_text_is_none() -> None:
    assert not is_line("")


@given(st.text(st.characters(max_codepoint=127)))
def test_in_ascii_it_is_what_is_seen_with_spaces_between(text: str) -> None:
    assert is_line(text) == bool(re.fullmatch("[!-~]+( +[!-~]+)*", text))


JOINERS = {"\u200c", "\u200d"}
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
SELECTORS = "\ufe0f\ufe00\u180b\U000e0100"
TELLING = f"ab1 \u00a0\u3164\u0301\u094d\u05b0कא\u034f😀\U0001faff\u06dd\n\u202e🏴{SELECTORS}"


def is_named(character: str, pattern: str) -> bool:
    return bool(re.search(pattern, unicodedata.name(character, "")))


def is_selector(character: str) -> bool:
    return is_named(character, "VARIATION SELECTOR")


def is_mark(character: str) -> bool:
    hidden = is_named(character, "VARIATION SELECTOR|GRAPHEME JOINER|VOWEL INHERENT")
    return unicodedata.category(character).startswith("M") and not hidden


def is_gap(character: str) -> bool:
    blank = is_named(character, "HANGUL.* FILLER|(BRAILLE|GLYPH).* BLANK|NULL NOTEHEAD")
    return unicodedata.category(character) == "Zs" or blank


def is_seen(character: str) -> bool:
    if unicodedata.category(character) == "Cf":
        return is_named(character, "^(ARABIC|SYRIAC|KAITHI) (?!LETTER MARK)")
    is_emoji = 0x1F000 <= ord(character) <= 0x1FAFF
    return is_emoji or (unicodedata.category(character)[0] in "LNPS" and not is_gap(character))


def reads_as_a_line(text: str) -> bool:
    """The rule, one character after the other, each with the one that carries it."""
    text, carrier, marks = text.replace(ENGLAND, "F"), " ", 0
    for before, character, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if is_seen(character) or is_gap(character):
            carrier, marks = character, 0
        elif is_mark(character):
            marks += 1
        elif character in JOINERS:
            joins = is_seen(after) or is_mark(after) or unicodedata.combining(before) == 9
            if is_gap(carrier) or before in JOINERS or not joins:
                return False
        elif not (is_selector(character) and is_seen(before)):
            return False
        if marks > 8:
            return False
    return is_seen(text[:1] or " ") and is_seen(carrier)


pieces = st.sampled_from([*TELLING, *JOINERS, ENGLAND, "a" + "\u0301" * 8, "🏴\U000e0067"])


@given(st.lists(pieces | st.characters(codec="utf-8"), max_size=12).map("".join))
@settings(max_examples=500)
def test_it_is_the_rule_said_otherwise(text: str) -> None:
    assert is_line(text) == reads_as_a_line(text)


@given(st.sampled_from([*WRITTEN.values()]), st.sampled_from([*WRITTEN.values()]))
def test_two_lines_with_a_space_between_are_a_line(one: str, other: str) -> None:
    assert is_line(f"{one} {other}")
