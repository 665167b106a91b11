"""What followers were sent lately, each entry serialised once for all of them."""

from __future__ import annotations

from typing import NamedTuple

from giftpay.v1 import WatchEntriesResponse

BYTES_MAX = 16 * 2**20  # of all accounts together
AGE_MAX_S = 2.0  # as long may be sent what was erased meanwhile
FRAME_BYTES = 64 * 2**10  # from where on no further piece is joined
FRAME_ENTRIES = 500


class Frame(NamedTuple):
    """Entries of one account without a gap, serialised as WatchEntriesResponse."""

    data: bytes
    last_seq: int


class Pieces:
    """Frames by where they begin, the newest of all accounts; bounded in bytes and in age."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[int, int], tuple[Frame, float]] = {}  # the oldest first
        self._bytes = 0

    def put(self, book: int, after_seq: int, frame: Frame, *, now: float) -> None:
        """Keeps a frame of a book: a number of the account and of its state of the database."""
        self._drop((book, after_seq))
        self._pieces[book, after_seq] = frame, now
        self._bytes += len(frame.data)
        self.trim(now=now)

    def trim(self, *, now: float) -> None:
        """Drops what is too old or too much."""
        while self._pieces:
            oldest, (_, made) = next(iter(self._pieces.items()))
            if self._bytes <= BYTES_MAX and now < made + AGE_MAX_S:
                return
            self._drop(oldest)

    def has(self, book: int, after_seq: int) -> bool:
        """Whether a frame that begins there is kept."""
        return (book, after_seq) in self._pieces

    def joined(self, book: int, after_seq: int) -> Frame:
        """What is kept from a seq on, up to the size of a frame. Concatenated, messages merge."""
        parts: list[bytes] = []
        size, seq = 0, after_seq
        while size < FRAME_BYTES and (kept := self._pieces.get((book, seq))) is not None:
            frame, _ = kept
            if frame.last_seq > after_seq + FRAME_ENTRIES:
                break
            parts.append(frame.data)
            size += len(frame.data)
            seq = frame.last_seq
        return Frame(b"".join(parts), seq)

    def _drop(self, key: tuple[int, int]) -> None:
        if (kept := self._pieces.pop(key, None)) is not None:
            self._bytes -= len(kept[0].data)


def heartbeat(seq: int) -> Frame:
    """A frame without entries."""
    return Frame(WatchEntriesResponse(last_seq=seq).SerializeToString(), seq)
