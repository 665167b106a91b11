"""A reference model of giftpay, without a database, a network or concurrency.

It shares no code with the server: the messages of the contract are all that both know.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from giftpay import v1

from tests.machine import gifts, redemptions, sales, wallets
from tests.machine.state import Refused, State, refused

# The field of a request that may identify a person, and the field that says whom.
PERSONAL: dict[type, tuple[str, str]] = {
    v1.SendGiftRequest: ("message", "sender_id"),
    v1.CreateRedemptionRequest: ("destination", "owner_id"),
    v1.OpenWalletRequest: ("date_of_birth", "owner_id"),
    v1.UpdateWalletRequest: ("date_of_birth", "owner_id"),
}

DECISIONS: dict[type, Callable[[State, Any], Any]] = {
    v1.OpenWalletRequest: wallets.open_wallet,
    v1.UpdateWalletRequest: wallets.update_wallet,
    v1.AdjustBalanceRequest: wallets.adjust_balance,
    v1.ErasePersonalDataRequest: wallets.erase,
    v1.ApplyCatalogRequest: sales.apply_catalog,
    v1.CreateTopUpRequest: sales.create_top_up,
    v1.ConfirmTopUpRequest: sales.confirm_top_up,
    v1.CancelTopUpRequest: sales.cancel_top_up,
    v1.SendGiftRequest: gifts.send_gift,
    v1.ReverseGiftRequest: gifts.reverse_gift,
    v1.CreateRedemptionRequest: redemptions.create_redemption,
    v1.CancelRedemptionRequest: redemptions.cancel_redemption,
}

KINDS: dict[type, v1.TransactionKind.ValueType] = {
    v1.OpenWalletRequest: v1.TRANSACTION_KIND_OPEN_WALLET,
    v1.UpdateWalletRequest: v1.TRANSACTION_KIND_UPDATE_WALLET,
    v1.AdjustBalanceRequest: v1.TRANSACTION_KIND_ADJUSTMENT,
    v1.ErasePersonalDataRequest: v1.TRANSACTION_KIND_ERASURE,
    v1.ApplyCatalogRequest: v1.TRANSACTION_KIND_APPLY_CATALOG,
    v1.CreateTopUpRequest: v1.TRANSACTION_KIND_CREATE_TOP_UP,
    v1.ConfirmTopUpRequest: v1.TRANSACTION_KIND_CONFIRM_TOP_UP,
    v1.CancelTopUpRequest: v1.TRANSACTION_KIND_CANCEL_TOP_UP,
    v1.SendGiftRequest: v1.TRANSACTION_KIND_GIFT,
    v1.ReverseGiftRequest: v1.TRANSACTION_KIND_GIFT_REVERSAL,
    v1.CreateRedemptionRequest: v1.TRANSACTION_KIND_CREATE_REDEMPTION,
    v1.CancelRedemptionRequest: v1.TRANSACTION_KIND_CANCEL_REDEMPTION,
}


class Answer(NamedTuple):
    """The answer to a caller, without times."""

    value: Any  # a response of the contract, or Refused
    replayed: bool = False


class Decided(NamedTuple):
    """The stored outcome of a key."""

    request: Any
    value: Any


class Model:
    """All wallets and all that was decided."""

    def __init__(self, catalog: v1.Catalog) -> None:
        self.state = State(catalog)
        self.decided: dict[str, Decided] = {}

    def answer(self, request: Any) -> Answer:
        """The answer that the server must give, which is stored."""
        if getattr(request, "validate_only", False):
            return self._preview(request)
        key = request.idempotency_key
        if key in self.decided:
            return self._again(request, self.decided[key])
        value = deepcopy(DECISIONS[type(request)](self.state, request))
        self.decided[key] = Decided(deepcopy(request), value)
        self._remember_person(request)
        return Answer(value)

    def _preview(self, request: Any) -> Answer:
        unnamed = deepcopy(request)
        unnamed.idempotency_key = ""
        return Answer(DECISIONS[type(request)](deepcopy(self.state), unnamed))

    def _remember_person(self, request: Any) -> None:
        value, owner = PERSONAL.get(type(request), ("", ""))
        if value and getattr(request, value):
            owner_id = getattr(request, owner)
            self.state.personal.setdefault(owner_id, set()).add(request.idempotency_key)

    def _again(self, request: Any, earlier: Decided) -> Answer:
        if fields := self._differing(request, earlier.request):
            return Answer(refused("IDEMPOTENCY_KEY_REUSED", fields=",".join(fields)))
        if isinstance(earlier.value, Refused):
            return Answer(earlier.value, replayed=True)
        return Answer(self._replayed(request, deepcopy(earlier.value)), replayed=True)

    def _differing(self, request: Any, earlier: Any) -> list[str]:
        if type(request) is not type(earlier):
            return [f"kind ({v1.TransactionKind.Name(KINDS[type(earlier)])})"]
        personal, _ = PERSONAL.get(type(request), ("", ""))
        if request.idempotency_key in self.state.erased and getattr(request, personal):
            earlier = deepcopy(earlier)
            setattr(earlier, personal, getattr(request, personal))  # nothing is left to compare
        return [
            field.name
            for field in request.DESCRIPTOR.fields
            if field.name not in ("idempotency_key", "validate_only")
            and _value(request, field) != _value(earlier, field)
        ]

    def _replayed(self, request: Any, value: Any) -> Any:
        """The first answer, without erased data; of wallets and redemptions, the current state."""
        erased = request.idempotency_key in self.state.erased
        match request:
            case v1.SendGiftRequest() if erased:
                value.gift.message = ""
            case v1.CreateRedemptionRequest() if erased:
                value.redemption.destination = ""
            case v1.OpenWalletRequest() | v1.UpdateWalletRequest():
                value.wallet.CopyFrom(self.state.owners[request.owner_id].message())
            case v1.CancelRedemptionRequest():
                value.redemption.CopyFrom(self.state.redemptions[request.redemption_id])
        return value


def _value(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    return (message.HasField(field.name), value) if field.has_presence else value
