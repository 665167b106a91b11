"""Each rpc of the contract has its method, and there are no others."""

from __future__ import annotations

import inspect

import grpc
from giftpay_server.app import Running
from giftpay_server.config import CallLimits
from giftpay_server.registration import Slice
from giftpay_server.services import HEALTH
from giftpay_server.wire.admission import Admission
from giftpay_server.wire.guard import handlers
from giftpay_server.wire.identity import Call, local_callers
from google.protobuf.descriptor_pool import Default


def test_each_rpc_has_a_method_that_takes_what_is_asked_and_who_asks(server: Running) -> None:
    for registered in server.parts.registry.slices:
        _has_each_method(registered, type(registered.service(server.parts)))


def _has_each_method(registered: Slice, service: type) -> None:
    found = Default().FindServiceByName(f"giftpay.v1.{registered.service_name}")  # type: ignore[no-untyped-call]
    methods = {name: each for name, each in vars(service).items() if not name.startswith("_")}
    assert methods.keys() == {method.name for method in found.methods}
    for method in found.methods:
        asked = "requests" if method.client_streaming else "request"
        assert list(inspect.signature(methods[method.name]).parameters) == ["self", asked, "call"]


def test_an_rpc_that_grpcio_adds_to_a_service_of_its_own_is_not_served() -> None:
    class Health:
        async def Check(self, request: object, call: Call) -> None: ...

    served = handlers(Health(), HEALTH, local_callers(frozenset()), Admission(CallLimits()))
    assert served.service(Asked("/grpc.health.v1.Health/Check")) is not None
    assert served.service(Asked("/grpc.health.v1.Health/Watch")) is None


class Asked(grpc.HandlerCallDetails):
    """A call of an rpc."""

    def __init__(self, method: str) -> None:
        self.method, self.invocation_metadata = method, ()
