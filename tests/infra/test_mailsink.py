"""The development mail server and the reading of what it kept."""

import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from core.mailsink import list_mails, read_mail
from helpdesk import mailsink
from helpdesk.environment import BASE_DIR
from tests.helpers import free_port


@pytest.fixture
def sink_port(tmp_path: Path, settings: Any) -> Iterator[int]:
    port = free_port()
    chosen = {"DJANGO_SETTINGS_MODULE": "helpdesk.settings", "BELAY_VAR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "mailsink", "--port", str(port)], cwd=BASE_DIR, env=os.environ | chosen
    )
    settings.BELAY_MAIL_DIR = tmp_path / "mail"
    yield port
    process.terminate()
    assert process.wait(5) == 0


def send(port: int, mail: EmailMessage, to: list[str]) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
                client.send_message(mail, to_addrs=to)
                return
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_mail_is_kept_and_read_again(sink_port: int) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "belay@example.com", "ann@example.com", "Überfällig"
    mail.set_content("Please look.")

    send(sink_port, mail, ["ann@example.com", "blind@example.com"])

    (kept,) = list_mails()
    assert kept.subject == "Überfällig"
    assert kept.recipients == "ann@example.com, blind@example.com"
    assert read_mail(kept.name).get_content().strip() == "Please look."


def test_only_the_newest_are_kept(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BELAY_MAIL_DIR = tmp_path
    monkeypatch.setattr(mailsink, "KEPT_MAILS", 2)

    for number in range(3):
        mailsink.store(tmp_path, f"Subject: {number}\r\n\r\n".encode())

    assert [mail.subject for mail in list_mails()] == ["2", "1"]


@pytest.mark.parametrize(
    "name", ["../secret-key", "/etc/passwd", "x.eml", "", "00000000000000000001-0000000a.eml/.."]
)
def test_no_other_file_can_be_read(name: str, tmp_path: Path, settings: Any) -> None:
    settings.BELAY_MAIL_DIR = tmp_path / "mail"
    (tmp_path / "secret-key").write_text("hush")

    with pytest.raises(FileNotFoundError):
        read_mail(name)


def test_a_half_written_mail_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "x.part").touch()

    mailsink.make_folder(tmp_path)

    assert list(tmp_path.iterdir()) == []
