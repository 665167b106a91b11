"""Why no giftpay server answers: a sentence for each cause, followed by gRPC's details."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import giftpay
import grpc
import pytest
from giftpay.v1 import GetWalletRequest, GetWalletResponse
from giftpay_server.app import Running
from grpc_health.v1 import health, health_pb2

from tests.client.foreign_listeners import (
    Certificate,
    grpc_server,
    http,
    listening,
    mute,
    new_certificate,
)
from tests.client.scripted import ScriptedServer, serving

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return new_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def secure(certificate: Certificate) -> AsyncIterator[str]:
    """The address of a server with TLS."""
    script = ScriptedServer()
    script.script("GetWallet", GetWalletResponse())
    async with serving(script, credentials=certificate.server):
        yield script.address.replace("127.0.0.1", "localhost")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


async def why_not(target: str, **options: Any) -> str:
    """The message of a client that cannot connect."""
    with pytest.raises(giftpay.Unavailable) as unavailable:
        async with giftpay.connect(target, timeout=3, **options):
            pass
    assert unavailable.value.message.startswith(f"No giftpay server answers at {target}: ")
    return unavailable.value.message


async def test_nobody_listens() -> None:
    said = await why_not("127.0.0.1:1")
    assert "nothing listens there. (UNAVAILABLE: " in said
    assert said.endswith("Connection refused)")


async def test_an_unknown_host() -> None:
    assert "its name is not known" in await why_not("giftpay.invalid:50051")


async def test_a_missing_socket(tmp_path: Path) -> None:
    assert "there is no such socket" in await why_not(f"unix:{tmp_path}/none.sock")


async def test_a_silent_listener() -> None:
    async with listening(mute) as port:
        assert "does not speak gRPC" in await why_not(f"127.0.0.1:{port}")


async def test_an_http_1_server() -> None:
    async with listening(http("400 Bad Request")) as port:
        assert "an HTTP/1 server is there" in await why_not(f"127.0.0.1:{port}")


async def test_a_client_with_tls_connects_to_a_server_with_tls(
    secure: str, certificate: Certificate
) -> None:
    async with giftpay.connect(secure, credentials=certificate.trust) as client:
        await client.wallets.GetWallet(GetWalletRequest())


async def test_tls_against_a_plain_port(server: Running, certificate: Certificate) -> None:
    said = await why_not(server.address, credentials=certificate.trust)
    assert "it does not speak TLS, and the client has credentials for TLS" in said


async def test_plain_text_against_a_tls_port(secure: str) -> None:
    assert "as a port for TLS does when it is spoken to in plain text" in await why_not(secure)


async def test_an_untrusted_certificate(secure: str) -> None:
    said = await why_not(secure, credentials=grpc.ssl_channel_credentials())
    assert "its certificate is not one that the credentials trust" in said


async def test_a_certificate_for_another_name(secure: str, certificate: Certificate) -> None:
    target = secure.replace("localhost", "127.0.0.1")
    said = await why_not(target, credentials=certificate.trust)
    assert "its certificate is for another name than the target's" in said


async def test_a_grpc_server_without_giftpay() -> None:
    async with grpc_server() as target:
        said = await why_not(target)
    assert "a gRPC server is there, without giftpay's services" in said


async def test_a_healthy_grpc_server_without_giftpay() -> None:
    healthy = health.aio.HealthServicer()
    await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    handlers = grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health",
        {
            "Check": grpc.unary_unary_rpc_method_handler(
                healthy.Check,
                health_pb2.HealthCheckRequest.FromString,
                health_pb2.HealthCheckResponse.SerializeToString,
            )
        },
    )
    async with grpc_server(handlers) as target:
        assert "a gRPC server is there, without giftpay's" in await why_not(target)


async def test_a_proxy_may_forward_only_giftpays_services() -> None:
    async def refuse(_: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "owner_id")

    rpcs: dict[str, Any] = {"GetWallet": grpc.unary_unary_rpc_method_handler(refuse)}
    handlers = grpc.method_handlers_generic_handler("giftpay.v1.WalletService", rpcs)
    async with grpc_server(handlers) as target, giftpay.connect(target):
        pass


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
async def test_no_proxy_is_used_for_targets_on_this_machine(
    server: Running, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    port = server.address.rpartition(":")[2]
    async with listening(http("403 Forbidden")) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy}")
        for host in ("127.0.0.1", "localhost"):
            async with giftpay.connect(f"{host}:{port}"):
                pass


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
async def test_a_proxy_that_does_not_connect_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    async with listening(http("403 Forbidden")) as proxy:
        monkeypatch.setenv(variable, f"http://name:s3cret@127.0.0.1:{proxy}")
        said = await why_not("giftpay.invalid:50051")
    assert "the HTTP proxy in between does not connect to it" in said
    assert f"The environment names a proxy in {variable}." in said
    assert "s3cret" not in said


async def test_an_unreachable_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert "names a proxy in https_proxy" in await why_not("giftpay.invalid:50051")
