"""A mail server that answers, but never gets there: a send ends before its lease does."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifications import engine, leasing
from notifications.channels import Envelope, email, punctual
from notifications.models import Notification
from tests import mail
from tests.helpers import free_port
from tests.notifications.cast import queued


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(punctual, "AT_MOST_SECONDS", 0.6)
    return 0.6


class Dripping:
    """A server that greets at once when asked to, and then gives one byte of its answer at a time, for ever."""

    def __init__(self, *, greets: bool) -> None:
        self._greets = greets
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            link, _ = self._listening.accept()
            with link:
                if self._greets:
                    link.sendall(b"220 here\r\n")
                    link.recv(1000)
                    link.sendall(b"250 hello\r\n")
                while not self._over.wait(0.1):
                    link.sendall(b"2")

    def close(self) -> None:
        self._over.set()
        self._listening.close()
        self._thread.join(5)


@pytest.fixture(params=[False, True], ids=["greeting", "mail"])
def dripping(request: pytest.FixtureRequest, settings: Any, smtp: mail.Mailbox) -> Iterator[Dripping]:
    server = Dripping(greets=request.param)
    settings.EMAIL_PORT = server.port
    # Each byte comes well within it.
    settings.EMAIL_TIMEOUT = 0.5
    email._hang_up()
    yield server
    email._hang_up()
    server.close()


@pytest.mark.django_db(transaction=True)
def test_a_server_that_drips_is_given_up_in_time(dripping: Dripping, seconds: float) -> None:
    row = queued()
    began = time.monotonic()

    engine.tick(senders=1)

    # Connecting and sending have that long each.
    assert time.monotonic() - began < 2 * seconds + 0.5
    failed = Notification.objects.get(pk=row.pk)
    assert failed.state == Notification.State.PENDING
    assert "timed out" in failed.answer


def test_the_lease_outlasts_connecting_and_sending() -> None:
    assert leasing.IN_HAND.total_seconds() > 2 * punctual.AT_MOST_SECONDS


def test_the_time_runs_anew_for_each_mail_on_a_connection(
    smtp: mail.Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(punctual, "AT_MOST_SECONDS", 0.3)
    email._hang_up()
    email.send_email(a_mail())
    connection = email._local.connection

    for _ in range(2):
        time.sleep(0.2)
        email.send_email(a_mail())

    assert len(smtp.mails) == 3
    assert email._local.connection is connection


def test_servers_that_speak_tls_from_the_start_are_spoken_to(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    mailbox = mail.Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), ssl_context=server)
    controller.start()
    settings.EMAIL_BACKEND = email._DJANGOS
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    settings.EMAIL_USE_SSL, settings.EMAIL_USE_TLS = True, False
    email._hang_up()
    try:
        email.send_email(a_mail())
    finally:
        email._hang_up()
        controller.stop()

    assert [m["Subject"] for m in mailbox.mails] == ["Hello"]


def a_mail() -> Envelope:
    return Envelope(address="ann@example.org", subject="Hello", text="Text", html="", key="<1@example.org>")


def self_signed(folder: Path) -> Path:
    """Return a file with a key and a certificate for this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "mail.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
