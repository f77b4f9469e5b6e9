"""A mail server on loopback: STARTTLS first, then AUTH, then mail; it takes nothing from who skips either.

What it took is in `taken`, parsed, with its time; what it refused in `refused`.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, AnyStr, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

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
    """The server. `ca` signs its certificate. While `failing` it takes no mail."""

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
        self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _session(self) -> SMTP:
        return _Session(
            self,
            hostname="fake-mail",
            tls_context=self._context,
            require_starttls=True,
            auth_required=True,
            auth_exclude_mechanism=["LOGIN"],  # its prompts here are others than Alertmanager knows
            authenticator=self._known,
        )

    def _known(self, *given: Any) -> AuthResult:
        login = given[-1]
        assert isinstance(login, LoginPassword)
        known = (login.login, login.password) == (self.user.encode(), self.password.encode())
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """A whole mail has come."""
        if self.failing:
            return "451 4.3.0 try again later"
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        bodies = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
        plain, html = (body.get_content() if body is not None else "" for body in bodies.values())
        plain, html = (body.replace("\r\n", "\n") for body in (plain, html))
        self.taken.append(Mail(str(mail["Subject"]), envelope.rcpt_tos[0], plain, html, time.time()))
        return "250 taken"


class _Session(SMTP):
    """Tells the server what it refuses."""

    async def push(self, status: AnyStr) -> None:
        if str(status).startswith(("4", "5")):
            self.event_handler.refused.append(status)
        await super().push(status)
