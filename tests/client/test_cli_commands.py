"""The commands of the command line: the request and the output of each."""

from uuid import UUID

import giftpay
import pytest
from giftpay.catalog_file import load_catalog, parse_catalog
from giftpay.v1 import (
    COIN_STATE_SPENT,
    COIN_STATE_UNSPENT,
    LOT_KIND_BONUS,
    LOT_KIND_PAID,
    SYSTEM_ACCOUNT_ISSUANCE,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    ApplyCatalogRequest,
    ApplyCatalogResponse,
    BrokenRow,
    CatalogGift,
    CoinFate,
    CoinLot,
    CoinPackage,
    CoinRoot,
    CreateRedemptionRequest,
    CreateRedemptionResponse,
    EntryRef,
    GetCatalogResponse,
    GetTransactionRequest,
    GetTransactionResponse,
    GetTrialBalanceResponse,
    Gift,
    ListCoinPackagesResponse,
    ListGiftsResponse,
    Money,
    OpenWalletRequest,
    OpenWalletResponse,
    QuoteRedemptionResponse,
    RedemptionQuote,
    Refusal,
    SendGiftRequest,
    SendGiftResponse,
    SystemBalance,
    TracedDebit,
    TracedLot,
    TraceTransactionRequest,
    TraceTransactionResponse,
    Transaction,
    TrialBalance,
    UpdateWalletRequest,
    UpdateWalletResponse,
    VerifyLedgerResponse,
    WalletStatus,
)
from google.protobuf.timestamp_pb2 import Timestamp

from tests.client.command_line import ANNA, Run, cells_of
from tests.client.scripted import ScriptedServer
from tests.client.test_catalog_file import SAMPLE


async def test_opening_a_wallet(scripted: ScriptedServer, run: Run) -> None:
    scripted.script("OpenWallet", OpenWalletResponse(wallet=ANNA))
    result = await run("wallet", "open", "anna", "--country", "DE", "--age-verified")
    [asked] = scripted.asked["OpenWallet"]
    assert asked == OpenWalletRequest(
        idempotency_key=asked.idempotency_key, owner_id="anna", country_code="DE", age_verified=True
    )
    assert result.exit_code == 0
    assert result.stderr == f"key: {asked.idempotency_key}\n"
    assert UUID(asked.idempotency_key).version == 7
    assert result.stdout == (
        "owner       anna\n"
        "country     DE\n"
        "status      active\n"
        "age status  adult\n"
        "created     2026-11-18 11:06:40\n"
        "            balance  held  available  entries\n"
        "coins     1,234,567     7  1,234,560        3\n"
        "diamonds          0     0          0        0\n"
    )


async def test_sending_a_gift_passes_all_options_on(scripted: ScriptedServer, run: Run) -> None:
    gift = Gift(gift_id="rose", count=3, coins=3, message="hi \x1b[31m", context="live/1")
    scripted.script("SendGift", SendGiftResponse(gift=gift))
    options = ["--count=3", "--message=hi", "--context=live/1", "--combo=c", "--expect=3"]
    result = await run("send", "anna", "ben", "rose", *options, "--dry-run", "--key=k")
    assert scripted.asked["SendGift"] == [
        SendGiftRequest(
            idempotency_key="k",
            sender_id="anna",
            recipient_id="ben",
            gift_id="rose",
            count=3,
            message="hi",
            context="live/1",
            combo_id="c",
            expected_coins=3,
            validate_only=True,
        )
    ]
    assert result.stdout == (
        "gift      rose\n"
        "count     3\n"
        "coins     3\n"
        "diamonds  0\n"
        "message   hi \N{REPLACEMENT CHARACTER}[31m\n"
        "context   live/1\n"
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("freeze", WALLET_STATUS_FROZEN),
        ("unfreeze", WALLET_STATUS_ACTIVE),
        ("close", WALLET_STATUS_CLOSED),
    ],
)
async def test_changing_a_wallet(
    scripted: ScriptedServer, run: Run, command: str, status: WalletStatus.ValueType
) -> None:
    scripted.script("UpdateWallet", UpdateWalletResponse(wallet=ANNA))
    await run("wallet", command, "anna", "--key=k")
    asked = UpdateWalletRequest(idempotency_key="k", owner_id="anna", status=status)
    assert scripted.asked["UpdateWallet"] == [asked]


async def test_redeeming_with_an_expected_amount(scripted: ScriptedServer, run: Run) -> None:
    amount = Money(currency_code="EUR", minor_units=1308)
    quote = RedemptionQuote(
        diamonds=2000, amount=amount, gross=amount, fee=Money(currency_code="EUR")
    )
    scripted.script("QuoteRedemption", QuoteRedemptionResponse(quote=quote))
    scripted.script("CreateRedemption", CreateRedemptionResponse())
    quoted = await run("redeem", "quote", "2000", "EUR")
    line = ["redeem", "create", "ben", "2000", "EUR", "ben@x.example"]
    await run(*line, "--expect=EUR 13.08", "--key=k")
    assert "amount    EUR 13.08" in quoted.stdout
    assert scripted.asked["CreateRedemption"] == [
        CreateRedemptionRequest(
            idempotency_key="k",
            owner_id="ben",
            diamonds=2000,
            currency_code="EUR",
            destination="ben@x.example",
            expected_amount=amount,
        )
    ]


async def test_applying_a_catalog_file(scripted: ScriptedServer, run: Run) -> None:
    scripted.script("ApplyCatalog", ApplyCatalogResponse(version=4))
    result = await run("catalog", "apply", str(SAMPLE), "--expect-version=3", "--key=k")
    whole = load_catalog(SAMPLE)
    assert scripted.asked["ApplyCatalog"] == [
        ApplyCatalogRequest(idempotency_key="k", catalog=whole, expected_version=3)
    ]
    assert result.stdout == "version  4\n"


async def test_a_shown_catalog_can_be_applied(scripted: ScriptedServer, run: Run) -> None:
    whole = load_catalog(SAMPLE)
    applied = type(whole)(version=3, create_time=Timestamp(seconds=1_795_000_000))
    applied.MergeFrom(whole)
    scripted.script("GetCatalog", GetCatalogResponse(catalog=applied))
    result = await run("catalog", "show")
    assert result.stdout.startswith("# Version 3, since 2026-11-18 11:06:40 (UTC).\n")
    assert parse_catalog(result.stdout) == whole


async def test_listing_the_catalog(scripted: ScriptedServer, run: Run) -> None:
    price = Money(currency_code="JPY", minor_units=1600)
    package = CoinPackage(package_id="jpy-730", price=price, coins=730)
    rose = CatalogGift(gift_id="rose", name="Rose", coins=1)
    scripted.script("ListCoinPackages", ListCoinPackagesResponse(packages=[package]))
    scripted.script("ListGifts", ListGiftsResponse(gifts=[rose]))
    packages, gifts = await run("catalog", "packages", "JP"), await run("catalog", "gifts")
    assert cells_of(packages.stdout.splitlines()[1]) == ["jpy-730", "JPY", "1600", "730", "0"]
    assert cells_of(gifts.stdout.splitlines()[1]) == ["rose", "Rose", "1"]
    assert scripted.asked["ListCoinPackages"][0].country_code == "JP"


async def test_a_transaction_is_named_by_key_or_id(scripted: ScriptedServer, run: Run) -> None:
    refusal = Refusal(
        reason=giftpay.v1.ERROR_REASON_GIFT_TO_SELF, message="No.", metadata={"owner_id": "anna"}
    )
    decided = Transaction(transaction_id="t", kind=TRANSACTION_KIND_GIFT, refusal=refusal)
    scripted.script("GetTransaction", GetTransactionResponse(transaction=decided))
    result = await run("transaction", "order 17")
    await run("transaction", "01a20189-8b82-71cf-96be-66df3fa98aa2")
    assert scripted.asked["GetTransaction"] == [
        GetTransactionRequest(idempotency_key="order 17"),
        GetTransactionRequest(transaction_id="01a20189-8b82-71cf-96be-66df3fa98aa2"),
    ]
    assert result.exit_code == 0
    assert "outcome      refusal\nreason       gift to self\n" in result.stdout


async def test_broken_books_end_with_1(scripted: ScriptedServer, run: Run) -> None:
    broken = BrokenRow(check="entry.seq", table="entry", key="anna/COIN/17", detail="18, not 17")
    scripted.script(
        "VerifyLedger", VerifyLedgerResponse(broken=broken), VerifyLedgerResponse(clean=True)
    )
    found, clean = await run("verify"), await run("verify")
    assert (found.exit_code, clean.exit_code) == (1, 0)
    assert "clean         no\ncheck         entry.seq\n" in found.stdout


async def test_the_trial_balance(scripted: ScriptedServer, run: Run) -> None:
    issued = SystemBalance(system_account=SYSTEM_ACCOUNT_ISSUANCE, balance=-1000)
    coins = TrialBalance(unit=UNIT_COIN, owners=1000, system_accounts=[issued])
    scripted.script("GetTrialBalance", GetTrialBalanceResponse(balances=[coins]))
    result = await run("trial-balance")
    assert [cells_of(line) for line in result.stdout.splitlines()] == [
        ["coins", "balance"],
        ["owners", "1,000"],
        ["issuance", "-1,000"],
        ["total", "0"],
    ]


ORDER, GIVEN = "01a201b2-b928-75a5-a44b-c0a1fd0110ce", "01a201b2-c1d7-7d1e-8f0e-1b5a1f0b6c22"


def coin_entry(seq: int) -> EntryRef:
    return EntryRef(owner_id="anna", unit=UNIT_COIN, seq=seq)


async def test_tracing_a_gift_shows_what_paid_for_it(scripted: ScriptedServer, run: Run) -> None:
    price, share = (Money(currency_code="EUR", minor_units=n) for n in (1000, 50))
    paid = CoinLot(
        entry=coin_entry(1), kind=LOT_KIND_PAID, source_id=ORDER, coins=1_000_000, price=price
    )
    bonus = CoinLot(entry=coin_entry(2), kind=LOT_KIND_BONUS, source_id=ORDER, coins=30)
    roots = [CoinRoot(lot=paid, coins=50_000, price=share), CoinRoot(lot=bonus, coins=30)]
    debit = TracedDebit(entry=coin_entry(4), coins=50_032, roots=roots, owed_coins=2)
    scripted.script("TraceTransaction", TraceTransactionResponse(debits=[debit]))
    result = await run("trace", GIVEN)
    assert scripted.asked["TraceTransaction"] == [TraceTransactionRequest(transaction_id=GIVEN)]
    assert result.stdout == (
        "debits\n"
        "entry       anna, coin entry 4\n"
        "coins       50,032\n"
        "owed coins  2\n"
        " coins  kind   entry  price     source\n"
        f"50,000  paid   1      EUR 0.50  {ORDER}\n"
        f"    30  bonus  2                {ORDER}\n"
    )


async def test_tracing_a_purchase_shows_where_its_coins_went(
    scripted: ScriptedServer, run: Run
) -> None:
    price = Money(currency_code="EUR", minor_units=1000)
    paid = CoinLot(entry=coin_entry(1), kind=LOT_KIND_PAID, source_id=ORDER, coins=65, price=price)
    fates = [
        CoinFate(
            coins=30,
            state=COIN_STATE_SPENT,
            entry=coin_entry(9),
            transaction_id=GIVEN,
            lot_entry=coin_entry(7),
        ),
        CoinFate(coins=31, state=COIN_STATE_UNSPENT, lot_entry=coin_entry(1)),
    ]
    traced = TracedLot(lot=paid, fates=fates, unlisted_coins=4)
    scripted.script("TraceTransaction", TraceTransactionResponse(lots=[traced]))
    result = await run("trace", ORDER)
    assert result.stdout == (
        "lots\n"
        "entry           anna, coin entry 1\n"
        "kind            paid\n"
        f"source          {ORDER}\n"
        "coins           65\n"
        "price           EUR 10.00\n"
        "unlisted coins  4\n"
        "coins  state    entry  credit  transaction\n"
        f"   30  spent    9      7       {GIVEN}\n"
        "   31  unspent         1\n"
    )


async def test_tracing_a_gift_without_coins(scripted: ScriptedServer, run: Run) -> None:
    scripted.script("TraceTransaction", TraceTransactionResponse())
    assert (await run("trace", GIVEN)).stdout == "debits  none\nlots    none\n"
