"""An HTTP client for providers: JSON, with time-outs and without redirects."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

NO_CONNECTION = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
NO_ANSWER = (aiohttp.ClientError, TimeoutError, ValueError, RecursionError)


class ProviderUnavailable(Exception):
    """The provider gave no usable answer, and this call has moved no money."""


class AnswerLost(Exception):
    """No answer to an order, which may have reached the provider and been paid."""


class ProviderHttp:
    """The client of one provider; `timeout_s` bounds a call, half of it connecting."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, *, timeout_s: float) -> None:
        self._session = session
        self._base_url = base_url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s / 2)

    async def get(self, collection: str, name: str) -> tuple[int, Any]:
        """The status and answer to a look-up. Raises `ProviderUnavailable`."""
        try:
            # The name is user input: quoted, it cannot name another route.
            return await self._ask("GET", f"{collection}/{quote(name, safe='')}")
        except NO_ANSWER as error:
            raise ProviderUnavailable(f"no answer: {type(error).__name__}") from error

    async def post(self, collection: str, order: Any, *, key: str) -> tuple[int, Any]:
        """The status and answer to an order. Raises `ProviderUnavailable` if it was not sent."""
        try:
            headers = {"Idempotency-Key": key}
            return await self._ask("POST", collection, headers=headers, json=order)
        except NO_CONNECTION as error:
            raise ProviderUnavailable(f"no connection: {type(error).__name__}") from error
        except NO_ANSWER as error:
            raise AnswerLost(f"no answer: {type(error).__name__}") from error

    async def _ask(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        url = URL(f"{self._base_url}/{path}", encoded=True)
        async with self._session.request(
            method, url, timeout=self._timeout, allow_redirects=False, **sent
        ) as response:
            return response.status, json.loads(await response.read())
