"""Attacks by name: bytes sent over a TCP connection instead of well-formed HTTP/2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from tests.fuzz import hostile_calls, hostile_connections

Attack = Callable[[Random, bytes], bytes]  # of a payload for SendGift, to what is sent

ATTACKS: Mapping[str, Attack] = {
    each.__name__: each for each in (*hostile_calls.ATTACKS, *hostile_connections.ATTACKS)
}
