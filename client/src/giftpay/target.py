"""Checks a client's target, and whether it is on this machine."""

import re
from ipaddress import ip_address

DEFAULT_TARGET = "localhost:50051"
FORMS = 'host:port such as "localhost:50051", [::1]:50051 or unix:/path'

PORT = re.compile(r"[0-9]{1,5}")
NAMED = ("dns", "ipv4", "ipv6")
PATHS = ("unix", "unix-abstract")


def checked_target(target: str, named: str = "The target") -> str:
    """The target; raises ValueError, with the cause, if it is malformed."""
    if not isinstance(target, str):
        raise TypeError(f"{named} must be a text: {FORMS}, not {target!r}.")
    if wrong := _wrong(target):
        raise ValueError(f"{named} {target!r} {wrong}; it must be {FORMS}.")
    return target


def is_on_this_machine(target: str) -> bool:
    """Whether a connection to it stays on this machine, and so uses no proxy."""
    scheme, rest = _parts(target)
    if scheme in PATHS:
        return True
    host = rest.rpartition(":")[0].strip("[]").lower()
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _parts(target: str) -> tuple[str, str]:
    """The scheme, "dns" if there is none, and the address."""
    scheme, _, rest = target.partition(":")
    if scheme not in NAMED + PATHS:
        return (scheme, rest) if rest.startswith("//") else ("dns", target)
    if rest.startswith("//"):  # an authority, such as the name server to ask
        rest = rest[2:].partition("/")[2]
    return scheme, rest


def _wrong(target: str) -> str:
    if not target:
        return "is empty"
    if not target.isprintable() or " " in target:
        return "has a space or a sign that is not printable in it"
    scheme, address = _parts(target)
    if scheme in PATHS:
        return "" if address else "names no path"
    if scheme not in NAMED:
        return f"begins with {scheme}://, which is not for gRPC"
    return next(filter(None, map(_wrong_address, address.split(","))), "")


def _wrong_address(address: str) -> str:
    if "/" in address or "@" in address or "?" in address:
        return "has more than a host and a port"
    host, colon, port = address.rpartition(":")
    if not colon:
        return "names no port"
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return "is an IPv6 address without brackets"
    if not host.strip("[]"):
        return "names no host"
    if not PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        return f"has the port {port!r}, which is not one of 1 to 65535"
    return ""
