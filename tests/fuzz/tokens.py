"""Page tokens that the server never made."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from random import Random

from tests.fuzz.values import JSONS, TEXTS

DIGEST = "0123456789ab"


def forged(random: Random, real: str, others: Sequence[str]) -> str:
    """A forgery of a real token of the same list: other positions, text or bytes."""
    match random.randrange(8):
        case 0:
            return random.choice([*others, real])
        case 1:
            return _mutated(random, real)
        case 2:
            return random.choice(TEXTS)
        case 3:
            return encoded(random.choice(JSONS))
        case _:
            return encoded(_repositioned(random, real))


def encoded(text: str) -> str:
    """A text as the tokens carry theirs."""
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def parts(token: str) -> list[object]:
    """The digest of a token and its positions; made up where it is none of ours."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return list(json.loads(text))
    except (binascii.Error, ValueError, TypeError):
        return [DIGEST, 1]


def _repositioned(random: Random, token: str) -> str:
    digest, *positions = (json.dumps(part) for part in parts(token))
    match random.randrange(5):
        case 0:
            positions.append(random.choice(JSONS))
        case 1:
            positions = positions[:-1]
        case 2:
            digest = random.choice((*JSONS, json.dumps(DIGEST)))
        case _ if positions:
            positions[random.randrange(len(positions))] = random.choice(JSONS)
    return f"[{','.join([digest, *positions])}]"


def _mutated(random: Random, token: str) -> str:
    at = random.randrange(len(token) + 1)
    piece = random.choice(("=", "====", "+/", "\u00e9", "A", "-" * 1_000, "\n"))
    return random.choice((token[:at], token[:at] + piece + token[at:], token * 2))
