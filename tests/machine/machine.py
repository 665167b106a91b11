"""The machine: everything that may be asked of a server for four owners."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from giftpay import v1
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.machine import requests
from tests.machine.dialogue import INDEX_MAX, Dialogue
from tests.machine.proof import refusal_of
from tests.machine.state import Refused

INDEX = st.integers(0, INDEX_MAX)  # from the latest back; the last is of nothing
POLICIES = st.sampled_from(v1.ShortfallPolicy.values()[1:])


class Machine(Dialogue):
    """The rules; each draws a command, asks both and compares."""

    @initialize(amounts=st.lists(st.integers(10, 99), min_size=3, max_size=3))
    def three_have_something(self, amounts: Sequence[int]) -> None:
        for name, amount in zip(("anna", "ben", "cleo"), amounts, strict=True):
            self.ask(self.named(requests.opening(name, "DE", age_verified=True)))
            for unit in (v1.UNIT_COIN, v1.UNIT_DIAMOND):
                self.ask(self.named(requests.adjustment(name, unit, amount)))

    @rule(request=requests.openings())
    def open_wallet(self, request: v1.OpenWalletRequest) -> None:
        self.ask(self.named(request))

    @rule(request=requests.updates())
    def update_wallet(self, request: v1.UpdateWalletRequest) -> None:
        self.ask(self.named(request))

    @rule(name=st.sampled_from(("cleo", "dan", "dan")))
    def leave(self, name: str) -> None:
        closing = self.named(v1.UpdateWalletRequest(owner_id=name, status=v1.WALLET_STATUS_CLOSED))
        for unit in (v1.UNIT_COIN, v1.UNIT_DIAMOND):
            self.leave_available(closing.owner_id, unit, 0)
        self.ask(closing)

    @rule(request=requests.erasures())
    def erase_and_say_it_again(self, request: v1.ErasePersonalDataRequest) -> None:
        request = self.named(request)
        keys = sorted(self.model.state.personal.get(request.owner_id, ()))
        self.ask(request)
        for key in keys[-3:]:
            self.ask(deepcopy(self.model.decided[key].request))

    @rule(request=requests.adjustments())
    def adjust(self, request: v1.AdjustBalanceRequest) -> None:
        self.ask(self.named(request))

    @rule(request=requests.catalogs(), behind=st.sampled_from((None, None, 0, 1)))
    def apply_catalog(self, request: v1.ApplyCatalogRequest, behind: int | None) -> None:
        request = self.named(request)
        if behind is not None:
            request.expected_version = max(0, self.model.state.catalog.version - behind)
        self.ask(request)

    @rule(request=requests.top_ups())
    def create_top_up(self, request: v1.CreateTopUpRequest) -> None:
        self.ask(self.named(request))

    @precondition(lambda self: self.model.state.top_ups)
    @rule(index=INDEX, payment=st.integers(0, 9), late=st.booleans())
    def confirm_top_up(self, index: int, payment: int, late: bool) -> None:
        top_up_id, reference = self.made("top_ups", index), f"{self.evening}-{payment}"
        if late:
            self.ask(self.named(v1.CancelTopUpRequest(top_up_id=top_up_id)))
        request = v1.ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=reference)
        self.ask(self.named(request))

    @precondition(lambda self: self.model.state.top_ups)
    @rule(index=INDEX)
    def cancel_top_up(self, index: int) -> None:
        self.ask(self.named(v1.CancelTopUpRequest(top_up_id=self.made("top_ups", index))))

    @rule(request=requests.gifts())
    def send_gift(self, request: v1.SendGiftRequest) -> None:
        self.ask(self.named(request))

    @rule(
        new=st.lists(requests.gifts(), min_size=1, max_size=6),
        again=st.lists(INDEX, max_size=3),
        streamed=st.booleans(),
    )
    def send_gifts(
        self, new: Sequence[v1.SendGiftRequest], again: Sequence[int], streamed: bool
    ) -> None:
        earlier = [each for each in self.sent if isinstance(each, v1.SendGiftRequest)][::-1]
        gifts = [self.named(gift) for gift in new]
        gifts += [deepcopy(earlier[index]) for index in again if index < len(earlier)]
        if streamed:  # in which a key is in flight once
            gifts = list({gift.idempotency_key: gift for gift in gifts}.values())
        expected = [self.model.answer(gift) for gift in gifts]
        self.sent += gifts
        outcomes = self.outcomes(gifts, streamed=streamed)
        for gift, outcome, answer in zip(gifts, outcomes, expected, strict=True):
            if isinstance(answer.value, Refused):
                assert refusal_of(outcome.refusal) == answer.value
                assert outcome.replayed is answer.replayed
            else:
                sent = v1.SendGiftResponse(gift=outcome.gift, replayed=outcome.replayed)
                self.compare(gift.idempotency_key, sent, answer)

    @precondition(lambda self: self.model.state.gifts)
    @rule(index=INDEX, policy=POLICIES)
    def reverse_gift(self, index: int, policy: v1.ShortfallPolicy.ValueType) -> None:
        gift_id = self.made("gifts", index)
        request = v1.ReverseGiftRequest(transaction_id=gift_id, reason="so")
        request.shortfall_policy = policy
        self.ask(self.named(request))

    @precondition(lambda self: self.model.state.gifts)
    @rule(index=st.integers(0, INDEX_MAX - 1), left=st.integers(0, 3), policy=POLICIES)
    def reverse_a_gift_that_was_redeemed(
        self, index: int, left: int, policy: v1.ShortfallPolicy.ValueType
    ) -> None:
        gift = self.model.state.gifts[self.made("gifts", index)]
        self.leave_available(gift.recipient_id, v1.UNIT_DIAMOND, 20 + left)
        name, _, _ = gift.recipient_id.partition("-")
        self.create_redemption(
            v1.CreateRedemptionRequest(
                owner_id=name, diamonds=20, currency_code="EUR", destination="me@example.org"
            )
        )
        self.reverse_gift(index, policy)

    @rule(request=requests.redemptions())
    def create_redemption(self, request: v1.CreateRedemptionRequest) -> None:
        self.ask(self.named(request))

    @precondition(lambda self: self.model.state.redemptions)
    @rule(index=INDEX)
    def cancel_redemption(self, index: int) -> None:
        redemption_id = self.made("redemptions", index)
        self.ask(self.named(v1.CancelRedemptionRequest(redemption_id=redemption_id)))

    @rule(request=requests.gifts(), short=st.integers(0, 1))
    def send_all_the_coins_or_one_more(self, request: v1.SendGiftRequest, short: int) -> None:
        request = self.named(request)
        prices = {gift.gift_id: gift.coins for gift in self.model.state.catalog.gifts}
        coins = prices.get(request.gift_id, 1) * request.count
        self.leave_available(request.sender_id, v1.UNIT_COIN, coins - short)
        self.ask(request)

    @rule(request=requests.redemptions(), short=st.integers(0, 1))
    def redeem_all_the_diamonds_or_one_more(
        self, request: v1.CreateRedemptionRequest, short: int
    ) -> None:
        request = self.named(request)
        self.leave_available(request.owner_id, v1.UNIT_DIAMOND, request.diamonds - short)
        self.ask(request)

    @rule(request=st.one_of(requests.gifts(), requests.top_ups(), requests.redemptions()))
    def preview(self, request: Any) -> None:
        request = self.named(request)
        request.validate_only = True
        self.ask(request)

    @precondition(lambda self: self.sent)
    @rule(index=INDEX)
    def say_it_again(self, index: int) -> None:
        self.ask(self.earlier(index))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX)
    def say_otherwise_under_its_key(self, index: int) -> None:
        request = self.earlier(index)
        for field, value in requests.OTHERWISE[type(request)].items():
            setattr(request, field, value)
        self.ask(request)

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, request=st.one_of(requests.gifts(), requests.adjustments()))
    def say_something_else_under_its_key(self, index: int, request: Any) -> None:
        request = self.named(request)
        request.idempotency_key = self.earlier(index).idempotency_key
        self.ask(request)
