"""The wake queue wakes in FIFO order, each waiter once, a few in an iteration of the loop."""

from __future__ import annotations

import asyncio

from giftpay_server.wallet.wake_queue import AT_ONCE, Waiter, WakeQueue


async def test_waiters_are_woken_in_order_and_a_few_in_an_iteration() -> None:
    queue, woken, ended = WakeQueue(), [0], asyncio.Event()
    order: list[int] = []

    async def wait(number: int) -> None:
        waiting: Waiter = asyncio.get_running_loop().create_future()
        queue.wake([waiting, waiting])  # as with new entries while a heartbeat is due
        await waiting
        woken[-1] += 1
        order.append(number)

    async def count() -> None:
        while not ended.is_set():
            woken.append(0)
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.gather(*map(wait, range(10 * AT_ONCE)))
    ended.set()
    await counting
    assert order == list(range(10 * AT_ONCE))
    assert max(woken) <= AT_ONCE


async def test_waiters_that_left_are_skipped() -> None:
    queue, loop = WakeQueue(), asyncio.get_running_loop()
    line = [loop.create_future() for _ in range(3 * AT_ONCE)]
    for waiting in line[:-1]:
        waiting.cancel()
    queue.wake(line)
    await line[-1]
