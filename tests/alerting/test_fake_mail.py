"""The fake mail server is as strict as a real one, else the proofs of mail would prove nothing."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.alerting.fakes.smtp import FakeMail


async def session(mail: FakeMail, talk: Callable[[smtplib.SMTP], object]) -> None:
    def run() -> None:
        with smtplib.SMTP("127.0.0.1", mail.port, timeout=5) as client:
            talk(client)

    await asyncio.to_thread(run)


def a_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "🔴 P1", "marketprism@example.net", "oncall@example.net"
    mail.set_content("采集器已停止\n.\nwith a dot\n")
    mail.add_alternative("<b>bold</b>\n", subtype="html")
    return mail


def begin(client: smtplib.SMTP, mail: FakeMail, password: str) -> None:
    client.starttls(context=ssl.create_default_context(cafile=str(mail.ca)))
    client.login(mail.user, password)


async def test_a_mail_that_comes_encrypted_from_who_is_known_is_taken_whole(tmp_path: Path) -> None:
    async with FakeMail(tmp_path / "ca.pem") as mail:

        def talk(client: smtplib.SMTP) -> None:
            begin(client, mail, mail.password)
            client.send_message(a_mail())

        await session(mail, talk)
        (taken,) = mail.taken
        assert (taken.subject, taken.to) == ("🔴 P1", "oncall@example.net")
        assert (taken.text, taken.html) == ("采集器已停止\n.\nwith a dot\n", "<b>bold</b>\n")
        assert mail.refused == []


async def refused(folder: Path, talk: Callable[[smtplib.SMTP, FakeMail], object], *, failing: bool = False) -> str:
    async with FakeMail(folder / "ca.pem") as mail:
        mail.failing = failing
        with pytest.raises(smtplib.SMTPException):
            await session(mail, lambda client: talk(client, mail))
        assert mail.taken == []
        return mail.refused[0]


async def test_who_does_not_encrypt_is_refused(tmp_path: Path) -> None:
    said = await refused(tmp_path, lambda client, _: client.send_message(a_mail()))
    assert said.startswith("530 Must issue a STARTTLS")


async def test_who_does_not_say_who_it_is_is_refused(tmp_path: Path) -> None:
    def talk(client: smtplib.SMTP, mail: FakeMail) -> None:
        client.starttls(context=ssl.create_default_context(cafile=str(mail.ca)))
        client.send_message(a_mail())

    assert (await refused(tmp_path, talk)).startswith("530 5.7.0 Authentication required")


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    said = await refused(tmp_path, lambda client, mail: begin(client, mail, "wrong"))
    assert said.startswith("535 5.7.8")


async def test_a_server_that_fails_takes_nothing(tmp_path: Path) -> None:
    def talk(client: smtplib.SMTP, mail: FakeMail) -> None:
        begin(client, mail, mail.password)
        client.send_message(a_mail())

    assert await refused(tmp_path, talk, failing=True) == "451 4.3.0 try again later"
