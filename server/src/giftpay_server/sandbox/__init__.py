"""A fake payment provider and payout provider, over real HTTP.

It behaves as real providers document, stores its payments and payouts, and can be scripted to fail
as they do. It knows nothing of giftpay. All bodies are JSON, amounts are whole minor units.
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
second payment or payout; with other contents it is refused (409). References never expire. A
payout's key expires after the dedupe window (30 days from its first use, a setting): then it pays
again, as it would at a real provider. The field `submits` of a payout counts its requests.

A payment is PENDING, PAID, DECLINED or REFUNDED, a payout PENDING, PAID, DECLINED or RETURNED. PAID
is not the end: a payout can come back later. What others call UNCLAIMED is PENDING here.

Errors are {error: {code, message, field?}}. An unknown record is a 404 with PAYMENT_NOT_FOUND or
PAYOUT_NOT_FOUND; any other 404 means a wrong address and says nothing about the record.

Scripts. `kind` is payment or payout; `call` is submit (the POST, by default) or find (the GET).
`match` is an object: {reference} for one payment, {destination} for payouts to one destination, {}
for every call. Each matching call uses up one step, oldest first; when none is left, calls are
normal again. A step is {action, ...}:

    pay                                  paid at once
    decline {reason?}                    declined at once
    pending_then_pay {after_ms | after_lookups}
    pending_then_decline {after_ms | after_lookups, reason?}
    return_after_paying {after_ms | after_lookups}
                                         the state changes at the first look-up after so many
                                         milliseconds, or after so many look-ups (default 1)
    refuse_before {status?}              500 to 599 (503), and nothing is done
    arrive_late {delay_ms}               the request arrives after the delay
    answer_late {delay_ms}               done at once, answered after the delay
    lose_answer                          done, then the connection is dropped
    duplicated                           arrives twice, as through a proxy that repeats it

A find allows only the last five. They leave the result to the destination: `lose_answer` for
decline@sandbox.example is a decline whose answer is lost.

Magic destinations need no script. They apply to the call that makes the payout:

    decline@sandbox.example     declined, ACCOUNT_CLOSED
    late@sandbox.example        paid at once, answered after a second
    lost@sandbox.example        paid, and the connection is dropped
    pending@sandbox.example     PENDING, and at the first look-up; PAID from the second
    returned@sandbox.example    PAID, and at the first look-up; RETURNED from the second
"""

from giftpay_server.sandbox.app import running_sandbox
from giftpay_server.sandbox.rules import DEDUPE_WINDOW
from giftpay_server.sandbox.store import BookError

__all__ = ["DEDUPE_WINDOW", "BookError", "running_sandbox"]
