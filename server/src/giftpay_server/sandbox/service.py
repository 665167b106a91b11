"""The sandbox's HTTP handlers. The package's docstring documents the routes."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from giftpay_server.sandbox import messages, rules, scripts
from giftpay_server.sandbox.fields import parsed
from giftpay_server.sandbox.rules import Kind, Order, Record
from giftpay_server.sandbox.scripts import CallKind, Step
from giftpay_server.sandbox.store import Book

BODY_BYTES_MAX = 256 * 1024

ID = r"{id:[^/]+}"  # of any characters; a bare {id} has neither { nor }


class Sandbox:
    """The two providers over one book; `clock` is the provider's own, not its callers'."""

    def __init__(
        self, book: Book, *, dedupe_window: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._book = book
        self._dedupe_window = dedupe_window
        self._clock = clock

    def application(self) -> web.Application:
        """The web application with its routes."""
        application = web.Application(
            middlewares=[messages.errors_as_json], client_max_size=BODY_BYTES_MAX
        )
        application.add_routes(
            [
                web.get("/health", self.health),
                web.post("/payments", self.create_payment),
                web.get(f"/payments/{ID}", self.find_payment),
                web.post(f"/payments/{ID}/refund", self.refund_payment),
                web.post("/payouts", self.create_payout),
                web.get("/payouts", self.list_payouts),
                web.get(f"/payouts/{ID}", self.find_payout),
                web.post(f"/payouts/{ID}/return", self.return_payout),
                web.post("/scripts", self.create_script),
            ]
        )
        return application

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "SERVING"})

    async def create_payment(self, request: web.Request) -> web.Response:
        return await self._submit(request, messages.payment_order(parsed(await request.read())))

    async def create_payout(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key")
        return await self._submit(request, messages.payout_order(key, parsed(await request.read())))

    async def find_payment(self, request: web.Request) -> web.Response:
        reference = request.match_info["id"]
        return await self._find(request, Kind.PAYMENT, match=reference)

    async def find_payout(self, request: web.Request) -> web.Response:
        record = self._book.newest(Kind.PAYOUT, request.match_info["id"])
        match = record.order.destination if record else None
        return await self._find(request, Kind.PAYOUT, match=match)

    async def list_payouts(self, _: web.Request) -> web.Response:
        payouts = [messages.view(record) for record in self._book.all(Kind.PAYOUT)]
        return web.json_response({"payouts": payouts})

    async def refund_payment(self, request: web.Request) -> web.Response:
        return self._undone(Kind.PAYMENT, request.match_info["id"])

    async def return_payout(self, request: web.Request) -> web.Response:
        return self._undone(Kind.PAYOUT, request.match_info["id"])

    async def create_script(self, request: web.Request) -> web.Response:
        script = scripts.script(parsed(await request.read()))
        self._book.add_script(script)
        return web.json_response({"steps": len(script.steps)}, status=201)

    async def _submit(self, request: web.Request, order: Order) -> web.Response:
        match = order.destination if order.kind is Kind.PAYOUT else order.id
        step = scripts.resolved(
            self._step(order.kind, CallKind.SUBMIT, match),
            destination=order.destination,
            fresh=self._remembered(order) is None,
        )
        return await play(step, request, lambda: self._submitted(order, step))

    async def _find(self, request: web.Request, kind: Kind, *, match: str | None) -> web.Response:
        step = self._step(kind, CallKind.FIND, match) or scripts.PLAIN
        return await play(step, request, lambda: self._found(kind, request.match_info["id"]))

    def _step(self, kind: Kind, call: CallKind, match: str | None) -> Step | None:
        taken = self._book.take_step(kind, call, match)
        return None if taken is None else scripts.step(taken)

    def _remembered(self, order: Order) -> Record | None:
        """The record with this order's id, unless the id has expired."""
        record = self._book.newest(order.kind, order.id)
        if record is None:
            return None
        now, window = self._clock(), self._dedupe_window
        return record if rules.deduplicates(record, now=now, window=window) else None

    def _submitted(self, order: Order, step: Step) -> web.Response:
        record = self._remembered(order)
        if record is None:
            record = rules.opened(order, step.lifecycle or rules.Lifecycle(), now=self._clock())
            self._book.add(record)
            return messages.answer(record, status=201)
        field = rules.differing_field(record.order, order)
        if field is not None:
            return messages.reused(order.kind, field)
        return self._look_up(rules.submitted_again(record))

    def _found(self, kind: Kind, id: str) -> web.Response:
        record = self._book.newest(kind, id)
        return messages.not_found(kind) if record is None else self._look_up(record)

    def _look_up(self, record: Record) -> web.Response:
        record = rules.looked_up(record, now=self._clock())
        self._book.change(record)
        return messages.answer(record)

    def _undone(self, kind: Kind, id: str) -> web.Response:
        record = self._book.newest(kind, id)
        if record is None:
            return messages.not_found(kind)
        after = rules.undone(record)
        if after is None:
            return messages.not_undoable(record)
        self._book.change(after)
        return messages.answer(after)


async def play(step: Step, request: web.Request, act: Callable[[], web.Response]) -> web.Response:
    """Performs the call, `act`, with the behaviour of the step."""
    if step.refuse_status is not None:
        return messages.refusal(step.refuse_status, "UNAVAILABLE", "Nothing was done, as scripted.")
    await asyncio.sleep(step.arrive_late.total_seconds())
    for _ in range(step.arrivals):
        answer = act()
    await asyncio.sleep(step.answer_late.total_seconds())
    if step.lose_answer and request.transport is not None:
        request.transport.abort()
    return answer
