"""The real command line in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

# A shell in the background leaves SIGINT ignored.
PROGRAM = """
import signal
from giftpay.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@dataclass
class Ended:
    """The exit code and the output of the program."""

    code: int
    stdout: str
    stderr: str


async def start(*line: str | bytes, **options: Any) -> asyncio.subprocess.Process:
    """Starts the program with these arguments."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *line, **pipes)


async def end(program: asyncio.subprocess.Process) -> Ended:
    """Waits for the end; fails on a traceback, of the program or of Python's shutdown."""
    stdout, stderr = await asyncio.wait_for(program.communicate(), 30)
    assert program.returncode is not None
    output = [(each or b"").decode("latin-1") for each in (stdout, stderr)]
    ended = Ended(program.returncode, *output)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended
