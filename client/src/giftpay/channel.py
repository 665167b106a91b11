"""What all calls of a client share: connections, time, metadata, and whether it is open."""

import os

import grpc

from giftpay.connections import Connections
from giftpay.errors import Keys
from giftpay.limits import Metadata, MetadataLike, checked_metadata, checked_seconds
from giftpay.status import unanswered

INHERITED = (
    "A client was open when this process was forked: its connections and threads are the parent's, "
    "and gRPC does not work here. Fork before there is a client, or start processes by "
    '"spawn" or "forkserver", and make a client in each.'
)


class Channel:
    """What all calls of a client share."""

    def __init__(
        self, connections: Connections, *, timeout: float, metadata: Metadata = ()
    ) -> None:
        self.connections = connections
        self.timeout = timeout
        self.streams: set[grpc.aio.Call] = set()
        self._metadata = metadata
        self._closed = False
        self._process = os.getpid()
        _open.add(self)

    async def aclose(self) -> None:
        """End the calls under way and the connections."""
        self._closed = True
        if self.is_inherited:
            return  # the parent goes on with them
        _open.discard(self)
        for call in self.streams:  # those that gRPC leaves open
            call.cancel()
        await self.connections.close()

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the one that made the client."""
        return os.getpid() != self._process

    def check_usable(self) -> None:
        """Raise RuntimeError where no call can be made any more."""
        if self.is_inherited:
            raise RuntimeError(INHERITED)
        if self._closed:
            raise RuntimeError("The client is closed.")

    def check_open(self, keys: Keys | None) -> None:
        """Raise what a call ends with that is cut off by closing the client."""
        if self._closed:
            raise unanswered("The client was closed.", keys) from None

    def timeout_of(self, call_timeout: float | None) -> float:
        """The time of a call: its own, else the client's."""
        return self.timeout if call_timeout is None else checked_seconds("timeout", call_timeout)

    def metadata_of(self, call_metadata: MetadataLike) -> Metadata:
        """The metadata of a call: the client's, and then its own."""
        return self._metadata + checked_metadata(call_metadata)


_open: set[Channel] = set()  # those of a parent included, in its forks


def check_process() -> None:
    """Raise RuntimeError where gRPC would hang: in a fork of a process with an open client."""
    if any(channel.is_inherited for channel in _open):
        raise RuntimeError(INHERITED)
