"""charon's control interface: messages and packets of the VICI protocol (libcharon/plugins/vici/README.md)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

SOCKET = Path("/run/charon.vici")
SECONDS = 5.0
"""How long charon may take for one answer: it can be alive while VICI hangs (strongSwan issue 566)."""

Message = dict[str, Any]
"""A section: each value is text, a list of texts, or another section."""


class ViciError(Exception):
    """charon does not answer, or answers nonsense."""


class RefusedError(Exception):
    """charon answered that it does not carry out a command."""


class Element(IntEnum):
    """What the next bytes of a message are."""

    SECTION_START = 1
    SECTION_END = 2
    KEY_VALUE = 3
    LIST_START = 4
    LIST_ITEM = 5
    LIST_END = 6


class Packet(IntEnum):
    """What a packet is."""

    COMMAND = 0
    RESPONSE = 1
    COMMAND_UNKNOWN = 2
    REGISTER = 3
    UNREGISTER = 4
    CONFIRM = 5
    EVENT_UNKNOWN = 6
    EVENT = 7


def _name(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded


def _value(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as bytes."""
    parts = bytearray()
    for key, value in message.items():
        if isinstance(value, Mapping):
            parts += bytes([Element.SECTION_START]) + _name(key) + encode(value) + bytes([Element.SECTION_END])
        elif isinstance(value, (list, tuple)):
            parts += bytes([Element.LIST_START]) + _name(key)
            for item in value:
                parts += bytes([Element.LIST_ITEM]) + _value(item)
            parts.append(Element.LIST_END)
        else:
            parts += bytes([Element.KEY_VALUE]) + _name(key) + _value(value)
    return bytes(parts)


def decode(content: bytes) -> Message:
    """A message from its bytes. Raises ViciError where they are none."""
    try:
        return _Decoder(content).message()
    except (IndexError, ValueError) as error:
        raise ViciError(f"not a message of VICI: {error}") from error


class _Decoder:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def message(self) -> Message:
        stack: list[Message] = [{}]
        while self.place < len(self.content):
            match Element(self._number(1)):
                case Element.SECTION_START:
                    section: Message = {}
                    stack[-1][self._text(1)] = section
                    stack.append(section)
                case Element.SECTION_END:
                    stack.pop()
                case Element.KEY_VALUE:
                    key = self._text(1)
                    stack[-1][key] = self._text(2)
                case Element.LIST_START:
                    key = self._text(1)
                    stack[-1][key] = self._items()
                case other:
                    raise ValueError(f"{other.name} at byte {self.place - 1}")
        if len(stack) != 1:
            raise ValueError("a section does not end")
        return stack[0]

    def _items(self) -> list[str]:
        items = []
        while (element := Element(self._number(1))) is Element.LIST_ITEM:
            items.append(self._text(2))
        if element is not Element.LIST_END:
            raise ValueError(f"{element.name} in a list")
        return items

    def _number(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "big")

    def _text(self, size: int) -> str:
        return self._bytes(self._number(size)).decode(errors="replace")

    def _bytes(self, size: int) -> bytes:
        end = self.place + size
        if end > len(self.content):
            raise IndexError("it is cut short")
        part = self.content[self.place : end]
        self.place = end
        return part


class Session:
    """One connection to charon. Not for two commands at the same time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._next: asyncio.Future[tuple[Packet, bytes]] | None = None

    async def command(self, name: str, message: Mapping[str, Any] | None = None) -> Message:
        """The answer to a command. Raises RefusedError where charon refuses it, ViciError where it takes too long."""
        self._send(Packet.COMMAND, name, message or {})
        answer = await self._answer(Packet.RESPONSE)
        if answer.get("success", "yes") != "yes":
            raise RefusedError(f"{name}: {answer.get('errmsg', 'refused')}")
        return answer

    async def stream(self, name: str, event: str) -> list[Message]:
        """What a command streams as events, such as list-sas as list-sa."""
        await self.register(event)
        self._send(Packet.COMMAND, name, {})
        messages = []
        while True:
            packet, content = await self._receive(SECONDS)
            if packet is Packet.EVENT:
                messages.append(decode(_without_name(content)))
            elif packet is Packet.RESPONSE:
                break
            else:
                raise ViciError(f"{name}: {packet.name}")
        self._send(Packet.UNREGISTER, event)
        await self._answer(Packet.CONFIRM)
        return messages

    async def register(self, event: str) -> None:
        """Makes charon send these events on this connection."""
        self._send(Packet.REGISTER, event)
        await self._answer(Packet.CONFIRM)

    async def event(self, seconds: float) -> None:
        """Waits for the next event of those registered, at most so long."""
        # A read that is under way is kept: cut short, it would lose the place between two packets.
        self._next = self._next or asyncio.ensure_future(self._receive(None))
        await asyncio.wait({self._next}, timeout=seconds)
        if self._next.done():
            done, self._next = self._next, None
            done.result()

    def close(self) -> None:
        """Ends the connection."""
        if self._next:
            self._next.cancel()
        self._writer.close()

    def _send(self, packet: Packet, name: str, message: Mapping[str, Any] | None = None) -> None:
        content = bytes([packet]) + _name(name) + encode(message or {})
        self._writer.write(len(content).to_bytes(4, "big") + content)

    async def _answer(self, expected: Packet) -> Message:
        while True:
            packet, content = await self._receive(SECONDS)
            if packet is expected:
                return decode(content)
            # one of those registered before
            if packet is not Packet.EVENT:
                raise ViciError(f"expected {expected.name}, got {packet.name}")

    async def _receive(self, seconds: float | None) -> tuple[Packet, bytes]:
        try:
            async with asyncio.timeout(seconds):
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                content = await self._reader.readexactly(size)
                return Packet(content[0]), content[1:]
        except TimeoutError as error:
            raise ViciError(f"no answer within {seconds} s") from error
        except (OSError, EOFError, IndexError, ValueError) as error:
            raise ViciError(f"the connection ended: {error}") from error


def _without_name(content: bytes) -> bytes:
    return content[1 + content[0] :]


@contextlib.asynccontextmanager
async def session(path: Path = SOCKET) -> AsyncIterator[Session]:
    """A connection to charon. Raises ViciError where it does not listen."""
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise ViciError(f"charon does not listen: {error}") from error
    opened = Session(reader, writer)
    try:
        yield opened
    finally:
        opened.close()
