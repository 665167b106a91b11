"""The model's decisions on gifts and their reversal."""

from __future__ import annotations

from typing import Any

from giftpay import v1

from tests.machine.state import Refused, State, at_rate, missing, refused, short, stopped


def send_gift(state: State, request: v1.SendGiftRequest) -> Any:
    if no := missing(state, request.sender_id, request.recipient_id):
        return no
    if request.sender_id == request.recipient_id:
        return refused("GIFT_TO_SELF", owner_id=request.sender_id)
    sender, recipient = state.owners[request.sender_id], state.owners[request.recipient_id]
    if no := stopped(sender) or stopped(recipient):
        return no
    coins = _price(state, request)
    if isinstance(coins, Refused):
        return coins
    if sender.coins.available < coins:
        return short("COINS", sender.owner_id, available=sender.coins.available, required=coins)
    key = request.idempotency_key
    gift = v1.Gift(
        transaction_id=key,
        sender_id=sender.owner_id,
        recipient_id=recipient.owner_id,
        gift_id=request.gift_id,
        count=request.count,
        coins=coins,
        diamonds=at_rate(coins, state.catalog.diamonds_per_coin),
        message=request.message,
        context=request.context,
        combo_id=request.combo_id,
        catalog_version=state.catalog.version,
    )
    state.gifts[key] = gift
    sender.coins.post(-coins, key, v1.SYSTEM_ACCOUNT_GIFT_SALES, gift_id=key)
    recipient.diamonds.post(gift.diamonds, key, v1.SYSTEM_ACCOUNT_CREATOR_EARNINGS, gift_id=key)
    return v1.SendGiftResponse(gift=gift)


def _price(state: State, request: v1.SendGiftRequest) -> int | Refused:
    version = state.catalog.version
    named = {gift.gift_id: gift for gift in state.catalog.gifts}
    gift = named.get(request.gift_id)
    if gift is None:
        return refused("UNKNOWN_GIFT", gift_id=request.gift_id, catalog_version=version)
    if gift.off_sale:
        return refused("GIFT_OFF_SALE", gift_id=request.gift_id, catalog_version=version)
    coins, expected = gift.coins * request.count, request.expected_coins
    if request.HasField("expected_coins") and expected != coins:
        return refused("PRICE_CHANGED", expected=expected, actual=coins, catalog_version=version)
    return coins


def reverse_gift(state: State, request: v1.ReverseGiftRequest) -> Any:
    gift, key = state.gifts.get(request.transaction_id), request.idempotency_key
    if gift is None:
        return refused("GIFT_NOT_FOUND", transaction_id=request.transaction_id)
    gift_id = gift.transaction_id
    if reversal_id := state.reversals.get(gift_id):
        return refused("GIFT_ALREADY_REVERSED", transaction_id=gift_id, reversal_id=reversal_id)
    state.reversals[gift_id] = key
    diamonds = state.owners[gift.recipient_id].diamonds
    missing = max(0, gift.diamonds - max(0, diamonds.available))
    loss = 0 if request.shortfall_policy == v1.SHORTFALL_POLICY_DEBT else missing
    coins = state.owners[gift.sender_id].coins
    coins.post(gift.coins, key, v1.SYSTEM_ACCOUNT_GIFT_SALES, gift_id=gift_id)
    if loss:
        diamonds.post(loss, key, v1.SYSTEM_ACCOUNT_PLATFORM_LOSS, gift_id=gift_id)
    diamonds.post(-gift.diamonds, key, v1.SYSTEM_ACCOUNT_CREATOR_EARNINGS, gift_id=gift_id)
    return v1.ReverseGiftResponse(
        reversal_id=key, coins=gift.coins, diamonds=gift.diamonds - loss, loss=loss
    )
