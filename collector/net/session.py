"""The one aiohttp session of a process: TLS always verified, no cookies, no environment proxies, connections not
limited by number.

It owns how sockets are opened and never which. The certificate check cannot be turned off: a private authority (a
test's, a corporate proxy's) is added to the trusted ones by file.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp

USER_AGENT = "marketprism"


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Trust the system's authorities and, if given, a PEM file's. ValueError names a file that cannot be used."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # an SSLError is one, and its own words help nobody
            reason = "found none" if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"{ca_file}: expected a file with PEM certificates: {reason}") from error
    return context


def open_session(context: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """Open the session; call it inside the running loop. Close it last: every socket goes with it.

    Addresses are cached for a minute only, because exchanges move by DNS.
    """
    connector = aiohttp.TCPConnector(ssl=context or tls_context(), limit=0, ttl_dns_cache=60)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None),
    )
