"""Asking a server and the model the same, and comparing what they say."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, ClassVar

import giftpay
from giftpay import v1
from giftpay.sync import SyncClient
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.machine import requests
from tests.machine.model import Answer, Model
from tests.machine.proof import prove, without_times
from tests.machine.state import Refused

INDEX_MAX = 12
OWNER_FIELDS = ("owner_id", "sender_id", "recipient_id")


class Dialogue(RuleBasedStateMachine):
    """What the rules of a machine need; its owners are four."""

    client: ClassVar[SyncClient]

    def __init__(self) -> None:
        super().__init__()
        first = v1.ApplyCatalogRequest(catalog=requests.first_catalog())
        self.client.catalog.ApplyCatalog(first)  # all histories begin alike
        self.model = Model(self.client.catalog.GetCatalog(v1.GetCatalogRequest()).catalog)
        self.evening = giftpay.new_key()  # part of the owners' ids: they are this history's alone
        self.sent: list[Any] = []
        self.first: dict[str, Any] = {}  # the first responses, by key
        self.concerned: set[str] = set()

    @invariant()
    def wallets_are_as_they_should(self) -> None:
        for owner_id in self.concerned & self.model.state.owners.keys():
            returned = self.client.wallets.GetWallet(v1.GetWalletRequest(owner_id=owner_id)).wallet
            assert without_times(returned) == self.model.state.owners[owner_id].message()
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

    def leave_available(self, owner_id: str, unit: v1.Unit.ValueType, amount: int) -> None:
        """Corrects an account, if there is one, to what is wanted of it."""
        owner = self.model.state.owners.get(owner_id)
        if owner is not None and (change := amount - owner.account(unit).available):
            name, _, _ = owner_id.partition("-")
            self.ask(self.named(requests.adjustment(name, unit, change)))

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
