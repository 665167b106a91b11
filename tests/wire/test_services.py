"""Each rpc of the contract has its method, and there are no others."""

from __future__ import annotations

import inspect

import pytest
from giftpay_server.admin.service import AdminService
from giftpay_server.catalog.service import CatalogService
from giftpay_server.gift.service import GiftService
from giftpay_server.redemption.service import RedemptionService
from giftpay_server.top_up.service import TopUpService
from giftpay_server.wallet.service import WalletService
from google.protobuf.descriptor_pool import Default

SERVICES = (
    AdminService,
    CatalogService,
    GiftService,
    RedemptionService,
    TopUpService,
    WalletService,
)


@pytest.mark.parametrize("service", SERVICES)
def test_each_rpc_has_a_method_that_takes_what_is_asked_and_who_asks(service: type) -> None:
    found = Default().FindServiceByName(f"giftpay.v1.{service.__name__}")  # type: ignore[no-untyped-call]
    methods = {name: each for name, each in vars(service).items() if not name.startswith("_")}
    assert methods.keys() == {method.name for method in found.methods}
    for method in found.methods:
        asked = "requests" if method.client_streaming else "request"
        assert list(inspect.signature(methods[method.name]).parameters) == ["self", asked, "call"]
