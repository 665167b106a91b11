"""What a load balancer, an operator and grpcurl see: health by service, and reflection."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from giftpay_server.app import Running
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

SERVICES = [
    "giftpay.v1.AdminService",
    "giftpay.v1.CatalogService",
    "giftpay.v1.GiftService",
    "giftpay.v1.RedemptionService",
    "giftpay.v1.TopUpService",
    "giftpay.v1.WalletService",
]


@pytest.fixture
async def channel(server: Running) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield channel


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_each_service_says_that_it_serves(channel: grpc.aio.Channel, service: str) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(HealthCheckRequest(service=service))
    assert answer.status == HealthCheckResponse.SERVING


async def test_the_health_of_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health.Check(HealthCheckRequest(service="giftpay.v1.NoService"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_every_service(channel: grpc.aio.Channel) -> None:
    asked = ServerReflectionRequest(list_services="*")
    answer = await anext(aiter(_reflect(channel, asked)))
    named = [service.name for service in answer.list_services_response.service]
    others = ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
    assert sorted(named) == sorted([*SERVICES, *others])


async def test_reflection_describes_a_service(channel: grpc.aio.Channel) -> None:
    for service in SERVICES:
        asked = ServerReflectionRequest(file_containing_symbol=service)
        answer = await anext(aiter(_reflect(channel, asked)))
        assert answer.file_descriptor_response.file_descriptor_proto


def _reflect(channel: grpc.aio.Channel, asked: ServerReflectionRequest):  # type: ignore[no-untyped-def]
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    return stub.ServerReflectionInfo(iter([asked]))
