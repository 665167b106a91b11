"""Each rpc of the contract has its method, and there are no others."""

from __future__ import annotations

import inspect

from giftpay_server.app import Running
from giftpay_server.registration import Slice
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
