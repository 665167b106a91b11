"""Who calls, and what they may do."""

from __future__ import annotations

# Callers are not identified yet: the server binds loopback only, and everyone is this principal.
LOCAL = "local"
