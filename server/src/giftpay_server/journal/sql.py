"""Parts of statements that several modules use."""

from __future__ import annotations

from collections.abc import Iterable

from giftpay.v1 import ERROR_REASON_UNSPECIFIED

POSTED = ERROR_REASON_UNSPECIFIED  # the reason of a transaction that was not refused


def among(numbers: Iterable[int]) -> str:
    """The list of an IN condition."""
    return f"({', '.join(map(str, numbers))})"


def refs(entries: str) -> str:
    """A subquery of the entries that a transaction lists, numbered by `nth`; fails if malformed."""
    return f"""(
        SELECT split_part(ref, '/', 1) AS owner_id, split_part(ref, '/', 2)::smallint AS unit,
               split_part(ref, '/', 3)::bigint AS seq, nth
          FROM unnest(string_to_array({entries}, ' ')) WITH ORDINALITY AS list (ref, nth)
    )"""
