"""Registers the wallet slice."""

from giftpay_server.registration import Slice
from giftpay_server.wallet.service import WalletService

WALLETS = Slice(
    service_name="WalletService",
    service=lambda parts: WalletService(
        parts.journal, parts.pool, parts.feed, parts.clock, parts.registry, parts.reads
    ),
)
