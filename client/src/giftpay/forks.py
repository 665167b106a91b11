"""Checks that gRPC works in this process: it does not in a fork of one with an open client."""

import os

INHERITED = (
    "A client was open when this process was forked: its connections and threads are the parent's, "
    "and gRPC does not work here. Fork before there is a client, or start processes by "
    '"spawn" or "forkserver", and make a client in each.'
)


class Clients:
    """Counts the open clients of this process."""

    def __init__(self) -> None:
        self.count = 0
        self.inherited = False
        """Whether clients were open when this process, or a parent of it, was forked."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._inherit)

    def _inherit(self) -> None:
        self.inherited = self.inherited or self.count > 0


CLIENTS = Clients()


def check_process() -> None:
    """Raise RuntimeError if gRPC would hang in this process."""
    if CLIENTS.inherited:
        raise RuntimeError(INHERITED)
