"""Which services there are, and what each stands on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc.aio
from giftpay.v1 import (
    add_GiftServiceServicer_to_server,
    gift_service_pb2,
)
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from giftpay_server.gift.service import GiftService
from giftpay_server.rooms import Rooms
from giftpay_server.wire.guard import guarded


async def add_services(server: grpc.aio.Server, rooms: Rooms) -> health.aio.HealthServicer:
    """Registers every service, health for each of them, and reflection."""
    names = [_add(server, *service) for service in _services(rooms)]
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in ["", *names]:
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return servicer


def _services(rooms: Rooms) -> Iterable[tuple[ServiceDescriptor, Any, Any]]:
    journal, pool = rooms.journal, rooms.pool
    yield (
        gift_service_pb2.DESCRIPTOR.services_by_name["GiftService"],
        add_GiftServiceServicer_to_server,
        GiftService(journal, pool),
    )


def _add(server: grpc.aio.Server, service: ServiceDescriptor, add: Any, servicer: Any) -> str:
    add(guarded(servicer, [method.name for method in service.methods]), server)
    return str(service.full_name)
