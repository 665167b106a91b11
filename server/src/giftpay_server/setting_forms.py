"""The forms of settings: bounded numbers, switches, addresses, URLs, names, folders."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from giftpay_server.settings import Form, T

# ASCII digits, without a sign or an exponent, and no more digits than any bound has.
WHOLE = re.compile(r"[0-9]{1,18}")
DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")

HOST = r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
LISTEN = re.compile(rf"{HOST}:([0-9]{{1,5}})")
PROVIDER = re.compile(rf"https?://{HOST}(?::([0-9]{{1,5}}))?/?")
# One of several hosts; one that begins with %2F is the folder of a socket.
DATABASE_HOST = re.compile(rf"(?:{HOST}|%2[Ff][^\s:]*)?(?::([0-9]{{1,5}}))?")
PORT_MAX = 65_535


def whole(least: int, most: int, unit: str = "") -> Form[int]:
    """A whole number within these bounds."""
    return Form(f"{least} to {most} {unit}".rstrip(), _number(WHOLE, int, least, most))


def decimal(least: float, most: float, unit: str) -> Form[float]:
    """A number within these bounds, with or without decimals."""
    return Form(f"{least:g} to {most:g} {unit}", _number(DECIMAL, float, least, most))


def seconds(least: float, most: float) -> Form[float]:
    """A time within these bounds."""
    return decimal(least, most, "seconds")


def _number(
    digits: re.Pattern[str], number: Callable[[str], T], least: float, most: float
) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if digits.fullmatch(text) and least <= float(text) <= most:
            return number(text)
        raise ValueError

    return parse


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"


def _address(text: str) -> str:
    _check_port(LISTEN.fullmatch(text), least=0)
    return text


def _provider(text: str) -> str:
    _check_port(PROVIDER.fullmatch(text))
    return text.rstrip("/")


def _database(text: str) -> str:
    # These checks keep parts of a password out of asyncpg's error messages.
    url = urlsplit(text)
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError
    if not text.isprintable() or "\0" in unquote(text):
        raise ValueError
    if url.netloc.count("@") > 1 or "@" in url.path + url.query or url.fragment:
        raise ValueError
    for host in url.netloc.rpartition("@")[2].split(","):
        _check_port(DATABASE_HOST.fullmatch(host))
    parse_qs(url.query, strict_parsing=bool(url.query))
    return text


def _check_port(address: re.Match[str] | None, *, least: int = 1) -> None:
    if address is None or (address[1] and not least <= int(address[1]) <= PORT_MAX):
        raise ValueError


def _folder(text: str) -> Path:
    try:
        folder = Path(text).expanduser()
    except RuntimeError:  # no such user, or one without a home
        raise ValueError from None
    if not text.isprintable():
        raise ValueError
    return folder


NAMES_MAX = 100
NAME_CHARACTERS_MAX = 64


def _names(text: str) -> frozenset[str]:
    names = frozenset(filter(None, map(str.strip, text.split(","))))
    if len(names) > NAMES_MAX or not text.isprintable():
        raise ValueError
    if any(len(name) > NAME_CHARACTERS_MAX for name in names):
        raise ValueError
    return names


SWITCH = Form("0 or 1", _switch, lambda on: str(int(on)))
ADDRESS = Form("host:port, with port 0 for any that is free", _address)
PROVIDER_URL = Form("http://host:port or https://host:port", _provider, is_secret=True)
DATABASE_URL = Form(
    "postgresql://user:password@host:port/database, a password's own signs as %XX",
    _database,
    is_secret=True,
)
FOLDER: Form[Path | None] = Form("a folder", _folder, lambda path: f"{path or ''}")
NAMES = Form(
    f"at most {NAMES_MAX} names with commas between",
    _names,
    lambda names: ",".join(sorted(names)),
)
