"""The laws of corrections: a reversal conserves value, whatever happened since the gift."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from giftpay.v1 import (
    ERROR_REASON_BALANCE_LIMIT,
    SHORTFALL_POLICY_DEBT,
    SHORTFALL_POLICY_PLATFORM_LOSS,
    SYSTEM_ACCOUNT_CREATOR_EARNINGS,
    SYSTEM_ACCOUNT_GIFT_SALES,
    SYSTEM_ACCOUNT_PLATFORM_LOSS,
    UNIT_COIN,
    UNIT_DIAMOND,
    AdjustBalanceRequest,
    ErasePersonalDataRequest,
    Gift,
    ReverseGiftRequest,
    ReverseGiftResponse,
    SendGiftRequest,
    ShortfallPolicy,
)
from giftpay_server.admin.messages import adjust_command, erase_command, reversal_command
from giftpay_server.admin.rules import Erasure
from giftpay_server.gift.messages import gift_command, sent_gift
from giftpay_server.gift.store import SentGift
from giftpay_server.ledger.model import (
    BALANCE_LIMIT,
    Books,
    Command,
    Draft,
    Entry,
    LotKind,
    Outcome,
)
from giftpay_server.ledger.replay import personal_value
from giftpay_server.ledger.rules import decide
from giftpay_server.slices import REGISTRY
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.histories import OWNERS, opening_books
from tests.ledger.movements import hold

OPENING = [40, 40, 40]
POLICIES = (SHORTFALL_POLICY_PLATFORM_LOSS, SHORTFALL_POLICY_DEBT)


class Step(NamedTuple):
    """What happens next, to whom, and how much of it."""

    kind: str  # gift, hold, adjust or reverse
    owner: int
    amount: int
    policy: ShortfallPolicy.ValueType


def steps() -> st.SearchStrategy[list[Step]]:
    kinds = st.sampled_from(("gift", "gift", "hold", "adjust", "reverse", "reverse"))
    amounts = st.integers(-9, 9).filter(bool)
    step = st.builds(Step, kinds, st.integers(0, 2), amounts, st.sampled_from(POLICIES))
    return st.lists(step, max_size=30)


def key(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


class Reversed(NamedTuple):
    """A reversal as it was answered, and what its recipient had before and after."""

    gift: Gift
    answer: ReverseGiftResponse
    policy: ShortfallPolicy.ValueType
    before: int
    after: int


@dataclass
class Story:
    """Books, and all that happened to them."""

    books: Books = field(default_factory=lambda: opening_books(OPENING))
    entries: list[Entry] = field(default_factory=list)
    systems: Counter[tuple[int, int]] = field(default_factory=Counter)
    gifts: list[Gift] = field(default_factory=list)
    reversals: list[Reversed] = field(default_factory=list)

    def take(self, number: int, step: Step) -> None:
        match step.kind:
            case "gift":
                self._give(number, step)
            case "reverse" if self.gifts:
                self.reverse(number, self.gifts[abs(step.amount) % len(self.gifts)], step.policy)
            case "adjust":
                self.post(_adjustment(number, OWNERS[step.owner], step.amount))
            case "hold":
                self.post(hold(key(number), OWNERS[step.owner], amount=abs(step.amount)))

    def post(self, command: Command) -> Outcome | None:
        """What was posted, if it was."""
        draft = Draft()
        (outcome,) = decide([command], self.books, draft, REGISTRY.movements)
        self.entries += draft.entries
        for system, (gained, _) in draft.systems.items():
            self.systems[system] += gained
        assert isinstance(outcome, Outcome)
        return None if outcome.transaction.reason else outcome

    def _give(self, number: int, step: Step) -> None:
        request = SendGiftRequest(
            idempotency_key=key(number),
            sender_id=OWNERS[step.owner],
            recipient_id=OWNERS[(step.owner + abs(step.amount)) % len(OWNERS)],
            gift_id="live",
        )
        outcome = self.post(gift_command(ask(request, Call("test"))))
        if outcome is not None:
            self.gifts.append(sent_gift(SentGift(outcome.transaction, "")))

    def reverse(self, number: int, gift: Gift, policy: ShortfallPolicy.ValueType) -> None:
        account = self.books.accounts[gift.recipient_id, UNIT_DIAMOND]
        before = account.available
        request = ReverseGiftRequest(
            idempotency_key=key(number),
            transaction_id=gift.transaction_id,
            reason="test",
            shortfall_policy=policy,
        )
        outcome = self.post(reversal_command(ask(request, Call("test")), gift))
        if outcome is not None:
            answer = ReverseGiftResponse.FromString(outcome.transaction.answer)
            self.reversals.append(Reversed(gift, answer, policy, before, account.available))


def _adjustment(number: int, owner_id: str, amount: int) -> Command:
    request = AdjustBalanceRequest(
        idempotency_key=key(number),
        owner_id=owner_id,
        unit=UNIT_DIAMOND,
        amount=amount,
        reason="test",
    )
    return adjust_command(ask(request, Call("test")))


def play(history: Sequence[Step]) -> Story:
    story = Story()
    for number, step in enumerate(history):
        story.take(number, step)
    return story


@given(steps())
def test_nothing_is_made_or_lost(history: list[Step]) -> None:
    story = play(history)
    for unit, opened in ((UNIT_COIN, sum(OPENING)), (UNIT_DIAMOND, 0)):
        owners = sum(a.balance for (_, of), a in story.books.accounts.items() if of == unit)
        systems = sum(gained for (_, of), gained in story.systems.items() if of == unit)
        assert owners - opened + systems == 0


@given(steps())
def test_a_gift_is_reversed_once_and_whole(history: list[Step]) -> None:
    reversals = play(history).reversals
    assert len({each.gift.transaction_id for each in reversals}) == len(reversals)
    for each in reversals:
        assert each.answer.coins == each.gift.coins
        assert each.answer.diamonds + each.answer.loss == each.gift.diamonds
        assert min(each.answer.diamonds, each.answer.loss) >= 0


@given(steps())
def test_the_recipient_loses_what_the_answer_says(history: list[Step]) -> None:
    for each in play(history).reversals:
        assert each.before - each.after == each.answer.diamonds
        if each.policy == SHORTFALL_POLICY_DEBT:
            assert each.answer.loss == 0
        else:
            assert each.answer.diamonds == min(max(0, each.before), each.gift.diamonds)


@given(steps())
def test_when_all_gifts_are_reversed_it_is_as_if_there_had_been_none(history: list[Step]) -> None:
    story = play(history)
    for number, gift in enumerate(story.gifts, start=len(history)):
        story.reverse(number, gift, SHORTFALL_POLICY_PLATFORM_LOSS)
    assert story.systems[SYSTEM_ACCOUNT_GIFT_SALES, UNIT_COIN] == 0
    assert story.systems[SYSTEM_ACCOUNT_CREATOR_EARNINGS, UNIT_DIAMOND] == 0
    for owner_id, coins in zip(OWNERS, OPENING, strict=True):
        assert story.books.accounts[owner_id, UNIT_COIN].balance == coins
    losses = sum(each.answer.loss for each in story.reversals)
    assert story.systems[SYSTEM_ACCOUNT_PLATFORM_LOSS, UNIT_DIAMOND] == -losses


def refused_with(command: Command, books: Books) -> int:
    (outcome,) = decide([command], books, Draft(), REGISTRY.movements)
    assert isinstance(outcome, Outcome)
    return outcome.transaction.reason


def test_a_full_wallet_takes_no_correction() -> None:
    books = opening_books([0, 0, 0])
    books.accounts["anna", UNIT_DIAMOND].balance = BALANCE_LIMIT - 3
    assert refused_with(_adjustment(1, "anna", 4), books) == ERROR_REASON_BALANCE_LIMIT
    assert refused_with(_adjustment(2, "anna", 3), books) == 0


def test_a_full_sender_gets_nothing_back() -> None:
    story = play([Step("gift", 0, 1, SHORTFALL_POLICY_DEBT)])
    story.books.accounts["anna", UNIT_COIN].balance = BALANCE_LIMIT
    (gift,) = story.gifts
    story.reverse(9, gift, SHORTFALL_POLICY_DEBT)
    assert story.reversals == []
    assert story.books.claims == {}


def test_returned_coins_are_a_lot_that_names_the_gift() -> None:
    story = play([Step("gift", 0, 1, SHORTFALL_POLICY_DEBT)])
    (gift,), draft = story.gifts, Draft()
    request = ReverseGiftRequest(idempotency_key=key(9), transaction_id=gift.transaction_id)
    command = reversal_command(ask(request, Call("test")), gift)
    decide([command], story.books, draft, REGISTRY.movements)
    (lot,) = draft.lots
    assert (lot.owner_id, lot.size) == (gift.sender_id, gift.coins)
    assert (lot.grant.kind, lot.grant.source_id) == (LotKind.REVERSAL, gift.transaction_id)


def _erasure(number: int) -> Command:
    request = ErasePersonalDataRequest(idempotency_key=key(number), owner_id="anna")
    return erase_command(ask(request, Call("test")))


def _gift(number: int, message: str = "for Ben") -> Command:
    request = SendGiftRequest(
        idempotency_key=key(number),
        sender_id="anna",
        recipient_id="ben",
        gift_id="live",
        message=message,
    )
    return gift_command(ask(request, Call("test")))


def test_an_erasure_hides_what_was_written_before_it_and_nothing_after() -> None:
    books, draft = opening_books(OPENING), Draft()
    decide(
        [
            _gift(1),
            _erasure(2),
            _gift(3),
            _erasure(4),
            _gift(5),
        ],
        books,
        draft,
        REGISTRY.movements,
    )
    assert [personal.generation for _, personal in draft.personal] == [0, 1, 2]
    assert draft.rows == {(Erasure, "anna"): Erasure("anna", 1, books.now)}
    assert draft.owners["anna"].erasures == 2


def test_a_replay_in_the_batch_of_the_erasure_has_no_message() -> None:
    books, draft = opening_books(OPENING), Draft()
    again, other = _gift(1), _gift(1, "nothing is left to compare with")
    first, _, *replays = decide(
        [_gift(1), _erasure(2), again, other], books, draft, REGISTRY.movements
    )
    assert isinstance(first, Outcome)
    assert personal_value(again, first.transaction) == "for Ben"
    for replay in replays:
        assert isinstance(replay, Outcome)
        assert replay.replayed
        assert personal_value(other, replay.transaction) == ""
