"""The commands that the machine draws. Owners go by short names; amounts soon run out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import giftpay
from giftpay import v1
from giftpay.sync import SyncClient
from hypothesis import strategies as st

from tests.machine.accounts import ADULT_BIRTH, MINOR_BIRTH
from tests.machine.state import Refused

OWNERS = ("anna", "ben", "cleo", "dan")
# Dan has no wallet at first, and nobody ever has one.
ANYBODY = st.sampled_from((*OWNERS, "anna", "ben", "cleo", "anna", "ben", "cleo", "nobody"))
PAIRS = st.sampled_from(
    [("anna", "ben"), ("anna", "cleo"), ("ben", "cleo"), ("cleo", "anna"), ("cleo", "dan")] * 2
    + [("ben", "anna"), ("dan", "ben"), ("anna", "anna"), ("anna", "nobody"), ("nobody", "ben")]
)

RPCS = {
    v1.OpenWalletRequest: ("wallets", "OpenWallet"),
    v1.UpdateWalletRequest: ("wallets", "UpdateWallet"),
    v1.AdjustBalanceRequest: ("admin", "AdjustBalance"),
    v1.ErasePersonalDataRequest: ("admin", "ErasePersonalData"),
    v1.ApplyCatalogRequest: ("catalog", "ApplyCatalog"),
    v1.CreateTopUpRequest: ("top_ups", "CreateTopUp"),
    v1.ConfirmTopUpRequest: ("top_ups", "ConfirmTopUp"),
    v1.CancelTopUpRequest: ("top_ups", "CancelTopUp"),
    v1.SendGiftRequest: ("gifts", "SendGift"),
    v1.ReverseGiftRequest: ("admin", "ReverseGift"),
    v1.CreateRedemptionRequest: ("redemptions", "CreateRedemption"),
    v1.CancelRedemptionRequest: ("redemptions", "CancelRedemption"),
}

# The same command with one thing said otherwise.
OTHERWISE: Mapping[type, Mapping[str, Any]] = {
    v1.OpenWalletRequest: {"country_code": "FR"},
    v1.UpdateWalletRequest: {"status": v1.WALLET_STATUS_FROZEN},
    v1.AdjustBalanceRequest: {"amount": 61},
    v1.ErasePersonalDataRequest: {"owner_id": "somebody"},
    v1.ApplyCatalogRequest: {"expected_version": 2**31 - 1},
    v1.CreateTopUpRequest: {"package_id": "another"},
    v1.ConfirmTopUpRequest: {"payment_reference": "another"},
    v1.CancelTopUpRequest: {"top_up_id": "019a0000-0000-7000-8000-000000000000"},
    v1.SendGiftRequest: {"message": "another message"},
    v1.ReverseGiftRequest: {"reason": "another"},
    v1.CreateRedemptionRequest: {"destination": "other@example.org"},
    v1.CancelRedemptionRequest: {"redemption_id": "019a0000-0000-7000-8000-000000000000"},
}


def send(client: SyncClient, request: Any) -> Any:
    """Calls the rpc of the request; the response, or the refusal as the model would say it."""
    service, rpc = RPCS[type(request)]
    try:
        return getattr(getattr(client, service), rpc)(request)
    except giftpay.Refused as no:
        return Refused(no.reason.removeprefix("ERROR_REASON_"), dict(no.metadata))


def openings() -> st.SearchStrategy[v1.OpenWalletRequest]:
    verified = {"age_verified": True}
    born = [{"date_of_birth": birth} for birth in (ADULT_BIRTH, MINOR_BIRTH)]
    details: list[dict[str, Any]] = [{}, verified, verified, *born]
    return st.tuples(
        st.sampled_from(("dan", "dan", *OWNERS)),
        st.sampled_from(("DE", "DE", "DE", "JP")),
        st.sampled_from(details),
    ).map(lambda drawn: opening(drawn[0], drawn[1], **drawn[2]))


def opening(owner_id: str, country_code: str, **age: Any) -> v1.OpenWalletRequest:
    return v1.OpenWalletRequest(owner_id=owner_id, country_code=country_code, **age)


def updates() -> st.SearchStrategy[v1.UpdateWalletRequest]:
    statuses = (v1.WALLET_STATUS_FROZEN, v1.WALLET_STATUS_ACTIVE, v1.WALLET_STATUS_CLOSED)
    changes: list[dict[str, Any]] = [{"status": status} for status in statuses]
    changes += [{"status": v1.WALLET_STATUS_ACTIVE}, {"age_verified": True}]
    changes += [{"age_verified": True}, {"age_verified": False}]
    changes += [{"date_of_birth": birth} for birth in (ADULT_BIRTH, MINOR_BIRTH)]
    return st.tuples(ANYBODY, st.sampled_from(changes)).map(
        lambda drawn: v1.UpdateWalletRequest(owner_id=drawn[0], **drawn[1])
    )


def adjustments() -> st.SearchStrategy[v1.AdjustBalanceRequest]:
    units = st.sampled_from((v1.UNIT_COIN, v1.UNIT_DIAMOND))
    return st.builds(adjustment, ANYBODY, units, st.integers(-60, 60).filter(bool))


def adjustment(owner_id: str, unit: v1.Unit.ValueType, amount: int) -> v1.AdjustBalanceRequest:
    return v1.AdjustBalanceRequest(owner_id=owner_id, unit=unit, amount=amount, reason="so")


def erasures() -> st.SearchStrategy[v1.ErasePersonalDataRequest]:
    return st.builds(v1.ErasePersonalDataRequest, owner_id=ANYBODY)


def catalogs() -> st.SearchStrategy[v1.ApplyCatalogRequest]:
    """Catalogs that differ in prices and rates, and in what they leave out."""
    catalog = st.builds(
        _catalog,
        rose=st.integers(1, 3),
        lion=st.booleans(),
        rate=st.sampled_from(((1, 1), (3, 2), (7, 4))),
        fee=st.integers(0, 2),
        packages=st.sampled_from(((30,), (30, 90))),
    )
    return st.builds(v1.ApplyCatalogRequest, catalog=catalog)


def first_catalog() -> v1.Catalog:
    """The one before any history."""
    return _catalog(rose=1, lion=True, rate=(1, 1), fee=1, packages=(30, 90))


def _catalog(
    *, rose: int, lion: bool, rate: tuple[int, int], fee: int, packages: tuple[int, ...]
) -> v1.Catalog:
    prices = {"rose": rose, "live": 5} | ({"lion": 40} if lion else {})
    return v1.Catalog(
        gifts=[v1.CatalogGift(gift_id=name, name=name, coins=n) for name, n in prices.items()],
        packages=[_package(coins) for coins in packages],
        diamonds_per_coin=v1.Rational(numerator=rate[0], denominator=rate[1]),
        payout_rates=[_payout_rate(fee)],
        currency_by_country={"JP": "JPY"},
        default_currency_code="EUR",
    )


def _package(coins: int) -> v1.CoinPackage:
    price = v1.Money(currency_code="EUR", minor_units=2 * coins)
    return v1.CoinPackage(package_id=f"eur-{coins}", price=price, coins=coins)


def _payout_rate(fee: int) -> v1.PayoutRate:
    return v1.PayoutRate(
        currency_code="EUR",
        minor_units_per_diamond=v1.Rational(numerator=1, denominator=2),
        fee_minor_units=fee,
        minimum_diamonds=10,
    )


def top_ups() -> st.SearchStrategy[v1.CreateTopUpRequest]:
    return st.builds(
        v1.CreateTopUpRequest,
        owner_id=ANYBODY,
        package_id=st.sampled_from(("eur-30", "eur-30", "eur-90", "unknown")),
        provider=st.just(v1.PAYMENT_PROVIDER_TRUSTED),
    )


def gifts() -> st.SearchStrategy[v1.SendGiftRequest]:
    return st.builds(
        gift,
        PAIRS,
        gift_id=st.sampled_from(("rose", "rose", "rose", "live", "live", "lion", "unknown")),
        count=st.integers(1, 4),
        message=st.sampled_from(("", "bravo", "encore")),
        context=st.sampled_from(("", "live/1")),
        combo_id=st.sampled_from(("", "c1")),
        expected_coins=st.sampled_from((None, None, None, None, 5)),
    )


def gift(pair: tuple[str, str], **fields: Any) -> v1.SendGiftRequest:
    return v1.SendGiftRequest(sender_id=pair[0], recipient_id=pair[1], **fields)


def redemptions() -> st.SearchStrategy[v1.CreateRedemptionRequest]:
    amount = v1.Money(currency_code="EUR", minor_units=10)
    requests = st.builds(
        v1.CreateRedemptionRequest,
        owner_id=ANYBODY,
        diamonds=st.integers(8, 40),
        currency_code=st.just("EUR"),
        destination=st.sampled_from(("me@example.org", "you@example.org")),
        expected_amount=st.sampled_from((None, None, None, amount)),
    )
    unsupported = v1.CreateRedemptionRequest(
        owner_id="anna", diamonds=20, currency_code="CHF", destination="me@example.org"
    )
    return st.one_of(*[requests] * 7, st.just(unsupported))
