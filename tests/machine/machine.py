"""The machine: rules that ask a server and the model the same, and compare what they say."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, ClassVar

import giftpay
from giftpay import v1
from giftpay.sync import SyncClient
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.machine import requests
from tests.machine.model import Answer, Model
from tests.machine.proof import prove, refusal_told, without_times
from tests.machine.state import Refused

INDEX_MAX = 12
INDEX = st.integers(0, INDEX_MAX)  # from the latest back; the last is of nothing
OWNER_FIELDS = ("owner_id", "sender_id", "recipient_id")


class Machine(RuleBasedStateMachine):
    """Four owners, and everything that may be asked of a server for them."""

    client: ClassVar[SyncClient]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self.client.catalog.GetCatalog(v1.GetCatalogRequest()).catalog)
        self.evening = giftpay.new_key()  # part of the owners' ids: they are this history's alone
        self.sent: list[Any] = []
        self.first: dict[str, Any] = {}  # the first responses, by key
        self.concerned: set[str] = set()

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
        owner = self.model.state.owners.get(f"{name}-{self.evening}")
        if owner is not None:
            for unit in (v1.UNIT_COIN, v1.UNIT_DIAMOND):
                if (amount := owner.account(unit).available) > 0:
                    self.ask(self.named(requests.adjustment(name, unit, -amount)))
        closing = v1.UpdateWalletRequest(owner_id=name, status=v1.WALLET_STATUS_CLOSED)
        self.ask(self.named(closing))

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
    @rule(index=INDEX, payment=st.integers(0, 3))
    def confirm_top_up(self, index: int, payment: int) -> None:
        top_up_id, reference = self.made("top_ups", index), f"{self.evening}-{payment}"
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
        if streamed:  # in which a key is under way once
            gifts = list({gift.idempotency_key: gift for gift in gifts}.values())
        expected = [self.model.answer(gift) for gift in gifts]
        self.sent += gifts
        outcomes = self.outcomes(gifts, streamed=streamed)
        for gift, outcome, answer in zip(gifts, outcomes, expected, strict=True):
            if isinstance(answer.value, Refused):
                assert refusal_told(outcome.refusal) == answer.value
                assert outcome.replayed is answer.replayed
            else:
                sent = v1.SendGiftResponse(gift=outcome.gift, replayed=outcome.replayed)
                self.compare(gift.idempotency_key, sent, answer)

    @precondition(lambda self: self.model.state.gifts)
    @rule(index=INDEX, policy=st.sampled_from(v1.ShortfallPolicy.values()[1:]))
    def reverse_gift(self, index: int, policy: v1.ShortfallPolicy.ValueType) -> None:
        gift_id = self.made("gifts", index)
        request = v1.ReverseGiftRequest(transaction_id=gift_id, reason="so")
        request.shortfall_policy = policy
        self.ask(self.named(request))

    @rule(request=requests.redemptions())
    def create_redemption(self, request: v1.CreateRedemptionRequest) -> None:
        self.ask(self.named(request))

    @precondition(lambda self: self.model.state.redemptions)
    @rule(index=INDEX)
    def cancel_redemption(self, index: int) -> None:
        redemption_id = self.made("redemptions", index)
        self.ask(self.named(v1.CancelRedemptionRequest(redemption_id=redemption_id)))

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

    @invariant()
    def wallets_are_as_they_should(self) -> None:
        for owner_id in self.concerned & self.model.state.owners.keys():
            told = self.client.wallets.GetWallet(v1.GetWalletRequest(owner_id=owner_id)).wallet
            assert without_times(told) == self.model.state.owners[owner_id].told()
        self.concerned.clear()

    def teardown(self) -> None:
        prove(self.client, self.model)

    def named(self, request: Any) -> Any:
        """The request under a key of its own, with owners of this history."""
        request = deepcopy(request)
        request.idempotency_key = giftpay.new_key()
        for field in OWNER_FIELDS:
            if name := getattr(request, field, ""):
                setattr(request, field, f"{name}-{self.evening}")
        return request

    def earlier(self, index: int) -> Any:
        """A command that was sent before."""
        return deepcopy(self.sent[-1 - index % len(self.sent)])

    def made(self, rows: str, index: int) -> str:
        """The id of something that was made, or of nothing."""
        ids = list(getattr(self.model.state, rows))
        return ids[-1 - index % len(ids)] if index < INDEX_MAX else giftpay.new_key()

    def ask(self, request: Any) -> None:
        """Asks the server and the model, and compares what they say."""
        expected = self.model.answer(request)
        if not getattr(request, "validate_only", False):
            self.sent.append(request)
        self.concerned.update(getattr(request, field, "") for field in OWNER_FIELDS)
        response = requests.send(self.client, deepcopy(request))
        if isinstance(response, Refused):
            assert response == expected.value
        else:
            self.compare(request.idempotency_key, response, expected)

    def compare(self, key: str, response: Any, expected: Answer) -> None:
        assert without_times(response) == expected.value
        assert response.replayed is expected.replayed
        first = deepcopy(self.first.setdefault(key, response))
        if without_times(first) == expected.value:
            first.replayed = response.replayed
            assert response == first  # the times as well

    def outcomes(
        self, gifts: Sequence[v1.SendGiftRequest], *, streamed: bool
    ) -> list[v1.GiftOutcome]:
        """In the order of the gifts."""
        if not streamed:
            request = v1.BatchSendGiftsRequest(gifts=gifts)
            return list(self.client.gifts.BatchSendGifts(request).outcomes)
        by_key = {outcome.idempotency_key: outcome for outcome in self.client.send_gifts(gifts)}
        return [by_key[gift.idempotency_key] for gift in gifts]
