"""The state that all calls of a client share: connections, timeout, metadata, open or closed."""

from typing import Protocol

from giftpay.connections import Connections
from giftpay.errors import Keys
from giftpay.forks import CLIENTS, check_process
from giftpay.limits import Metadata, MetadataLike, checked_metadata, checked_seconds
from giftpay.status import unanswered


class Cancellable(Protocol):
    """A call, or calls, in flight."""

    def cancel(self) -> object: ...


class Channel:
    """The state that all calls of a client share."""

    def __init__(
        self, connections: Connections, *, timeout: float, metadata: Metadata = ()
    ) -> None:
        self.connections = connections
        self.timeout = timeout
        self.open_ended: set[Cancellable] = set()  # calls that do not end with their connection
        self._metadata = metadata
        self._closed = False
        CLIENTS.count += 1

    async def aclose(self) -> None:
        """End the calls in flight and close the connections."""
        self._closed = True
        if CLIENTS.inherited:
            return  # the parent process still uses them
        CLIENTS.count -= 1
        for each in self.open_ended:
            each.cancel()
        await self.connections.close()

    def check_usable(self) -> None:
        """Raise RuntimeError if the client is closed or was inherited by a fork."""
        check_process()
        if self._closed:
            raise RuntimeError("The client is closed.")

    def check_open(self, keys: Keys | None) -> None:
        """Raise the error of a call that was ended by closing the client."""
        if self._closed:
            raise unanswered("The client was closed.", keys) from None

    def timeout_of(self, call_timeout: float | None) -> float:
        """The timeout of a call: its own, else the client's."""
        return self.timeout if call_timeout is None else checked_seconds("timeout", call_timeout)

    def metadata_of(self, call_metadata: MetadataLike) -> Metadata:
        """The metadata of a call: the client's, then its own."""
        return self._metadata + checked_metadata(call_metadata)
