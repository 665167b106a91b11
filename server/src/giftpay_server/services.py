"""Registers the services of all slices with gRPC, beside health and reflection."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default as descriptors
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from giftpay_server.registration import Parts, Slice
from giftpay_server.wire.guard import handlers
from giftpay_server.wire.identity import Identify, local_callers


class Health:
    """The health of the services: all of them serve, or none does."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = ("", *names)
        self.servicer = health.aio.HealthServicer()

    async def set(self, serving: bool) -> None:
        """Says so to whoever asks or watches, unless the server is stopping."""
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.servicer.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def stop(self) -> None:
        """None serves any more, whatever is set afterwards."""
        await self.servicer.enter_graceful_shutdown()


async def add_services(server: grpc.aio.Server, parts: Parts) -> Health:
    """Registers every service, health for each of them, and reflection."""
    identify = local_callers(parts.config.trusted_callers)
    names = [_add(server, each, parts, identify) for each in parts.registry.slices]
    health_of_all = Health(names)
    health_pb2_grpc.add_HealthServicer_to_server(health_of_all.servicer, server)
    await health_of_all.set(parts.clock_watch.is_right)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return health_of_all


def _add(server: grpc.aio.Server, registered: Slice, parts: Parts, identify: Identify) -> str:
    service: ServiceDescriptor = descriptors().FindServiceByName(  # type: ignore[no-untyped-call]
        f"giftpay.v1.{registered.service_name}"
    )
    server.add_generic_rpc_handlers((handlers(registered.service(parts), service, identify),))
    return str(service.full_name)
