"""Payments at the sandbox: the calls of a checkout, and the look-ups after them."""

from collections.abc import Callable, Coroutine
from typing import Any

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]
New = Callable[[str], str]

EUR_5 = {"currency": "EUR", "minor_units": 500}


async def test_a_payment_is_paid_and_can_be_looked_up(post: Wire, get: Wire, new: New) -> None:
    reference = new("payment")
    status, made = await post("/payments", {"reference": reference, **EUR_5})
    assert status == 201
    assert made.items() >= {"reference": reference, "state": "PAID", **EUR_5}.items()
    assert await get(f"/payments/{reference}") == (200, made)


async def test_a_payment_without_a_reference_is_given_one_of_its_own(post: Wire, get: Wire) -> None:
    _, first = await post("/payments", EUR_5)
    _, second = await post("/payments", EUR_5)
    assert first["reference"] != second["reference"]
    assert await get(f"/payments/{first['reference']}") == (200, first)


async def test_the_same_payment_again_is_a_replay(post: Wire, new: New) -> None:
    payment = {"reference": new("payment"), **EUR_5}
    assert (await post("/payments", payment))[0] == 201
    status, again = await post("/payments", payment)
    assert (status, again["state"], again["submits"]) == (200, "PAID", 2)


async def test_a_reference_cannot_be_used_for_another_payment(
    post: Wire, get: Wire, new: New
) -> None:
    payment = {"reference": new("payment"), **EUR_5}
    await post("/payments", payment)
    status, refused = await post("/payments", {**payment, "minor_units": 501})
    assert status == 409
    assert refused["error"]["code"] == "REFERENCE_REUSED"
    assert refused["error"]["field"] == "minor_units"
    status, refused = await post("/payments", {**payment, "currency": "USD"})
    assert (status, refused["error"]["field"]) == (409, "currency")
    _, found = await get(f"/payments/{payment['reference']}")
    assert found.items() >= {"submits": 1, **EUR_5}.items()


async def test_an_unknown_payment_is_not_found(get: Wire) -> None:
    status, refused = await get("/payments/nobody-paid-this")
    assert (status, refused["error"]["code"]) == (404, "PAYMENT_NOT_FOUND")


async def test_a_paid_payment_can_be_refunded_once_and_for_all(
    post: Wire, get: Wire, new: New
) -> None:
    reference = new("payment")
    await post("/payments", {"reference": reference, **EUR_5})
    for _ in range(2):
        status, refunded = await post(f"/payments/{reference}/refund")
        assert (status, refunded["state"]) == (200, "REFUNDED")
    assert await get(f"/payments/{reference}") == (200, refunded)


async def test_what_was_not_paid_cannot_be_refunded(post: Wire, script: Any, new: New) -> None:
    reference = new("payment")
    assert (await post(f"/payments/{reference}/refund"))[0] == 404
    await script({"action": "decline"}, reference=reference)
    await post("/payments", {"reference": reference, **EUR_5})
    status, refused = await post(f"/payments/{reference}/refund")
    assert (status, refused["error"]["code"]) == (409, "PAYMENT_NOT_PAID")


async def test_health_is_serving(get: Wire) -> None:
    assert await get("/health") == (200, {"status": "SERVING"})
