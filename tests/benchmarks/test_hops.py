"""The counts of the tracer."""

from __future__ import annotations

from benchmarks.hops import Call, Hops


def test_hops_count_files_functions_calls_and_changes_of_file() -> None:
    calls = [
        Call("wire/guard.py", "call"),
        Call("gift/service.py", "SendGift"),
        Call("wire/fields.py", "valid_id"),
        Call("wire/fields.py", "valid_id"),
        Call("gift/service.py", "SendGift"),
    ]
    hops = Hops.of(calls)
    assert hops.files == ("wire/guard.py", "gift/service.py", "wire/fields.py")
    assert (hops.functions, hops.calls, hops.changes) == (3, 5, 3)
