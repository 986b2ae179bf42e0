"""The types of single values in the inventory: how each is read, refused and described to an editor."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
ADDRESS_PATTERN = rf"^({_OCTET}\.){{3}}{_OCTET}$"
CIDR_PATTERN = rf"^({_OCTET}\.){{3}}{_OCTET}/(3[0-2]|[12]?[0-9])$"
# RFC 1123 label, as Kubernetes uses it for names.
LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# RFC 1123 subdomain: labels with dots between them.
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
# IFNAMSIZ is 16 with the final NUL (linux/if.h).
# The names that tunnelfleet, Cilium and the kernel use themselves are no node's interface.
_INTERFACE = re.compile(r"(?!(lo|all|default|ss0|ipsec[0-9]*|cilium_.*|lxc.*)$)[A-Za-z0-9][A-Za-z0-9._-]{0,14}")


def problem(message: str, hint: str) -> PydanticCustomError:
    """What a validator raises: the message and, kept apart, what to write instead."""
    return PydanticCustomError("tunnelfleet", "{message}", {"message": message, "hint": hint})


def shown(value: Any) -> str:
    """A value as a message quotes it: short, in the words of YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    text = str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _is_ipv6(text: str) -> bool:
    return ":" in text and re.fullmatch(r"[0-9A-Fa-f:.]+(%\w+)?(/\d+)?", text) is not None


def _text(value: Any, wanted: str, example: str) -> str:
    if not isinstance(value, str):
        raise problem(f"expected {wanted}, found {shown(value)}", f"write it like {example}")
    if _is_ipv6(value):
        raise problem(
            f"expected {wanted}, found the IPv6 {shown(value)}",
            f"tunnelfleet carries IPv4 only: write {wanted}, like {example}",
        )
    return value


def read_address(value: Any) -> IPv4Address:
    """An IPv4 address from its dotted text."""
    text = _text(value, "an IPv4 address", "192.0.2.10")
    if "/" in text:
        raise problem(
            f"expected an IPv4 address, found the range {shown(text)}",
            f"write {text.split('/')[0]}",
        )
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise problem(f"expected an IPv4 address, found {shown(text)}", _address_hint(text)) from error


def read_cidr(value: Any) -> IPv4Interface:
    """An IPv4 range from address/length; host bits are kept, so that a policy can point at them."""
    text = _text(value, "an IPv4 range", "10.0.0.0/16")
    address, slash, length = text.partition("/")
    if not slash:
        raise problem(
            f"expected an IPv4 range, found {shown(text)} without a length",
            f"write {text}/32 for one address",
        )
    try:
        if not re.fullmatch(r"[0-9]{1,2}", length):
            raise NetmaskValueError(length)
        return IPv4Interface(text)
    except NetmaskValueError as error:
        raise problem(f"expected a length of 0 to 32, found {shown(length)}", _length_hint(text, address)) from error
    except AddressValueError as error:
        raise problem(f"expected an IPv4 range, found {shown(text)}", _address_hint(address)) from error


def _length_hint(text: str, address: str) -> str:
    try:
        return f"write {IPv4Interface(text)}"
    except ValueError:
        return f"write {address}/24, for example"


def read_identity(text: str) -> str:
    """An IKE identity; one that strongSwan would take for any identity is none (identification_create_from_string)."""
    if text in ("0.0.0.0", "0.0.0.0/0"):
        raise problem(
            f"expected an identity, found {shown(text)}, which stands for any", "write the name or the address"
        )
    return text


def _address_hint(text: str) -> str:
    octets = text.split(".")
    if len(octets) == 4 and all(octet.isdigit() for octet in octets):
        if any(int(octet) > 255 for octet in octets):
            wrong = next(octet for octet in octets if int(octet) > 255)
            return f"{wrong} is more than 255"
        return "write it without leading zeros: " + ".".join(str(int(octet)) for octet in octets)
    return "write four numbers of 0 to 255 with dots between them, like 192.0.2.10"


def _matching(pattern: re.Pattern[str], wanted: str, hint: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise problem(f"expected {wanted}, found {shown(value)}", hint)
        return value

    return read


def _string_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Address = Annotated[
    IPv4Address,
    BeforeValidator(read_address),
    PlainSerializer(str),
    _string_schema(ADDRESS_PATTERN, "192.0.2.10"),
]
Cidr = Annotated[
    IPv4Interface,
    BeforeValidator(read_cidr),
    PlainSerializer(str),
    _string_schema(CIDR_PATTERN, "10.0.0.0/16"),
]


def read_duration(value: Any) -> str:
    """A duration of a minute to a day in Go's notation (time.ParseDuration), as Flux takes it."""
    hint = "write it like 10m or 1h30m"
    text = _matching(_DURATION, "a duration", hint)(value)
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 60 <= seconds <= 86400:
        raise problem(f"expected a duration of 1m to 24h, found {shown(text)}", hint)
    return text


Duration = Annotated[
    str,
    BeforeValidator(read_duration),
    _string_schema(f"^{_DURATION.pattern}$", "10m"),
]
InterfaceName = Annotated[
    str,
    BeforeValidator(
        _matching(
            _INTERFACE,
            "a network interface's name",
            "at most 15 letters, digits, dots and dashes, like ens3",
        )
    ),
    _string_schema(f"^{_INTERFACE.pattern}$", "ens3"),
]
# The rules of names and of AS numbers are policies; the schema shows them to an editor all the same.
Name = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"pattern": LABEL_PATTERN, "maxLength": 63}),
]
Subdomain = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"pattern": SUBDOMAIN_PATTERN, "maxLength": 253}),
]
AsNumber = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 4294967295})]
