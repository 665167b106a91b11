"""A type for each reason of a no, with its figures. The tree is drawn in `giftpay.errors`.

The figures are those that the comments of `ErrorReason` document; where a comment differs from a
type here, a test says so.
"""

from giftpay.errors import NotFound, Refused


class WalletNotFound(NotFound, reason="WALLET_NOT_FOUND", pinned=True):
    """No wallet is open for this owner."""

    owner_id: str


class WalletExists(Refused, reason="WALLET_EXISTS", pinned=True):
    """The owner's wallet is open with other details."""

    owner_id: str
    fields: tuple[str, ...]


class WalletFrozen(Refused, reason="WALLET_FROZEN", pinned=True):
    """The wallet neither sends, receives, buys nor redeems."""

    owner_id: str


class WalletClosed(Refused, reason="WALLET_CLOSED", pinned=True):
    """The wallet is closed for good."""

    owner_id: str


class WalletNotEmpty(Refused, reason="WALLET_NOT_EMPTY", pinned=True):
    """A wallet closes only with zero balances and nothing open."""

    owner_id: str
    coins: int
    diamonds: int
    held: int
    open_top_ups: int


class InsufficientCoins(Refused, reason="INSUFFICIENT_COINS", pinned=True):
    """The coins that are neither spent nor held do not suffice."""

    owner_id: str
    available: int
    required: int


class InsufficientDiamonds(Refused, reason="INSUFFICIENT_DIAMONDS", pinned=True):
    """The diamonds that are neither redeemed nor held do not suffice."""

    owner_id: str
    available: int
    required: int


class BalanceLimit(Refused, reason="BALANCE_LIMIT", pinned=True):
    """The balance would pass the limit."""

    owner_id: str
    unit: str
    limit: int


class AmountLimit(Refused, reason="AMOUNT_LIMIT", pinned=True):
    """The movement would pass the limit."""

    amount: int
    limit: int


class UnderAge(Refused, reason="UNDER_AGE", pinned=True):
    """The owner is not of age yet."""

    owner_id: str
    adult_age: int


class AgeUnverified(Refused, reason="AGE_UNVERIFIED", pinned=True):
    """The owner's age was never verified."""

    owner_id: str


class UnknownGift(NotFound, reason="UNKNOWN_GIFT", pinned=True):
    """No gift of this id was ever in the catalog."""

    gift_id: str
    catalog_version: int


class GiftOffSale(Refused, reason="GIFT_OFF_SALE", pinned=True):
    """The gift is no longer sold."""

    gift_id: str
    catalog_version: int


class UnknownPackage(NotFound, reason="UNKNOWN_PACKAGE", pinned=True):
    """No package of this id was ever in the catalog."""

    package_id: str
    catalog_version: int


class PackageOffSale(Refused, reason="PACKAGE_OFF_SALE", pinned=True):
    """The package is not sold now."""

    package_id: str
    catalog_version: int


class PackageNotSoldInCountry(Refused, reason="PACKAGE_NOT_SOLD_IN_COUNTRY", pinned=True):
    """The package is not sold in the owner's country."""

    package_id: str
    country_code: str


class PriceChanged(Refused, reason="PRICE_CHANGED", pinned=True):
    """The price is not the one that was pinned. In coins, or in minor units for a redemption."""

    expected: int
    actual: int
    catalog_version: int


class CatalogVersionConflict(Refused, reason="CATALOG_VERSION_CONFLICT", pinned=True):
    """Another catalog was applied since the one that the new one builds on was read."""

    expected_version: int
    current_version: int


class CatalogNotFound(NotFound, reason="CATALOG_NOT_FOUND"):
    """There is no catalog of this version."""

    version: int


class GiftToSelf(Refused, reason="GIFT_TO_SELF", pinned=True):
    """Sender and recipient are the same owner."""

    owner_id: str


class GiftNotFound(NotFound, reason="GIFT_NOT_FOUND", pinned=True):
    """No accepted gift has this id."""

    transaction_id: str


class GiftAlreadyReversed(Refused, reason="GIFT_ALREADY_REVERSED", pinned=True):
    """The gift was already reversed, by `reversal_id`."""

    transaction_id: str
    reversal_id: str


class TopUpNotFound(NotFound, reason="TOP_UP_NOT_FOUND", pinned=True):
    """No top-up has this id."""

    top_up_id: str


class WrongTopUpState(Refused, reason="TOP_UP_STATE", pinned=True):
    """The top-up was already paid and credited."""

    top_up_id: str
    state: str


class PaymentReferenceUsed(Refused, reason="PAYMENT_REFERENCE_USED", pinned=True):
    """The payment paid for another top-up already."""

    payment_reference: str
    top_up_id: str


class PaymentMismatch(Refused, reason="PAYMENT_MISMATCH", pinned=True):
    """The payment's amount or currency is not the order's; both such as "EUR 1099"."""

    expected: str
    actual: str


class PaymentNotFound(Refused, reason="PAYMENT_NOT_FOUND"):
    """The provider does not know the payment."""

    payment_reference: str


class PaymentNotComplete(Refused, reason="PAYMENT_NOT_COMPLETE"):
    """The provider says that the payment is not complete."""

    payment_reference: str
    state: str


class RedemptionNotFound(NotFound, reason="REDEMPTION_NOT_FOUND", pinned=True):
    """No redemption has this id."""

    redemption_id: str


class WrongRedemptionState(Refused, reason="REDEMPTION_STATE", pinned=True):
    """The payout was already sent or ended."""

    redemption_id: str
    state: str


class BelowMinimum(Refused, reason="BELOW_MINIMUM", pinned=True):
    """Fewer diamonds than the least that can be redeemed."""

    diamonds: int
    minimum: int
    currency_code: str


class CurrencyNotSupported(Refused, reason="CURRENCY_NOT_SUPPORTED", pinned=True):
    """The catalog has no payout rate for this currency."""

    currency_code: str
    catalog_version: int
