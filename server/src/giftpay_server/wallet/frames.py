"""A cache of frames that followers were sent lately, serialized once for all of them."""

from __future__ import annotations

from typing import NamedTuple

from giftpay.v1 import WatchEntriesResponse

BYTES_MAX = 16 * 2**20  # of all accounts together
AGE_MAX_S = 2.0  # also how long a text may be sent after its erasure
FRAME_BYTES = 64 * 2**10  # a larger frame is not joined with the next
FRAME_ENTRIES = 500


class Frame(NamedTuple):
    """Entries of one account without a gap, serialized as WatchEntriesResponse."""

    data: bytes
    last_seq: int


class FrameCache:
    """The newest frames of all accounts, by epoch and first position; bounded in bytes and age."""

    def __init__(self) -> None:
        self._frames: dict[tuple[int, int], tuple[Frame, float]] = {}  # oldest first
        self._bytes = 0
        # The last join, by its start: the same bytes for all followers that are woken in a row.
        self._last_join: tuple[tuple[int, int], Frame] | None = None

    def put(self, epoch: int, after_seq: int, frame: Frame, *, now: float) -> None:
        """Adds a frame. An epoch belongs to one account, up to a restore of its database."""
        self._drop((epoch, after_seq))
        self._frames[epoch, after_seq] = frame, now
        self._last_join = None
        self._bytes += len(frame.data)
        self.trim(now=now)

    def trim(self, *, now: float) -> None:
        """Evicts the oldest frames until the bounds on age and bytes hold."""
        while self._frames:
            oldest, (_, made) = next(iter(self._frames.items()))
            if self._bytes <= BYTES_MAX and now < made + AGE_MAX_S:
                return
            self._drop(oldest)

    def has(self, epoch: int, after_seq: int) -> bool:
        """Whether there is a frame that begins after this seq."""
        return (epoch, after_seq) in self._frames

    def join(self, epoch: int, after_seq: int) -> Frame:
        """Joins frames from a seq on, up to FRAME_BYTES."""
        if self._last_join is None or self._last_join[0] != (epoch, after_seq):
            self._last_join = (epoch, after_seq), self._concatenated(epoch, after_seq)
        return self._last_join[1]

    def _concatenated(self, epoch: int, after_seq: int) -> Frame:
        """Protobuf merges concatenated messages."""
        parts: list[bytes] = []
        size, seq = 0, after_seq
        while size < FRAME_BYTES and (kept := self._frames.get((epoch, seq))) is not None:
            frame, _ = kept
            if frame.last_seq > after_seq + FRAME_ENTRIES:
                break
            parts.append(frame.data)
            size += len(frame.data)
            seq = frame.last_seq
        return Frame(b"".join(parts), seq)

    def _drop(self, key: tuple[int, int]) -> None:
        if (kept := self._frames.pop(key, None)) is not None:
            self._bytes -= len(kept[0].data)
            self._last_join = None  # it may contain what was evicted, which may be erased


def heartbeat(seq: int) -> Frame:
    """A frame without entries."""
    return Frame(WatchEntriesResponse(last_seq=seq).SerializeToString(), seq)
