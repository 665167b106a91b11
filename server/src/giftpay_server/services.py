"""Registers the services of all slices with gRPC, and health and reflection."""

from __future__ import annotations

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default as descriptors
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as reflection

from giftpay_server.registration import Parts
from giftpay_server.wire.admission import Admission
from giftpay_server.wire.guard import handlers
from giftpay_server.wire.health import Health
from giftpay_server.wire.identity import local_callers

HEALTH: ServiceDescriptor = health_pb2.DESCRIPTOR.services_by_name["Health"]
REFLECTION: ServiceDescriptor = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]


async def add_services(server: grpc.aio.Server, parts: Parts) -> Health:
    """Registers every service, health for each of them, and reflection."""
    identify = local_callers(parts.config.trusted_callers)
    admission = Admission(parts.config.call_limits)

    def add(servicer: object, service: ServiceDescriptor) -> None:
        server.add_generic_rpc_handlers((handlers(servicer, service, identify, admission),))

    services = [_descriptor(each.service_name) for each in parts.registry.slices]
    for each, service in zip(parts.registry.slices, services, strict=True):
        add(each.service(parts), service)
    names = [service.full_name for service in services]
    health = Health(names)
    await health.set(parts.clock_watch.is_right)
    add(health, HEALTH)
    shown = [*names, HEALTH.full_name, REFLECTION.full_name]
    add(reflection.ReflectionServicer(shown), REFLECTION)
    return health


def _descriptor(name: str) -> ServiceDescriptor:
    service: ServiceDescriptor = descriptors().FindServiceByName(f"giftpay.v1.{name}")  # type: ignore[no-untyped-call]
    return service
