"""Settings as fields of a dataclass: reads, writes and lists all of them from the fields.

To add one, add one line to `Config` or `Limits` in config.py, with its default, its form, and a
sentence about it, then run `make proto`:

    reads_max: int = setting(64, whole(1, 1_000, "reads"), "Reads in flight in one process.")

Its variable is GIFTPAY_READS_MAX. From the field are made: the value read from the environment, the
environment of the workers, the list of `giftpay-server --help`, and the table in
docs/configuration.md.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PREFIX = "GIFTPAY_"
SHOWN_MAX = 60  # characters of an invalid value

# The variables that Kubernetes sets for a Service named giftpay or giftpay-*, such as
# GIFTPAY_SERVICE_HOST and GIFTPAY_PORT=tcp://10.0.0.1:50051.
SERVICE_LINK = re.compile(
    r"GIFTPAY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))=.*"
    r"|GIFTPAY_(\w+_)?PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*",
    re.DOTALL,
)


class ConfigError(Exception):
    """A setting is invalid; the message says what it must be."""


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """The form of a setting's text; `parse` raises ValueError unless the text is `allowed`."""

    allowed: str
    parse: Callable[[str], T]
    write: Callable[[T], str] = str
    is_secret: bool = False  # the text may hold a password and is never repeated

    def read(self, name: str, text: str) -> T:
        """The value; raises ConfigError with the name, what it must be, and the text."""
        try:
            return self.parse(text)
        except ValueError:
            shown = "" if self.is_secret else f", not {text[:SHOWN_MAX]!r}"
            raise ConfigError(f"{name} must be {self.allowed}{shown}") from None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: its variable, default, form and description."""

    variable: str
    default: Any
    form: Form[Any]
    sentence: str

    @property
    def default_text(self) -> str:
        """The default as the text of the variable."""
        return self.form.write(self.default)


def setting(default: T, form: Form[T], sentence: str) -> T:
    """The dataclass field of a setting; its variable is GIFTPAY_ and the name in capitals."""
    return field(default=default, metadata={"form": form, "sentence": sentence})


def settings_of(group: Any) -> Iterator[Setting]:
    """The settings of a dataclass and of the groups nested in it."""
    for each in fields(group):
        if (nested := _group(each)) is not None:
            yield from settings_of(nested)
        elif "form" in each.metadata:
            yield Setting(_variable(each), each.default, **each.metadata)


def read_settings(group: type[T], environment: Mapping[str, str]) -> T:
    """Reads a group of settings; an empty or missing variable means the default."""
    values: dict[str, Any] = {}
    for each in fields(group):  # type: ignore[arg-type]
        if (nested := _group(each)) is not None:
            values[each.name] = read_settings(nested, environment)
        elif "form" in each.metadata and (text := environment.get(_variable(each), "").strip()):
            values[each.name] = each.metadata["form"].read(_variable(each), text)
    return group(**values)


def written_settings(values: Any) -> dict[str, str]:
    """The environment that `read_settings` reads as these values."""
    written: dict[str, str] = {}
    for each in fields(values):
        value = getattr(values, each.name)
        if _group(each) is not None:
            written |= written_settings(value)
        elif "form" in each.metadata:
            written[_variable(each)] = each.metadata["form"].write(value)
    return written


def refuse_unknown(environment: Mapping[str, str], known: Collection[str]) -> None:
    """Raises ConfigError for an unknown GIFTPAY_ variable, and suggests the nearest one."""
    for name, text in environment.items():
        if not name.upper().startswith(PREFIX) or name in known:
            continue
        if SERVICE_LINK.fullmatch(f"{name}={text}"):
            continue
        raise ConfigError(f"{name} is no setting{_advice(name, known)}")


def _advice(name: str, known: Collection[str]) -> str:
    # Without the prefix, which makes any two similar.
    names = [each.removeprefix(PREFIX) for each in known]
    nearest = difflib.get_close_matches(name.upper().removeprefix(PREFIX), names, n=1)
    return f"; did you mean {PREFIX}{nearest[0]}?" if nearest else ": see giftpay-server --help"


def _group(each: Field[Any]) -> type[Any] | None:
    made = each.default_factory
    return made if isinstance(made, type) and is_dataclass(made) else None


def _variable(each: Field[Any]) -> str:
    return variable_of(each.name)


def variable_of(name: str) -> str:
    """The variable that sets a field."""
    return f"{PREFIX}{name.upper()}"
