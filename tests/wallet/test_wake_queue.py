"""WakeQueue: a few in a turn of the loop, each once, who came first first."""

from __future__ import annotations

import asyncio

from giftpay_server.wallet.wake_queue import AT_ONCE, Waiter, WakeQueue


async def test_who_waits_goes_on_in_order_and_a_few_in_a_turn_of_the_loop() -> None:
    turns, went_on, ended = WakeQueue(), [0], asyncio.Event()
    order: list[int] = []

    async def wait(number: int) -> None:
        waiting: Waiter = asyncio.get_running_loop().create_future()
        turns.wake([waiting, waiting])  # as who has news while a heartbeat is due
        await waiting
        went_on[-1] += 1
        order.append(number)

    async def count() -> None:
        while not ended.is_set():
            went_on.append(0)
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.gather(*map(wait, range(10 * AT_ONCE)))
    ended.set()
    await counting
    assert order == list(range(10 * AT_ONCE))
    assert max(went_on) <= AT_ONCE


async def test_who_left_the_line_takes_no_turn() -> None:
    turns, loop = WakeQueue(), asyncio.get_running_loop()
    line = [loop.create_future() for _ in range(3 * AT_ONCE)]
    for waiting in line[:-1]:
        waiting.cancel()
    turns.wake(line)
    await line[-1]
