"""A payment provider and a payout provider to try giftpay against, over real HTTP.

It behaves as a documented provider does, remembers what it did, and can be told to behave as
badly as they do. It knows nothing of giftpay. All bodies are JSON, amounts are whole minor units.
References, keys, destinations and reasons are 1 to 256 printable characters.

    POST /payments                {reference?, currency, minor_units}   the buyer paid
    GET  /payments/{reference}
    POST /payments/{reference}/refund                                   the money went back
    POST /payouts                 {destination, currency, minor_units}  with an Idempotency-Key
    GET  /payouts                                                       every payout ever made
    GET  /payouts/{key}
    POST /payouts/{key}/return                                          the money came back
    POST /scripts                 {kind, call?, match?, steps}
    GET  /health

The same reference or key with the same contents is a look-up (200, where the first is 201), never a
second payment or payout; with other contents it is refused (409). References are remembered for
ever, a payout's key for the dedupe window (30 days from its first use, a setting): afterwards it
pays again, as it would at a real provider. A payout says in `submits` how often it was asked for.

A payment is PENDING, PAID, DECLINED or REFUNDED, a payout PENDING, PAID, DECLINED or RETURNED. PAID
is not the end: a payout can come back later. What others call UNCLAIMED is PENDING here.

Errors are {error: {code, message, field?}}. An unknown record is a 404 with PAYMENT_NOT_FOUND or
PAYOUT_NOT_FOUND; any other 404 is a wrong address and says nothing about the record.

Scripts. `kind` is payment or payout; `call` is submit (the POST, by default) or find (the GET);
`match` names one reference (payments) or one destination (payouts), or is {} for every call. Each
matching call uses up one step, oldest first; without one left, calls are plain again. A step is
{action, ...}:

    pay                                  paid at once
    decline {reason?}                    declined at once
    pending_then_pay {after_ms | after_lookups}
    pending_then_decline {after_ms | after_lookups, reason?}
    return_after_paying {after_ms | after_lookups}
                                         the old state until a look-up after so many milliseconds,
                                         or after so many look-ups (one) have seen it
    refuse_before {status?}              500 to 599 (503), and nothing is done
    arrive_late {delay_ms}               nothing is known of it until the delay is over
    answer_late {delay_ms}               done at once, answered after the delay
    lose_answer                          done, then the connection is dropped
    duplicated                           arrives twice, as through a proxy that repeats it

Only the last five fit a find. They leave the outcome to the destination: `lose_answer` for
decline@sandbox.example is a decline whose answer is lost.

Magic destinations are scripts without a call. They befall the call that makes the payout:

    decline@sandbox.example     declined, ACCOUNT_CLOSED
    late@sandbox.example        paid at once, answered after a second
    lost@sandbox.example        paid, and the connection is dropped
    pending@sandbox.example     PENDING, and at the first look-up; PAID from the second
    returned@sandbox.example    PAID, and at the first look-up; RETURNED from the second
"""

from giftpay_server.sandbox.app import running_sandbox
from giftpay_server.sandbox.rules import DEDUPE_WINDOW

__all__ = ["DEDUPE_WINDOW", "running_sandbox"]
