"""A key names one command, however it is spelled."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable

import giftpay
import pytest
from giftpay import new_key
from giftpay.client import Client
from giftpay.v1 import BatchSendGiftsRequest, GetTransactionRequest
from giftpay_server.wire.keys import transaction_id
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.conftest import OpenWallet
from tests.gift.gifts import balances, gift

Spell = Callable[[str], str]

SPELLINGS: dict[str, Spell] = {
    "capitals": str.upper,
    "no dashes": lambda key: key.replace("-", ""),
    "no dashes, in capitals": lambda key: key.replace("-", "").upper(),
    "braces": lambda key: f"{{{key}}}",
    "parentheses": lambda key: f"({key})",
    "a URN": lambda key: f"urn:uuid:{key}",
    "a URN in capitals": lambda key: f"URN:UUID:{key.upper()}",
}

uuids = st.uuids(allow_nil=True).map(str)
of_version_8 = st.uuids().map(lambda each: str(uuid.UUID(int=each.int & ~(15 << 76) | 8 << 76)))
spellings = st.sampled_from([*SPELLINGS.values()])
callers = st.text(max_size=8)


@given(uuids | of_version_8, spellings, callers)
def test_a_uuid_in_another_spelling_is_the_same_key(key: str, spell: Spell, caller: str) -> None:
    assert transaction_id(spell(key), caller=caller) == transaction_id(key, caller=caller)


@given(st.text(min_size=1), callers)
def test_a_text_in_another_normal_form_is_the_same_key(key: str, caller: str) -> None:
    same = {
        transaction_id(unicodedata.normalize(form, key), caller=caller) for form in ("NFC", "NFD")
    }
    assert same == {transaction_id(key, caller=caller)}


@given(uuids, callers)
def test_a_uuid_is_the_id_for_all_callers(key: str, caller: str) -> None:
    assume(key[14] != "8" and uuid.UUID(key).int)
    assert transaction_id(key, caller=caller) == key


@given(of_version_8 | st.just(str(uuid.UUID(int=0))) | st.text(), spellings)
def test_nobody_can_name_what_is_another_callers_own(key: str, spell: Spell) -> None:
    one, other = (transaction_id(spell(key), caller=caller) for caller in ("one", "other"))
    assert key not in (one, other)
    assert one != other
    assert uuid.UUID(one).version == 8


@given(
    uuids, st.sampled_from(["{%s", "%s}", "(%s}", "urn:%s", " %s", "%s\n", "uuid:%s", "_%s", "%s0"])
)
def test_what_is_no_spelling_of_a_uuid_is_a_text(key: str, spoilt: str) -> None:
    assert uuid.UUID(transaction_id(spoilt % key, caller="one")).version == 8


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
async def test_a_retry_in_another_spelling_moves_nothing(
    client: Client, open_wallet: OpenWallet, spell: Spell
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    key = new_key()
    first = await client.gifts.SendGift(gift(anna, ben, idempotency_key=key))
    again = await client.gifts.SendGift(gift(anna, ben, idempotency_key=spell(key)))
    assert again.replayed
    assert again.gift == first.gift
    assert await balances(client, anna) == (9, 0)
    asked = GetTransactionRequest(idempotency_key=spell(key))
    found = await client.wallets.GetTransaction(asked)
    assert found.transaction.transaction_id == key


async def test_in_a_batch_each_key_is_answered_as_it_was_sent(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    key = new_key()
    sent = [key, *(spell(key) for spell in SPELLINGS.values())]
    gifts = [gift(anna, ben, idempotency_key=each) for each in sent]
    answer = await client.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=gifts))
    assert [outcome.idempotency_key for outcome in answer.outcomes] == sent
    assert {outcome.gift.transaction_id for outcome in answer.outcomes} == {key}
    streamed = {outcome.idempotency_key async for outcome in client.send_gifts(gifts)}
    assert streamed == set(sent)
    assert await balances(client, anna) == (9, 0)


async def test_another_command_under_the_key_in_capitals_is_refused(
    client: Client, open_wallet: OpenWallet
) -> None:
    anna, ben = await open_wallet(coins=10), await open_wallet()
    key = new_key()
    await client.gifts.SendGift(gift(anna, ben, idempotency_key=key))
    with pytest.raises(giftpay.KeyReused):
        await client.gifts.SendGift(gift(anna, ben, idempotency_key=key.upper(), count=2))
