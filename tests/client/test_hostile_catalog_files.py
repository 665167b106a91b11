"""Any catalog file either parses or is refused with a short sentence and a place."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from giftpay.catalog_file import CatalogFileError, load_catalog, parse_catalog
from giftpay.toml_bounds import BYTES_MAX, DEPTH_MAX, DOTS_MAX, LETTERS_MAX, check_bounds
from giftpay.v1 import Catalog
from hypothesis import given, settings
from hypothesis import strategies as st

SENTENCE_MAX = 400

HOSTILE = {
    "deep brackets": (b"gifts = " + b"[" * 100_000, "8 brackets deep (at line 1, column 17)"),
    "deep braces": (b"gifts = " + b"{a=" * 100_000, "8 brackets deep (at line 1, column 33)"),
    "a deep head": (b"[" * 100_000, "8 brackets deep (at line 1, column 9)"),
    "a key of dots": (b"a" + b".a" * 50_000 + b" = 1", "8 dots in a key (at line 1, column 18)"),
    "a key of quotes": (b"'a'" + b" . 'a'" * 50_000 + b" = 1", "8 dots in a key"),
    "a head of dots": (b"\n[a" + b".a" * 50_000 + b"]", "8 dots in a key (at line 2, column 19)"),
    "a number of 5,000 digits": (b"[[gifts]]\ncoins = " + b"9" * 5_000, "at line 2, column 9"),
    "a hexadecimal number": (b"[[gifts]]\ncoins = 0x" + b"f" * 5_000, "at line 2, column 9"),
    "a number of 99 digits": (b"[[gifts]]\ncoins = " + b"9" * 99, "gifts[0].coins: Value out of"),
    "a price of 5,000 digits": (
        b"[[packages]]\nprice = 'EUR " + b"9" * 5_000 + b".00'",
        'packages[0].price: must be money such as "EUR 10.99"',
    ),
    "a long name": (b"'" + b"x" * 100_000 + b"' = 1", "there is no such field"),
    "a long text": (b"gifts = '" + b"x" * 100_000 + b"'", "gifts: must be a list"),
    "a long id": (b"[[gifts]]\ngift_id = '" + b"x" * 100_000 + b"'\nname = 1", "name: must be"),
    "NUL": (b"[[gifts]]\nname = 'a\0b'", "(at line 2, column 10)"),
    "bytes that are not UTF-8": (b"[[gifts]]\nname = '\xff'", "not UTF-8 (at line 2, column 9)"),
    "UTF-16": ("gifts = []".encode("utf-16"), "not UTF-8 (at line 1, column 1)"),
    "a key twice": (b"gifts = []\ngifts = []\n", "Cannot overwrite a value (at line 2"),
    "a day for a text": (b"[[gifts]]\nname = 2026-12-01", "gifts[0].name: must be a text"),
    "a time before all": (
        b"[[promotions]]\nstart_time = 0001-01-01T00:00:00+01:00",
        "promotions[0].start_time: must be in the years 1 to 9999",
    ),
    "not a number": (b"[[gifts]]\ncoins = nan", "gifts[0].coins: must be a whole number"),
    "a name with a control character": (
        b'"\\u001b[31m" = 1',
        '"\\u001b[31m": there is no such field',
    ),
    "more than a message": (b" " * (BYTES_MAX + 1), "more than 4 MiB"),
}


@pytest.mark.parametrize(("data", "complaint"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_a_place(
    tmp_path: Path, data: bytes, complaint: str
) -> None:
    file = tmp_path / "catalog.toml"
    file.write_bytes(data)
    with pytest.raises(CatalogFileError) as mistake:
        load_catalog(file)
    message = str(mistake.value)
    assert complaint in message
    assert len(message) < SENTENCE_MAX
    assert message.isprintable()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_of_a_windows_editor_is_accepted(tmp_path: Path, mark: bytes, end: bytes) -> None:
    file = tmp_path / "catalog.toml"
    file.write_bytes(mark + end.join([b"[[gifts]]", b"gift_id = 'rose'", b""]))
    assert load_catalog(file).gifts[0].gift_id == "rose"


def test_an_endless_device_is_refused() -> None:
    with pytest.raises(CatalogFileError, match="more than 4 MiB"):
        load_catalog("/dev/zero")


@pytest.mark.parametrize("name", ["", "missing.toml"])
def test_an_unreadable_file_is_refused_with_the_cause(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogFileError, match=r"Is a directory|No such file"):
        load_catalog(tmp_path / name)


def complaint(load: Callable[[], Catalog]) -> str:
    """The error of a catalog; empty if it is valid."""
    try:
        load()
    except CatalogFileError as mistake:
        return str(mistake)
    return ""


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_parse_or_are_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    assert len(complaint(lambda: load_catalog(file))) < SENTENCE_MAX


NAMES = [*Catalog.DESCRIPTOR.fields_by_name, "gift_id", "price", "coins", "start_time"]
FIELDS = st.sampled_from(NAMES)
WRITTEN = """'x' 1 -0 1e9 inf true [] [[1]] {a=1} 12:30:00 2026-12-01 2026-12-01T00:00:00Z
    9999-12-31T23:59:59-23:59 'EUR' '1/2' '1/0'"""
VALUES = st.sampled_from([*WRITTEN.split(), "'EUR 0.99'"])
LINES = (
    st.builds("[[{}]]".format, FIELDS)
    | st.builds("[{}]".format, FIELDS)
    | st.builds("{} = {}".format, FIELDS, VALUES)
    | st.builds("{}.{} = {}".format, FIELDS, FIELDS, VALUES)
    | st.text("[]{}=.,#'\"\\ \n\tab1_-", max_size=12)
)


@given(st.lists(LINES, max_size=8).map("\n".join))
@settings(max_examples=500, deadline=None)
def test_any_lines_parse_or_are_refused_with_a_sentence(text: str) -> None:
    assert len(complaint(lambda: parse_catalog(text))) < SENTENCE_MAX


INSIDE = st.text("[]{}.=,#\n'\"\\ab", max_size=40)
HELD = [
    INSIDE.map(json.dumps),
    INSIDE.map(lambda text: '"""' + json.dumps(text)[1:-1] + '"""'),
    st.text('[]{}.=,#"\\ab', max_size=40).map("'{}'".format),
    st.text('[]{}.=,#\n"\\ab', max_size=40).map("'''{}'''".format),
    st.text("[]{}.=,'\"\\ab", max_size=40).map("1 # {}".format),
]


@given(st.lists(st.one_of(HELD), min_size=1, max_size=5))
def test_contents_of_strings_and_comments_do_not_count(values: list[str]) -> None:
    text = "\n".join(f"key{number} = {value}" for number, value in enumerate(values))
    tomllib.loads(text)
    check_bounds(text)
    for beyond in ("[" * (DEPTH_MAX + 1), "." * (DOTS_MAX + 1), "x" * (LETTERS_MAX + 1)):
        with pytest.raises(ValueError, match=rf"at line {text.count(chr(10)) + 2},"):
            check_bounds(f"{text}\n{beyond}")
