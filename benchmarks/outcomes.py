"""Counts the outcomes in a stream of answers without parsing them."""

from __future__ import annotations

PREFIX_BYTES = 5  # of a gRPC message: a flag, and its length


class OutcomeCounter:
    """Counts in chunks of data, whose boundaries need not be those of messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """The outcomes in the messages that this data completes."""
        data = self._rest + data if self._rest else data
        at, outcomes = 0, 0
        while len(data) - at >= PREFIX_BYTES:
            after = at + PREFIX_BYTES + int.from_bytes(data[at + 1 : at + PREFIX_BYTES], "big")
            if after > len(data):
                break
            outcomes += _items(data, at + PREFIX_BYTES, after)
            at = after
        self._rest = data[at:]
        return outcomes


def _items(data: bytes, at: int, end: int) -> int:
    """The number of length-delimited fields at the top level of a message."""
    items = 0
    while at < end:
        at += 1  # the field's tag
        length = shift = 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
        items += 1
    return items
