"""Reads orders from the sandbox's requests, and writes records and refusals as responses."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from giftpay_server.sandbox.fields import MINOR_UNITS_MAX, Fields, Malformed, text
from giftpay_server.sandbox.rules import Kind, Order, Record

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def payment_order(body: Any) -> Order:
    """Reads a payment; generates a reference if the caller gives none."""
    fields = Fields(body, known=("reference", "currency", "minor_units"))
    return Order(
        kind=Kind.PAYMENT,
        id=fields.text("reference", default=f"pay_{uuid.uuid4().hex}"),
        currency=fields.currency("currency"),
        minor_units=fields.whole("minor_units", low=1, high=MINOR_UNITS_MAX),
    )


def payout_order(key: str | None, body: Any) -> Order:
    """Reads a payout, whose key comes in a header."""
    fields = Fields(body, known=("destination", "currency", "minor_units"))
    return Order(
        kind=Kind.PAYOUT,
        id=text(key, "Idempotency-Key"),
        destination=fields.text("destination"),
        currency=fields.currency("currency"),
        minor_units=fields.whole("minor_units", low=1, high=MINOR_UNITS_MAX),
    )


def view(record: Record) -> dict[str, str | int]:
    """The record as JSON."""
    order = record.order
    shown: dict[str, str | int] = {
        "state": record.state,
        "currency": order.currency,
        "minor_units": order.minor_units,
        "submits": record.submits,
        "create_time": record.create_time.isoformat(),
    }
    if record.reason is not None:
        shown["decline_reason"] = record.reason
    if order.destination is None:
        return {"reference": order.id, **shown}
    return {"key": order.id, "destination": order.destination, **shown}


def answer(record: Record, *, status: int = 200) -> web.Response:
    """The response with a record."""
    return web.json_response(view(record), status=status)


def refusal(status: int, code: str, message: str, field: str | None = None) -> web.Response:
    """The response with an error."""
    error = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    return web.json_response({"error": error}, status=status)


def not_found(kind: Kind) -> web.Response:
    """No record of this kind has that id."""
    return refusal(404, f"{kind.upper()}_NOT_FOUND", f"There is no such {kind}.")


def reused(kind: Kind, field: str) -> web.Response:
    """The id was used for an order that differs in `field`."""
    name = "REFERENCE" if kind is Kind.PAYMENT else "IDEMPOTENCY_KEY"
    return refusal(409, f"{name}_REUSED", f"It was used for a {kind} with other contents.", field)


def not_undoable(record: Record) -> web.Response:
    """There is no money that could go back."""
    kind = record.order.kind
    return refusal(409, f"{kind.upper()}_NOT_PAID", f"The {kind} is {record.state}.")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors of the parsers and the framework into JSON responses."""
    try:
        return await handler(request)
    except Malformed as error:
        return refusal(400, "MALFORMED", error.message, error.field)
    except web.RequestPayloadError:
        return refusal(400, "MALFORMED", "The body is not encoded as its header says.")
    except web.HTTPException as error:
        # The code ROUTE_NOT_FOUND distinguishes an unknown path from an unknown record.
        prefix = "ROUTE_" if error.status == 404 else ""
        code = prefix + error.reason.upper().replace(" ", "_")
        refused = refusal(error.status, code, "The request is refused as a whole.")
        if "Allow" in error.headers:
            refused.headers["Allow"] = error.headers["Allow"]
        return refused
