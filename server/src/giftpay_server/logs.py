"""Rate-limits repeated log lines, and those of gRPC about its callers."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from time import monotonic

from grpc.aio import InternalError

log = logging.getLogger(__name__)

EVERY_S = 60.0
KINDS_MAX = 1_000  # remembered at most


class SummedLog:
    """Writes a line of each kind at most once a minute, with the number of suppressed ones."""

    def __init__(self, log: logging.Logger, *, every_s: float = EVERY_S) -> None:
        self._log = log
        self._every_s = every_s
        self._last: dict[Hashable, float] = {}
        self._left_out: dict[Hashable, int] = {}

    def warning(self, kind: Hashable, message: str, *details: object) -> None:
        """Logs a warning, unless one of this kind was logged within the minute."""
        self._write(logging.WARNING, kind, message, *details)

    def exception(self, kind: Hashable, message: str) -> None:
        """Logs a defect with its traceback, unless one of this kind was within the minute."""
        self._write(logging.ERROR, kind, message)

    def _write(self, level: int, kind: Hashable, message: str, *details: object) -> None:
        now = monotonic()
        if now < self._last.get(kind, 0.0):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        if len(self._last) >= KINDS_MAX:
            self._last.clear()
            self._left_out.clear()
        self._last[kind] = now + self._every_s
        more = self._left_out.pop(kind, 0)
        message += f" ({more} more like this)" if more else ""
        self._log.log(level, message, *details, exc_info=level >= logging.ERROR)


def leave_out_callers_faults() -> None:
    """Keeps out of the log what gRPC takes for a defect and is a caller's doing."""
    logging.getLogger("grpc._cython.cygrpc").addFilter(_CALLERS_FAULTS)  # once, however often


class _CallersFaults(logging.Filter):
    """Takes out what gRPC raises outside of any method of ours.

    It does so for an answer to a caller who has gone, which nobody needs to know, and for headers
    that are no text, which no honest client sends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._summed = SummedLog(log)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, UnicodeDecodeError):
            self._summed.warning("headers", "calls whose headers are no text were not taken")
        return not isinstance(error, (UnicodeDecodeError, InternalError))


_CALLERS_FAULTS = _CallersFaults()
