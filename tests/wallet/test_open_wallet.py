"""OpenWallet: once, whoever asks and however often."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    UNIT_COIN,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    AgeStatus,
    GetTransactionRequest,
    GetWalletRequest,
    OpenWalletRequest,
    UpdateWalletRequest,
)
from giftpay_server.postgres.pool import Pool

from tests.conftest import MovableClock, OpenWallet
from tests.wallet.conftest import adjust


def opening(owner_id: str, **fields: Any) -> OpenWalletRequest:
    wanted = {"idempotency_key": giftpay.new_key(), "country_code": "DE", **fields}
    return OpenWalletRequest(owner_id=owner_id, **wanted)


@pytest.fixture
def owner_id() -> str:
    """An owner without a wallet."""
    return f"new-{uuid.uuid4().hex[:10]}"


async def test_a_new_wallet_is_active_and_empty(
    client: Client, clock: MovableClock, owner_id: str
) -> None:
    before = clock()
    answer = await client.wallets.OpenWallet(opening(owner_id))
    wallet = answer.wallet
    assert not answer.replayed
    assert (wallet.owner_id, wallet.country_code) == (owner_id, "DE")
    assert (wallet.status, wallet.age_status) == (WALLET_STATUS_ACTIVE, AGE_STATUS_UNVERIFIED)
    for balance in (wallet.coins, wallet.diamonds):
        assert (balance.balance, balance.held, balance.available, balance.last_seq) == (0, 0, 0, 0)
    assert before.timestamp() - 1e-6 <= wallet.create_time.ToNanoseconds() / 1e9
    read = await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
    assert read.wallet == wallet


@pytest.mark.parametrize(
    ("days", "status"), [(-1, AGE_STATUS_ADULT), (0, AGE_STATUS_ADULT), (1, AGE_STATUS_UNDER_AGE)]
)
async def test_an_owner_is_an_adult_from_the_18th_birthday(
    client: Client, clock: MovableClock, owner_id: str, days: int, status: AgeStatus.ValueType
) -> None:
    birthday = clock().date() + timedelta(days=days)
    if (birthday.month, birthday.day) == (2, 29):
        pytest.skip("nobody turns 18 on 29 February")
    birth = birthday.replace(year=birthday.year - 18).isoformat()
    answer = await client.wallets.OpenWallet(opening(owner_id, date_of_birth=birth))
    assert answer.wallet.age_status == status


async def test_a_caller_may_vouch_for_the_age(client: Client, owner_id: str) -> None:
    answer = await client.wallets.OpenWallet(opening(owner_id, age_verified=True))
    assert answer.wallet.age_status == AGE_STATUS_ADULT


async def test_age_verified_false_means_the_same_as_unset(client: Client, owner_id: str) -> None:
    request = opening(owner_id)
    first = await client.wallets.OpenWallet(request)
    request.age_verified = False
    again = await client.wallets.OpenWallet(request)
    assert (again.wallet, again.replayed) == (first.wallet, True)


async def test_a_replay_answers_with_the_current_wallet(client: Client, owner_id: str) -> None:
    request = opening(owner_id, date_of_birth="1999-12-31")
    await client.wallets.OpenWallet(request)
    await adjust(client, owner_id, UNIT_COIN, 7)
    again = await client.wallets.OpenWallet(request)
    assert again.replayed
    assert again.wallet.coins.balance == 7


async def test_another_key_with_the_same_details_changes_nothing(
    client: Client, owner_id: str
) -> None:
    await client.wallets.OpenWallet(opening(owner_id, date_of_birth="1999-12-31"))
    await adjust(client, owner_id, UNIT_COIN, 7)
    freeze = UpdateWalletRequest(owner_id=owner_id, status=WALLET_STATUS_FROZEN)
    frozen = (await client.wallets.UpdateWallet(freeze)).wallet
    for details in ({"date_of_birth": "1999-12-31"}, {"age_verified": True}, {}):
        again = await client.wallets.OpenWallet(opening(owner_id, **details))
        assert (again.wallet, again.replayed) == (frozen, False)


@pytest.mark.parametrize(
    ("details", "fields"),
    [
        ({"country_code": "FR", "age_verified": True}, ("country_code",)),
        ({"date_of_birth": "2020-01-01"}, ("date_of_birth",)),
        (
            {"country_code": "FR", "date_of_birth": "2020-01-01"},
            ("country_code", "date_of_birth"),
        ),
    ],
)
async def test_other_details_are_refused_by_name(
    client: Client, open_wallet: OpenWallet, details: dict[str, Any], fields: tuple[str, ...]
) -> None:
    owner_id = await open_wallet(country="DE")
    before = await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
    with pytest.raises(giftpay.WalletExists) as refused:
        await client.wallets.OpenWallet(opening(owner_id, **details))
    assert (refused.value.owner_id, refused.value.fields) == (owner_id, fields)
    assert "2020" not in repr(refused.value.metadata)
    assert await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id)) == before


async def test_a_closed_wallet_is_not_opened_again(client: Client, open_wallet: OpenWallet) -> None:
    owner_id = await open_wallet()
    close = UpdateWalletRequest(owner_id=owner_id, status=WALLET_STATUS_CLOSED)
    await client.wallets.UpdateWallet(close)
    with pytest.raises(giftpay.WalletClosed):
        await client.wallets.OpenWallet(opening(owner_id))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"country_code": "FR"}, "country_code"),
        ({"date_of_birth": "1999-12-30"}, "date_of_birth"),
    ],
)
async def test_the_same_key_with_other_details_is_refused_by_name(
    client: Client, owner_id: str, change: dict[str, str], field: str
) -> None:
    request = opening(owner_id, date_of_birth="1999-12-31")
    await client.wallets.OpenWallet(request)
    request.MergeFrom(OpenWalletRequest(**change))  # type: ignore[arg-type]
    with pytest.raises(giftpay.KeyReused) as refused:
        await client.wallets.OpenWallet(request)
    assert refused.value.fields == (field,)
    assert "1999" not in repr(refused.value.metadata)


async def test_a_refusal_is_pinned_to_its_key(client: Client, open_wallet: OpenWallet) -> None:
    owner_id = await open_wallet()
    request = opening(owner_id, date_of_birth="2020-01-01")
    for _ in range(2):
        with pytest.raises(giftpay.WalletExists):
            await client.wallets.OpenWallet(request)
    named = GetTransactionRequest(transaction_id=request.idempotency_key)
    decided = (await client.wallets.GetTransaction(named)).transaction
    assert decided.refusal.metadata["fields"] == "date_of_birth"


async def test_of_the_date_of_birth_only_the_day_of_coming_of_age_is_kept(
    client: Client, pool: Pool, owner_id: str
) -> None:
    request = opening(owner_id, date_of_birth="2001-07-19")
    await client.wallets.OpenWallet(request)
    (stored,) = await pool.fetch(
        """SELECT t.request, p.value, o.adult_from
             FROM transactions t, personal_data p, owner o
            WHERE t.id = $1 AND p.transaction_id = t.id AND o.owner_id = $2""",
        request.idempotency_key,
        owner_id,
    )
    assert b"2001-07-19" not in stored["request"]
    assert stored["value"] is None
    assert stored["adult_from"] == date(2019, 7, 19)


async def test_one_of_many_openings_at_once_is_the_first(client: Client, owner_id: str) -> None:
    requests = [opening(owner_id, country_code=code) for code in ("DE", "FR") * 16]
    answers = await asyncio.gather(
        *map(client.wallets.OpenWallet, requests), return_exceptions=True
    )
    wallet = (await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))).wallet
    for request, answer in zip(requests, answers, strict=True):
        if request.country_code == wallet.country_code:
            assert not isinstance(answer, BaseException)
            assert answer.wallet == wallet
        else:
            assert isinstance(answer, giftpay.WalletExists)


async def test_accounts_without_an_owner_are_no_wallet(
    client: Client, pool: Pool, owner_id: str
) -> None:
    # As an opening leaves them that was cut off between its two steps.
    await pool.execute("INSERT INTO account (owner_id, unit) VALUES ($1, 1), ($1, 2)", owner_id)
    with pytest.raises(giftpay.WalletNotFound):
        await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
    assert (await client.wallets.OpenWallet(opening(owner_id))).wallet.owner_id == owner_id


async def test_owners_named_alike_but_for_case_are_two(client: Client, owner_id: str) -> None:
    for each, country in ((owner_id, "DE"), (owner_id.upper(), "FR")):
        await client.wallets.OpenWallet(opening(each, country_code=country))
    read = await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
    assert read.wallet.country_code == "DE"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"idempotency_key": "x" * 129}, "idempotency_key"),
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "x" * 65}, "owner_id"),
        ({"owner_id": "~PAYOUTS~0"}, "owner_id"),
        ({"country_code": ""}, "country_code"),
        ({"country_code": "de"}, "country_code"),
        ({"country_code": "DEU"}, "country_code"),
        ({"date_of_birth": ""}, "date_of_birth"),
        ({"date_of_birth": "1999-02-29"}, "date_of_birth"),
        ({"date_of_birth": "19991231"}, "date_of_birth"),
        ({"date_of_birth": "2000-W01-1"}, "date_of_birth"),
        ({"date_of_birth": "1899-12-31"}, "date_of_birth"),
        ({"date_of_birth": "2999-01-01"}, "date_of_birth"),
    ],
)
async def test_a_malformed_field_is_named_and_nothing_is_decided(
    client: Client, owner_id: str, change: dict[str, str], field: str
) -> None:
    key = giftpay.new_key()
    fields = {"idempotency_key": key, "country_code": "DE", "owner_id": owner_id, **change}
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await client.wallets.OpenWallet(OpenWalletRequest(**fields))  # type: ignore[arg-type]
    assert refused.value.field == field
    with pytest.raises(giftpay.TransactionNotFound):
        await client.wallets.GetTransaction(GetTransactionRequest(transaction_id=key))
    with pytest.raises(giftpay.WalletNotFound):
        await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))
