"""Where the sandbox listens."""

import socket

from giftpay_server.sandbox import running_sandbox


async def test_the_first_port_that_is_free_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        async with running_sandbox(ports=(taken, 0)) as url:
            assert url.startswith("http://127.0.0.1:")
            assert not url.endswith(f":{taken}")
    async with running_sandbox(ports=(taken, 0)) as url:
        assert url == f"http://127.0.0.1:{taken}"
