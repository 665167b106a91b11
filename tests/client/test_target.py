"""Which targets are valid, and the errors of others, raised before connecting."""

import giftpay
import pytest
from giftpay.target import is_on_this_machine


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("", "is empty"),
        ("localhost", "names no port"),
        (":50051", "names no host"),
        ("localhost:", "has the port ''"),
        ("localhost:0", "has the port '0'"),
        ("localhost:99999", "has the port '99999'"),
        ("localhost:http", "has the port 'http'"),
        ("localhost:-1", "has the port '-1'"),
        ("local host:50051", "has a space"),
        (" localhost:50051", "has a space"),
        ("localhost:50051\n", "has a space or a sign that is not printable"),
        ("::1:50051", "is an IPv6 address without brackets"),
        ("http://localhost:50051", "begins with http://"),
        ("https://localhost:50051/", "begins with https://"),
        ("grpc://localhost:50051", "begins with grpc://"),
        ("localhost:50051/v1", "has more than a host and a port"),
        ("user@localhost:50051", "has more than a host and a port"),
        ("dns:///localhost", "names no port"),
        ("unix:", "names no path"),
    ],
)
def test_an_invalid_target_is_refused_with_the_cause(target: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="must be host:port") as mistake:
        giftpay.connect(target)
    assert complaint in str(mistake.value)


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "gifts.example.com:443",
        "10.0.0.7:50051",
        "[::1]:50051",
        "dns:///gifts.example.com:443",
        "dns://8.8.8.8/gifts.example.com:443",
        "ipv4:10.0.0.7:50051,10.0.0.8:50051",
        "ipv6:[::1]:50051",
        "unix:/run/giftpay.sock",
        "unix:///run/giftpay.sock",
        "unix-abstract:giftpay",
    ],
)
def test_every_form_of_a_target_is_accepted(target: str) -> None:
    giftpay.connect(target)


def test_an_error_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTPAY_TARGET", "http://localhost:50051")
    with pytest.raises(ValueError, match="GIFTPAY_TARGET 'http://localhost:50051' begins with"):
        giftpay.connect()


def test_a_target_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="The target must be a text"):
        giftpay.connect(50051)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "here"),
    [
        ("localhost:1", True),
        ("LOCALHOST:1", True),
        ("127.0.0.1:1", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", True),
        ("ipv4:127.0.0.1:1", True),
        ("dns:///localhost:1", True),
        ("unix:/run/giftpay.sock", True),
        ("10.0.0.7:1", False),
        ("gifts.example.com:443", False),
        ("localhost.example.com:443", False),
    ],
)
def test_which_targets_are_on_this_machine(target: str, here: bool) -> None:
    assert is_on_this_machine(target) is here
