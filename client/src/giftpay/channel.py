"""What all calls of a client share: connections, time, metadata, and whether it is open."""

from typing import Protocol

from giftpay.connections import Connections
from giftpay.errors import Keys
from giftpay.forks import CLIENTS, check_process
from giftpay.limits import Metadata, MetadataLike, checked_metadata, checked_seconds
from giftpay.status import unanswered


class Cancellable(Protocol):
    """Something under way."""

    def cancel(self) -> object: ...


class Channel:
    """What all calls of a client share."""

    def __init__(
        self, connections: Connections, *, timeout: float, metadata: Metadata = ()
    ) -> None:
        self.connections = connections
        self.timeout = timeout
        self.open_ended: set[Cancellable] = set()  # what does not end with its connection
        self._metadata = metadata
        self._closed = False
        CLIENTS.count += 1

    async def aclose(self) -> None:
        """End the calls under way and the connections."""
        self._closed = True
        if CLIENTS.inherited:
            return  # the parent goes on with them
        CLIENTS.count -= 1
        for each in self.open_ended:
            each.cancel()
        await self.connections.close()

    def check_usable(self) -> None:
        """Raise RuntimeError where no call can be made any more."""
        check_process()
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
