"""Which services there are, and what each stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import grpc.aio
from giftpay import v1
from google.protobuf.descriptor_pool import Default as descriptors
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from giftpay_server.admin.service import AdminService
from giftpay_server.admin.store import TABLES as ADMIN_TABLES
from giftpay_server.catalog.service import CatalogService
from giftpay_server.catalog.store import TABLES as CATALOG_TABLES
from giftpay_server.gift.service import GiftService
from giftpay_server.gift.store import TABLES as GIFT_TABLES
from giftpay_server.journal.store import Tables
from giftpay_server.journal.trace_store import TABLES as LEDGER_TABLES
from giftpay_server.redemption.service import RedemptionService
from giftpay_server.redemption.store import TABLES as REDEMPTION_TABLES
from giftpay_server.rooms import Rooms
from giftpay_server.top_up.providers import PaymentProvider, SandboxPayments
from giftpay_server.top_up.service import TopUpService
from giftpay_server.top_up.store import TABLES as TOP_UP_TABLES
from giftpay_server.wallet.service import WalletService
from giftpay_server.wallet.store import TABLES as WALLET_TABLES
from giftpay_server.wire.guard import handlers

PROVIDER_TIMEOUT_S = 5  # less than a caller waits, so that the caller is told

TABLES: Tables = {
    **LEDGER_TABLES,
    **WALLET_TABLES,
    **CATALOG_TABLES,
    **TOP_UP_TABLES,
    **GIFT_TABLES,
    **REDEMPTION_TABLES,
    **ADMIN_TABLES,
}


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


async def add_services(server: grpc.aio.Server, rooms: Rooms) -> Health:
    """Registers every service, health for each of them, and reflection."""
    names = [_add(server, name, servicer) for name, servicer in _servicers(rooms).items()]
    health_of_all = Health(names)
    health_pb2_grpc.add_HealthServicer_to_server(health_of_all.servicer, server)
    await health_of_all.set(rooms.clock_watch.is_right)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return health_of_all


def _servicers(rooms: Rooms) -> Mapping[str, Any]:
    journal, pool, catalogs, clock = rooms.journal, rooms.pool, rooms.catalogs, rooms.clock
    trusted = rooms.config.trusted_callers
    skew_max = timedelta(seconds=rooms.config.clock_skew_max_s)
    return {
        "WalletService": WalletService(journal, pool, rooms.feed, clock),
        "CatalogService": CatalogService(journal, pool, catalogs, clock),
        "TopUpService": TopUpService(journal, pool, _payment_providers(rooms), trusted),
        "GiftService": GiftService(journal, pool),
        "RedemptionService": RedemptionService(journal, pool, catalogs),
        "AdminService": AdminService(journal, pool, clock, skew_max),
    }


def _payment_providers(rooms: Rooms) -> Mapping[int, PaymentProvider]:
    url = rooms.config.sandbox_url
    return (
        {
            v1.PAYMENT_PROVIDER_SANDBOX: SandboxPayments(
                rooms.http, url, timeout_s=PROVIDER_TIMEOUT_S
            )
        }
        if url
        else {}
    )


def _add(server: grpc.aio.Server, name: str, servicer: object) -> str:
    service = descriptors().FindServiceByName(  # type: ignore[no-untyped-call]
        f"giftpay.v1.{name}"
    )
    server.add_generic_rpc_handlers((handlers(servicer, service),))
    return str(service.full_name)
