"""Every rpc of every service that the server has, as the descriptors say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from giftpay_server.slices import REGISTRY
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default as descriptors
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

SELDOM = {"VerifyLedger": 0.02, "ApplyCatalog": 0.1, "GetTrialBalance": 0.1}  # else 1


@dataclass(frozen=True, slots=True)
class Rpc:
    """One rpc, as the wire names it and types it."""

    path: str
    request: Descriptor
    response: type[Message]
    takes_stream: bool
    gives_stream: bool
    weight: float

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_ours(self) -> bool:
        """Whether giftpay answers it; health and reflection are gRPC's own."""
        return self.path.startswith("/giftpay.")


def every_rpc() -> list[Rpc]:
    """All rpcs, in a fixed order."""
    ours = (f"giftpay.v1.{each.service_name}" for each in REGISTRY.slices)
    names = sorted({*ours, health.SERVICE_NAME, reflection.SERVICE_NAME})
    return [rpc for name in names for rpc in _rpcs(name)]


def _rpcs(service_name: str) -> Iterator[Rpc]:
    service: ServiceDescriptor = descriptors().FindServiceByName(service_name)  # type: ignore[no-untyped-call]
    for method in service.methods:
        yield _rpc(service_name, method)


def _rpc(service_name: str, method: MethodDescriptor) -> Rpc:
    return Rpc(
        path=f"/{service_name}/{method.name}",
        request=method.input_type,
        response=GetMessageClass(method.output_type),
        takes_stream=method.client_streaming,
        gives_stream=method.server_streaming,
        weight=SELDOM.get(method.name, 1.0),
    )
