"""Servers with a wrong clock, by libfaketime; Postgres and callers keep the right one."""

from __future__ import annotations

from pathlib import Path

LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib/*/faketime/libfaketime.so.1",
)
# Not the monotonic clock, by which asyncio and gRPC wait.
COMMON = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def wrong_clock(offset: str) -> dict[str, str]:
    """The environment of a server whose clock is off, such as by +1h."""
    return {**COMMON, "LD_PRELOAD": _library(), "FAKETIME": offset}


def movable_clock(file: Path) -> dict[str, str]:
    """The environment of a server whose clock is off by what a file says at the time."""
    moved = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    return {**COMMON, **moved, "LD_PRELOAD": _library()}


def _library() -> str:
    for pattern in LIBRARIES:
        for found in sorted(Path("/").glob(pattern.removeprefix("/"))):
            return str(found)
    raise RuntimeError("Wrong clocks need libfaketime: make faults installs it, or says how.")
