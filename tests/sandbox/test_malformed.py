"""The sandbox refuses any malformed request with the name of the field, and never fails."""

import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from giftpay_server.sandbox import scripts
from giftpay_server.sandbox.fields import Malformed, parsed
from giftpay_server.sandbox.messages import payment_order, payout_order
from hypothesis import given, settings
from hypothesis import strategies as st

Wire = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]

PAYMENT = {"currency": "EUR", "minor_units": 500}
PAYOUT = {"destination": "mia@example.org", **PAYMENT}
SCRIPT = {"kind": "payout", "match": {}, "steps": [{"action": "pay"}]}

WRONG_VALUES = [
    ("minor_units", 0),
    ("minor_units", -1),
    ("minor_units", 1.0),
    ("minor_units", "500"),
    ("minor_units", True),
    ("minor_units", None),
    ("minor_units", 2**63),
    ("currency", "eur"),
    ("currency", "EURO"),
    ("currency", "EUR\n"),
    ("currency", 978),
    ("currency", None),
    ("surprise", 1),
]
WRONG_TEXTS = ["", "x" * 257, "a\nb", "a\x00b", "\ud800", 7, None, ["a"]]

WRONG_SCRIPTS = [
    ({"kind": "refund"}, "kind"),
    ({"kind": []}, "kind"),
    ({"call": "list"}, "call"),
    ({"match": "mia"}, "match"),
    ({"match": {"reference": "a payment's"}}, "reference"),
    ({"match": {"destination": 7}}, "destination"),
    ({"steps": []}, "steps"),
    ({"steps": {"action": "pay"}}, "steps"),
    ({"steps": ["pay"]}, "steps"),
    ({"steps": [{}]}, "action"),
    ({"steps": [{"action": "explode"}]}, "action"),
    ({"steps": [{"action": ["pay"]}]}, "action"),
    ({"steps": [{"action": "pay", "reason": "x"}]}, "reason"),
    ({"steps": [{"action": "decline", "reason": ""}]}, "reason"),
    ({"steps": [{"action": "answer_late"}]}, "delay_ms"),
    ({"steps": [{"action": "arrive_late", "delay_ms": 60_001}]}, "delay_ms"),
    ({"steps": [{"action": "refuse_before", "status": 404}]}, "status"),
    ({"steps": [{"action": "pending_then_pay", "after_ms": -1}]}, "after_ms"),
    ({"steps": [{"action": "pending_then_pay", "after_ms": 1, "after_lookups": 1}]}, "after_ms"),
    ({"call": "find", "steps": [{"action": "decline"}]}, "steps"),
    ({"kind": "payment", "steps": [{"action": "return_after_paying"}]}, "steps"),
]


def assert_malformed(answer: tuple[int, Any], field: str | None) -> None:
    status, refused = answer
    assert status == 400
    assert refused["error"]["code"] == "MALFORMED"
    assert refused["error"]["message"]
    assert refused["error"].get("field") == field


@pytest.mark.parametrize(("field", "value"), WRONG_VALUES)
async def test_a_wrong_value_is_named(post: Wire, field: str, value: Any) -> None:
    assert_malformed(await post("/payments", {**PAYMENT, field: value}), field)
    assert_malformed(await post("/payouts", {**PAYOUT, field: value}, key="key"), field)


@pytest.mark.parametrize("value", WRONG_TEXTS)
async def test_a_text_is_1_to_256_printable_characters(post: Wire, value: Any) -> None:
    assert_malformed(await post("/payments", {**PAYMENT, "reference": value}), "reference")
    wrong = {**PAYOUT, "destination": value}
    assert_malformed(await post("/payouts", wrong, key="key"), "destination")


@pytest.mark.parametrize("field", ["destination", "currency", "minor_units"])
async def test_an_absent_field_is_named(post: Wire, field: str) -> None:
    incomplete = {name: value for name, value in PAYOUT.items() if name != field}
    assert_malformed(await post("/payouts", incomplete, key="key"), field)


@pytest.mark.parametrize("key", [None, "", "x" * 257])
async def test_a_payout_needs_its_key(post: Wire, key: str | None) -> None:
    assert_malformed(await post("/payouts", PAYOUT, key=key), "Idempotency-Key")


@pytest.mark.parametrize(("change", "field"), WRONG_SCRIPTS)
async def test_a_script_that_could_not_be_played_is_refused(
    post: Wire, change: dict[str, Any], field: str
) -> None:
    assert_malformed(await post("/scripts", {**SCRIPT, **change}), field)


@pytest.mark.parametrize("path", ["/payments", "/payouts", "/scripts"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b"[" * 100_000, b"9" * 5_000]
)
async def test_a_body_that_is_no_json_object_is_refused(
    session: aiohttp.ClientSession, sandbox: str, path: str, body: bytes
) -> None:
    async with session.post(
        sandbox + path, data=body, headers={"Idempotency-Key": "key"}
    ) as response:
        assert_malformed((response.status, await response.json()), None)


async def test_a_body_with_a_wrong_encoding_is_refused(
    session: aiohttp.ClientSession, sandbox: str
) -> None:
    headers = {"Content-Encoding": "gzip"}
    async with session.post(sandbox + "/payments", data=b"not gzip", headers=headers) as response:
        assert_malformed((response.status, await response.json()), None)


async def test_a_body_that_is_too_large_is_refused(
    session: aiohttp.ClientSession, sandbox: str
) -> None:
    async with session.post(sandbox + "/payments", data=b" " * 300_000) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == "REQUEST_ENTITY_TOO_LARGE"


async def test_an_unknown_route_is_not_an_answer_about_a_record(
    session: aiohttp.ClientSession, sandbox: str
) -> None:
    async with session.get(sandbox + "/v2/payments/1") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "ROUTE_NOT_FOUND"
    async with session.delete(sandbox + "/payouts/key") as response:
        assert response.status == 405
        assert (await response.json())["error"]["code"] == "METHOD_NOT_ALLOWED"
        assert "GET" in response.headers["Allow"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NEARLY_A_SCRIPT = st.fixed_dictionaries(
    {"kind": st.sampled_from(["payment", "payout"]) | JSON},
    optional={
        "call": st.sampled_from(["submit", "find"]) | JSON,
        "match": st.dictionaries(st.sampled_from(["reference", "destination"]), JSON) | JSON,
        "steps": st.lists(
            st.fixed_dictionaries(
                {"action": st.sampled_from(list(scripts.ACTIONS))},
                optional={
                    "reason": JSON,
                    "status": st.integers(490, 610),
                    "delay_ms": st.integers(-1, 70_000),
                    "after_ms": st.integers(),
                    "after_lookups": st.integers(),
                },
            ),
            max_size=3,
        )
        | JSON,
    },
)


@settings(deadline=None, max_examples=50)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_order_or_malformed(body: bytes) -> None:
    for read in (payment_order, lambda value: payout_order("key", value), scripts.script):
        with suppress(Malformed):
            read(parsed(body))


@settings(deadline=None, max_examples=50)
@given(JSON | NEARLY_A_SCRIPT)
def test_a_script_that_is_accepted_can_be_played(value: Any) -> None:
    try:
        script = scripts.script(value)
    except Malformed:
        return
    for step in json.loads(json.dumps(script.steps)):
        scripts.step(step)
