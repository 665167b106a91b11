"""What things cost and bring, by one version of the catalog. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from giftpay.v1 import Catalog as CatalogMessage
from giftpay.v1 import CatalogGift, CoinPackage, PayoutRate, Rational


@dataclass(frozen=True, slots=True)
class Catalog:
    """One version of the catalog, ready for look-ups."""

    version: int
    message: CatalogMessage
    gifts: Mapping[str, CatalogGift]
    packages: Mapping[str, CoinPackage]
    payout_rates: Mapping[str, PayoutRate]

    @classmethod
    def of(cls, message: CatalogMessage) -> Catalog:
        return cls(
            version=message.version,
            message=message,
            gifts={gift.gift_id: gift for gift in message.gifts},
            packages={package.package_id: package for package in message.packages},
            payout_rates={rate.currency_code: rate for rate in message.payout_rates},
        )

    def diamonds(self, coins: int) -> int:
        """What a gift of so many coins brings its recipient; the rest is the platform's."""
        return times(coins, self.message.diamonds_per_coin)


def times(amount: int, rate: Rational) -> int:
    """The amount at the rate, rounded down."""
    return amount * rate.numerator // rate.denominator
