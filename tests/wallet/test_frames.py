"""The frame cache: frames are joined without a gap, bounded in bytes and in age."""

from __future__ import annotations

import pytest
from giftpay.v1 import UNIT_COIN, Entry, WatchEntriesResponse
from giftpay_server.wallet import frames
from giftpay_server.wallet.frames import AGE_MAX_S, FRAME_ENTRIES, Frame, FrameCache
from giftpay_server.wallet.reader import Reader
from giftpay_server.wallet.wake_queue import WakeQueue
from hypothesis import given, settings
from hypothesis import strategies as st

EPOCH, OTHER = 1, 2


def frame(first: int, last: int, *, message: str = "") -> Frame:
    entries = [Entry(seq=seq) for seq in range(first, last + 1)]
    for entry in entries:
        entry.gift.message = message
    shown = WatchEntriesResponse(entries=entries, last_seq=last)
    return Frame(shown.SerializeToString(), last)


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1), st.data())
def test_frames_are_joined_in_order_without_a_gap(sizes: list[int], data: st.DataObject) -> None:
    kept, ends = FrameCache(), [0]
    for size in sizes:
        kept.put(EPOCH, ends[-1], frame(ends[-1] + 1, ends[-1] + size), now=0)
        kept.put(OTHER, ends[-1], frame(1, 1), now=0)
        ends.append(ends[-1] + size)
    position = data.draw(st.sampled_from(ends[:-1]))
    joined = kept.join(EPOCH, position)
    message = WatchEntriesResponse.FromString(joined.data)
    assert [entry.seq for entry in message.entries] == list(
        range(position + 1, joined.last_seq + 1)
    )
    assert message.last_seq == joined.last_seq in ends
    assert len(message.entries) <= FRAME_ENTRIES
    assert joined.last_seq == ends[-1] or len(message.entries) > FRAME_ENTRIES - 100


def test_large_frames_are_not_joined() -> None:
    kept = FrameCache()
    for seq in range(100):
        kept.put(EPOCH, seq, frame(seq + 1, seq + 1, message="x" * 4_000), now=0)
    assert len(kept.join(EPOCH, 0).data) < frames.FRAME_BYTES + 5_000


def test_beyond_the_bound_the_oldest_frame_is_evicted_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = frame(1, 1, message="x" * 4_000)
    monkeypatch.setattr(frames, "BYTES_MAX", 3 * len(one.data))
    kept = FrameCache()
    for seq in range(5):
        kept.put(EPOCH, seq, one, now=0)
    assert [kept.has(EPOCH, seq) for seq in range(5)] == [False, False, True, True, True]


def test_a_replaced_frame_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = frame(1, 1, message="x" * 4_000)
    monkeypatch.setattr(frames, "BYTES_MAX", 3 * len(one.data))
    kept = FrameCache()
    for _ in range(5):
        kept.put(EPOCH, 0, one, now=0)
    kept.put(EPOCH, 1, one, now=0)
    assert kept.has(EPOCH, 0)
    assert kept.has(EPOCH, 1)


def test_old_frames_are_evicted() -> None:
    kept = FrameCache()
    kept.put(EPOCH, 0, frame(1, 1), now=0)
    kept.put(EPOCH, 1, frame(2, 2), now=1)
    kept.trim(now=AGE_MAX_S)
    assert (kept.has(EPOCH, 0), kept.has(EPOCH, 1)) == (False, True)


async def test_a_join_is_sent_no_longer_than_its_frames_are_cached() -> None:
    reader = Reader(("anna", UNIT_COIN), 0, FrameCache(), WakeQueue())
    reader.add(frame(1, 1, message="erased"), now=0)
    assert texts(reader, now=0) == ["erased"]
    assert reader.frame(0, now=AGE_MAX_S) is None  # so that it is read again
    reader.add_old(0, frame(1, 1), now=AGE_MAX_S)
    assert texts(reader, now=AGE_MAX_S) == [""]


def texts(reader: Reader, *, now: float) -> list[str]:
    found = reader.frame(0, now=now)
    assert found is not None
    return [entry.gift.message for entry in WatchEntriesResponse.FromString(found.data).entries]


def test_a_join_is_one_object_for_all_followers() -> None:
    cache = FrameCache()
    for seq in range(2):
        cache.put(EPOCH, seq, frame(seq + 1, seq + 1), now=0)
    assert cache.join(EPOCH, 0).data is cache.join(EPOCH, 0).data
