"""A mail server on loopback: STARTTLS first, then AUTH, then mail; it takes nothing from who skips either.

What it took is in `taken`, parsed, with its time; what it refused in `refused`.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.tls import Authority


@dataclass(frozen=True)
class Mail:
    """One mail. `text` and `html` are its two bodies."""

    subject: str
    to: str
    text: str
    html: str
    at: float


class FakeMail:
    """The server. `ca` signs its certificate."""

    def __init__(self, ca: Path, user: str = "alerts", password: str = "c0rrect-h0rse") -> None:
        self.user, self.password = user, password
        self.ca = ca
        self.port = 0
        self.taken: list[Mail] = []
        self.refused: list[str] = []
        self.failing = False
        authority = Authority("fake mail")
        ca.write_bytes(authority.pem())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = authority.issue(("127.0.0.1", "localhost"))
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + key)
            file.flush()
            self._context.load_cert_chain(file.name)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # whoever goes away sends no mail
        finally:
            writer.close()

    async def _session(  # noqa: C901 - a command is a branch
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        encrypted = known = False
        to = ""

        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        def refuse(line: str) -> None:
            self.refused.append(line)
            say(line)

        say("220 fake mail")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            command = line.split(" ")[0].upper()
            if command == "EHLO":
                say("250-fake mail")
                say("250 AUTH PLAIN" if encrypted else "250 STARTTLS")
            elif command == "STARTTLS":
                say("220 go ahead")
                await writer.start_tls(self._context)
                encrypted, known = True, False
            elif command == "QUIT":
                say("221 bye")
                await writer.drain()
                return
            elif not encrypted:
                refuse("530 5.7.0 Must issue a STARTTLS command first")
            elif command == "AUTH":
                given = base64.b64decode(line.split(" ")[-1]).decode().split("\0")[-2:]
                known = given == [self.user, self.password]
                say("235 welcome") if known else refuse("535 5.7.8 Authentication credentials invalid")
            elif not known:
                refuse("530 5.7.0 Authentication required")
            elif self.failing:
                refuse("451 4.3.0 try again later")
            elif command == "RCPT":
                to = line.partition("<")[2].partition(">")[0]
                say("250 ok")
            elif command == "DATA":
                say("354 go ahead")
                await writer.drain()
                self._take(to, await reader.readuntil(b"\r\n.\r\n"))
                say("250 taken")
            else:
                say("250 ok")
            await writer.drain()

    def _take(self, to: str, data: bytes) -> None:
        mail = message_from_bytes(data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        bodies = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
        plain, html = (body.get_content() if body is not None else "" for body in bodies.values())
        plain, html = (body.replace("\r\n", "\n") for body in (plain, html))
        self.taken.append(Mail(str(mail["Subject"]), to, plain, html, time.time()))
