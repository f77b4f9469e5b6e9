"""A small exchange on loopback, a clock that moves when somebody sleeps, and a sink that keeps what it got."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from collector.clock import SECOND_NS, Now

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeClock:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.ns = 1_000 * SECOND_NS
        self.slept: list[float] = []

    def __call__(self) -> Now:
        return Now(self.ns, 1_700_000_000_000_000 + self.ns // 1_000)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.ns + int(seconds * SECOND_NS)
        await asyncio.sleep(0)
        self.ns = max(self.ns, until)

    def advance(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND_NS)


class KeepingSink:
    """Every burst as a list of (payload, Now), in the order in which they ended."""

    def __init__(self) -> None:
        self.open: list[tuple[bytes, Now]] = []
        self.bursts: list[list[tuple[bytes, Now]]] = []
        self.binary: list[bytes] = []
        self.on_burst: Callable[[], None] = lambda: None

    def on_frame(self, data: bytes, now: Now) -> None:
        self.open.append((data, now))

    def on_binary(self, data: bytes, now: Now) -> None:
        self.binary.append(data)
        self.open.append((data, now))

    def on_burst_end(self, now: Now) -> None:
        assert all(each == now for _, each in self.open)
        self.bursts.append(self.open)
        self.open = []
        self.on_burst()

    @property
    def frames(self) -> list[bytes]:
        return [data for burst in self.bursts for data, _ in burst]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve `handler` for every path; gives `127.0.0.1:port`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def text_frame(payload: bytes) -> bytes:
    """One unmasked server text frame (https://www.rfc-editor.org/rfc/rfc6455#section-5.2)."""
    if len(payload) < 126:
        return bytes([0x81, len(payload)]) + payload
    return bytes([0x81, 126]) + len(payload).to_bytes(2) + payload


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A new certificate authority: its PEM file, and a server context with a certificate of it for 127.0.0.1."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "ca.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return certificate_file, context
