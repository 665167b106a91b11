"""The slices of this server."""

from __future__ import annotations

from giftpay_server.admin.slice import ADMIN
from giftpay_server.catalog.slice import CATALOG
from giftpay_server.gift.slice import GIFTS
from giftpay_server.redemption.slice import REDEMPTIONS
from giftpay_server.registration import Registry
from giftpay_server.top_up.slice import TOP_UPS
from giftpay_server.wallet.slice import WALLETS

SLICES = (WALLETS, CATALOG, TOP_UPS, GIFTS, REDEMPTIONS, ADMIN)

REGISTRY = Registry(SLICES)
