"""The demo plays to its end, and its books balance."""

from __future__ import annotations

import asyncio
import os
import re
import sys

PATIENCE_S = 120  # for some ten seconds of work on a busy machine


async def test_the_demo_ends_with_books_that_balance() -> None:
    ours = {name: text for name, text in os.environ.items() if not name.startswith("GIFTPAY_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "giftpay_server.demo"),
        env=ours,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, err.decode()
    assert re.findall(r"^ +total +(\S+)$", out.decode(), re.MULTILINE) == ["0", "0"]
    assert "every check held" in out.decode()
