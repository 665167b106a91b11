"""Checks of a request before it is sent: its type and its size."""

from google.protobuf.message import Message

from giftpay.errors import Keys, RequestTooLarge
from giftpay.limits import REQUEST_MAX_BYTES


def check_type(request: object, wanted: type[Message], rpc: str) -> None:
    """Raise TypeError for another type of request: the server might parse its bytes as this one."""
    if type(request) is not wanted:
        kind = type(request)
        got = request.DESCRIPTOR.full_name if isinstance(request, Message) else kind.__name__
        raise TypeError(f"{rpc} takes a {wanted.DESCRIPTOR.full_name}, not a {got}.")


def check_size(size: int, keys: Keys | None) -> None:
    """Raise RequestTooLarge for a message that is larger than the server accepts."""
    if size > REQUEST_MAX_BYTES:
        raise RequestTooLarge.of(size, REQUEST_MAX_BYTES, keys or ())
