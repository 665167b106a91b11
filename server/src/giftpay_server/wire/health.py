"""grpc.health.v1 for all services together: all of them serve, or none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from giftpay_server.wire.identity import Call


class UnknownServiceError(Exception):
    """The server has no service of this name."""


class Health:
    """The health of the services named, and of the server as the service without a name.

    In grpcio-health-checking a watcher that leaves stops the updates of all others.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = {"", *names}
        self._status = HealthCheckResponse.NOT_SERVING
        self._stopped = False
        self._changed = asyncio.Event()

    async def Check(self, request: HealthCheckRequest, call: Call) -> HealthCheckResponse:
        if request.service not in self._names:
            raise UnknownServiceError(request.service)
        return HealthCheckResponse(status=self._status)

    async def Watch(
        self, request: HealthCheckRequest, call: Call
    ) -> AsyncIterator[HealthCheckResponse]:
        known, sent = request.service in self._names, None
        while True:
            changed = self._changed
            status = self._status if known else HealthCheckResponse.SERVICE_UNKNOWN
            if status != sent:
                yield HealthCheckResponse(status=status)
                sent = status
            if self._stopped:
                return
            await changed.wait()

    async def set(self, serving: bool) -> None:
        """Sets the health that is reported, unless the server is stopping."""
        if not self._stopped:
            status = HealthCheckResponse
            self._change(status.SERVING if serving else status.NOT_SERVING)

    async def stop(self) -> None:
        """Reports NOT_SERVING permanently, and ends the streams of `Watch`."""
        self._stopped = True
        self._change(HealthCheckResponse.NOT_SERVING)

    def _change(self, status: HealthCheckResponse.ServingStatus) -> None:
        self._status = status
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
