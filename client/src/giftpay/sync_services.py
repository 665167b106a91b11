"""The services as blocking code sees them: each rpc is called with its request and returns.

What they do is documented at the rpcs of `giftpay.v1`. The two streams have no rpc here:
`SyncClient.watch` and `SyncClient.send_gifts` stand for them.
"""

from collections.abc import Awaitable, Callable
from inspect import get_annotations
from typing import Generic, ParamSpec, Protocol, TypeVar

from google.protobuf.message import Message

from giftpay import v1

P = ParamSpec("P")
T = TypeVar("T")
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Run(Protocol):
    """Calls on the client's event loop and waits for the result."""

    def __call__(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...


class Rpc(Generic[Request, Response]):
    """One rpc. `timeout` is in seconds, for all attempts; the client's if None."""

    def __init__(self, run: Run, rpc: Callable[..., Awaitable[Response]]) -> None:
        self._run, self._rpc = run, rpc

    def __call__(self, request: Request, *, timeout: float | None = None) -> Response:
        return self._run(self._rpc, request, timeout=timeout)


class Service:
    """Makes the rpcs that a subclass names out of those of a stub."""

    def __init__(self, run: Run, stub: object) -> None:
        for name in get_annotations(type(self)):
            setattr(self, name, Rpc(run, getattr(stub, name)))


class Wallets(Service):
    """WalletService, for blocking code."""

    OpenWallet: Rpc[v1.OpenWalletRequest, v1.OpenWalletResponse]
    GetWallet: Rpc[v1.GetWalletRequest, v1.GetWalletResponse]
    ListEntries: Rpc[v1.ListEntriesRequest, v1.ListEntriesResponse]
    GetTransaction: Rpc[v1.GetTransactionRequest, v1.GetTransactionResponse]
    UpdateWallet: Rpc[v1.UpdateWalletRequest, v1.UpdateWalletResponse]


class Catalog(Service):
    """CatalogService, for blocking code."""

    ListCoinPackages: Rpc[v1.ListCoinPackagesRequest, v1.ListCoinPackagesResponse]
    ListGifts: Rpc[v1.ListGiftsRequest, v1.ListGiftsResponse]
    GetCatalog: Rpc[v1.GetCatalogRequest, v1.GetCatalogResponse]
    ApplyCatalog: Rpc[v1.ApplyCatalogRequest, v1.ApplyCatalogResponse]


class TopUps(Service):
    """TopUpService, for blocking code."""

    CreateTopUp: Rpc[v1.CreateTopUpRequest, v1.CreateTopUpResponse]
    ConfirmTopUp: Rpc[v1.ConfirmTopUpRequest, v1.ConfirmTopUpResponse]
    GetTopUp: Rpc[v1.GetTopUpRequest, v1.GetTopUpResponse]
    ListTopUps: Rpc[v1.ListTopUpsRequest, v1.ListTopUpsResponse]
    CancelTopUp: Rpc[v1.CancelTopUpRequest, v1.CancelTopUpResponse]


class Gifts(Service):
    """GiftService, for blocking code."""

    SendGift: Rpc[v1.SendGiftRequest, v1.SendGiftResponse]
    BatchSendGifts: Rpc[v1.BatchSendGiftsRequest, v1.BatchSendGiftsResponse]
    GetGift: Rpc[v1.GetGiftRequest, v1.GetGiftResponse]
    ListGiftsReceived: Rpc[v1.ListGiftsReceivedRequest, v1.ListGiftsReceivedResponse]
    ListGiftsSent: Rpc[v1.ListGiftsSentRequest, v1.ListGiftsSentResponse]


class Redemptions(Service):
    """RedemptionService, for blocking code."""

    QuoteRedemption: Rpc[v1.QuoteRedemptionRequest, v1.QuoteRedemptionResponse]
    CreateRedemption: Rpc[v1.CreateRedemptionRequest, v1.CreateRedemptionResponse]
    GetRedemption: Rpc[v1.GetRedemptionRequest, v1.GetRedemptionResponse]
    ListRedemptions: Rpc[v1.ListRedemptionsRequest, v1.ListRedemptionsResponse]
    CancelRedemption: Rpc[v1.CancelRedemptionRequest, v1.CancelRedemptionResponse]


class Admin(Service):
    """AdminService, for blocking code."""

    AdjustBalance: Rpc[v1.AdjustBalanceRequest, v1.AdjustBalanceResponse]
    ReverseGift: Rpc[v1.ReverseGiftRequest, v1.ReverseGiftResponse]
    ErasePersonalData: Rpc[v1.ErasePersonalDataRequest, v1.ErasePersonalDataResponse]
    GetTrialBalance: Rpc[v1.GetTrialBalanceRequest, v1.GetTrialBalanceResponse]
    VerifyLedger: Rpc[v1.VerifyLedgerRequest, v1.VerifyLedgerResponse]
    TraceTransaction: Rpc[v1.TraceTransactionRequest, v1.TraceTransactionResponse]
