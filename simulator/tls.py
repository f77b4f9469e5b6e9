"""The simulator's own certificate authority, its server certificate, and bad certificates on demand.

It owns the TLS port's context. It must never be trusted outside tests: its keys lie in a directory of the run. The
certificate is chosen at each handshake, so that a fault can swap it while the port stays open.
"""

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulator.errors import BadRequestError

_Key = ec.EllipticCurvePrivateKey
_HOSTS = ("localhost", "127.0.0.1", "::1")


class Authority:
    """A certificate authority. `key` is one made earlier, so that clients that trust it still do."""

    def __init__(self, name: str, key: _Key | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def key_pem(self) -> bytes:
        """The private key, to be kept for the next run."""
        return _private_pem(self._key)

    def pem(self) -> bytes:
        """The certificate that clients are to trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, hosts: tuple[str, ...], *, expired: bool = False) -> tuple[bytes, bytes]:
        """A server certificate and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        end = now - timedelta(hours=1) if expired else now + timedelta(days=365)
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        return certificate.public_bytes(pem), _private_pem(key)


def _private_pem(key: _Key) -> bytes:
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _kept_key(path: Path) -> _Key | None:
    """The authority's key of an earlier run in the same directory.

    Raises:
        BadRequestError: the file is there but holds no such key.
    """
    if not path.exists():
        return None
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadRequestError(f"{path} is not a key of the simulator")
    return key


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Tls:
    """The TLS port's certificates in `directory`; `choose` names the bad one for the next handshake, or None.

    `names`: what else it may be called, where clients are not on this machine.

    The authority's key is kept there and used again, so that a client that trusts it outlives the simulator.

    Raises:
        OSError: the directory cannot be written.
    """

    def __init__(
        self, directory: Path, host: str, choose: Callable[[], str | None], names: tuple[str, ...] = ()
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        own = (host,) if host not in ("0.0.0.0", "::") else ()  # noqa: S104 - compared
        hosts = tuple(dict.fromkeys((*_HOSTS, *own, *names)))
        authority = Authority("MarketPrism simulator", _kept_key(directory / "ca.key"))
        stranger = Authority("MarketPrism stranger")
        _write_private(directory / "ca.key", authority.key_pem())
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(authority.pem())
        self.context = _context(directory, "server", authority.issue(hosts))
        self._bad = {
            "expired": _context(directory, "expired", authority.issue(hosts, expired=True)),
            "untrusted": _context(directory, "untrusted", stranger.issue(hosts)),
            "wrong_host": _context(directory, "wrong_host", authority.issue(("elsewhere.invalid",))),
        }
        self._choose = choose
        self.context.sni_callback = self._pick

    def _pick(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        how = self._choose()
        if how is not None:
            connection.context = self._bad[how]


def _context(directory: Path, name: str, pair: tuple[bytes, bytes]) -> ssl.SSLContext:
    path = directory / f"{name}.pem"
    _write_private(path, pair[1] + pair[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _write_private(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
