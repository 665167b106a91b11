"""What must hold at the end of every history, read over the wire."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from giftpay import v1
from giftpay.sync import SyncClient

from tests.machine.accounts import Owner
from tests.machine.model import KINDS, Decided, Model
from tests.machine.sales import same_catalog
from tests.machine.state import Refused

TIMES = ("create_time", "update_time", "pay_time")


def without_times(message: Any) -> Any:
    """A copy of it, in which no time is set and nothing is marked as replayed."""
    copy = deepcopy(message)
    _clear(copy)
    return copy


def _clear(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in (*TIMES, "replayed"):
            message.ClearField(field.name)
        elif field.message_type is not None and not field.is_repeated:
            _clear(value)


def refusal_of(refusal: v1.Refusal) -> Refused:
    """The refusal as the model would say it."""
    reason = v1.ErrorReason.Name(refusal.reason).removeprefix("ERROR_REASON_")
    return Refused(reason, dict(refusal.metadata))


def prove(client: SyncClient, model: Model) -> None:
    """Wallets, statements, what was made and what was decided are the model's; the books agree."""
    for owner in model.state.owners.values():
        _prove_owner(client, model, owner)
    for key, decided in model.decided.items():
        _prove_transaction(client, key, decided)
    _prove_rows(client, model)
    current = client.catalog.GetCatalog(v1.GetCatalogRequest()).catalog
    assert current.version == model.state.catalog.version
    assert same_catalog(current, model.state.catalog)
    trial = client.admin.GetTrialBalance(v1.GetTrialBalanceRequest())
    assert [balance.total for balance in trial.balances] == [0, 0]
    verified = client.admin.VerifyLedger(v1.VerifyLedgerRequest())
    assert verified.clean, verified.broken


def _prove_owner(client: SyncClient, model: Model, owner: Owner) -> None:
    answer = client.wallets.GetWallet(v1.GetWalletRequest(owner_id=owner.owner_id))
    assert without_times(answer.wallet) == owner.message()
    for unit in (v1.UNIT_COIN, v1.UNIT_DIAMOND):
        wanted = v1.ListEntriesRequest(
            owner_id=owner.owner_id, unit=unit, after_seq=0, page_size=1_000
        )
        entries = client.wallets.ListEntries(wanted).entries
        returned = [without_times(entry) for entry in entries]
        assert returned == list(_entries(model, owner, unit))


def _entries(model: Model, owner: Owner, unit: v1.Unit.ValueType) -> Iterable[v1.Entry]:
    for seq, line in enumerate(owner.account(unit).lines, start=1):
        request = model.decided[line.transaction_id].request
        entry = v1.Entry(
            owner_id=owner.owner_id,
            unit=unit,
            seq=seq,
            transaction_id=line.transaction_id,
            amount=line.amount,
            balance=line.balance,
            system_account=line.system,
            kind=KINDS[type(request)],
        )
        if line.gift_id:
            _add_gift(entry, model.state.gifts[line.gift_id])
        if isinstance(request, v1.ReverseGiftRequest):
            entry.reversed_transaction_id = request.transaction_id
        yield entry


def _add_gift(entry: v1.Entry, gift: v1.Gift) -> None:
    sent = entry.owner_id == gift.sender_id
    entry.counterpart_id = gift.recipient_id if sent else gift.sender_id
    for name in ("gift_id", "count", "message", "context", "combo_id"):
        setattr(entry.gift, name, getattr(gift, name))


def _prove_transaction(client: SyncClient, key: str, decided: Decided) -> None:
    named = v1.GetTransactionRequest(idempotency_key=key)
    returned = client.wallets.GetTransaction(named).transaction
    assert (returned.transaction_id, returned.kind) == (key, KINDS[type(decided.request)])
    if isinstance(decided.value, Refused):
        assert refusal_of(returned.refusal) == decided.value
    else:
        assert returned.WhichOneof("outcome") == "posted"


def _prove_rows(client: SyncClient, model: Model) -> None:
    for gift_id, gift in model.state.gifts.items():
        read = client.gifts.GetGift(v1.GetGiftRequest(transaction_id=gift_id)).gift
        expected = deepcopy(gift)
        expected.reversal_id = model.state.reversals.get(gift_id, "")
        assert without_times(read) == expected
    for owner_id in model.state.owners:
        _prove_lists(client, model, owner_id)


def _prove_lists(client: SyncClient, model: Model, owner_id: str) -> None:
    """Newest first."""
    state = model.state
    orders = client.top_ups.ListTopUps(v1.ListTopUpsRequest(owner_id=owner_id)).top_ups
    assert _newest(state.top_ups.values(), owner_id) == [without_times(each) for each in orders]
    wanted = v1.ListRedemptionsRequest(owner_id=owner_id)
    payouts = client.redemptions.ListRedemptions(wanted).redemptions
    assert _newest(state.redemptions.values(), owner_id) == [
        without_times(each) for each in payouts
    ]


def _newest(made: Iterable[Any], owner_id: str) -> list[Any]:
    return [each for each in made if each.owner_id == owner_id][::-1]
