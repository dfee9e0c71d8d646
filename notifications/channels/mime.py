"""Write a mail as it goes over the wire.

The standard library parses, folds and encodes every header of every mail, and that took longer than everything else
about a delivery together. A mail of ours has few headers and two bodies, so it is written down directly.
"""

import binascii
import re
import secrets
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from django.core.mail.message import sanitize_address

_LONGEST_LINE = 998
# Octets of UTF-8 in one encoded word: base64 makes 60 of 45, and a word may have 75.
_WORD = 45
_UNSAFE = re.compile("[\r\n\0]")


def write_mail(*, headers: Mapping[str, str], text: str, html: str = "") -> bytes:
    """Return a mail with CRLF line ends; addresses among the headers are to be encoded by `address` already.

    Raises ValueError for a header of several lines.
    """
    lines = [f"{name}: {_header(name, value)}" for name, value in headers.items()]
    lines += [f"Date: {formatdate()}", "MIME-Version: 1.0"]
    head = "\r\n".join(lines).encode("ascii")
    if not html:
        return head + b"\r\n" + _part("plain", text)
    boundary = b"=_" + secrets.token_hex(16).encode()
    return b"".join(
        (
            head,
            b'\r\nContent-Type: multipart/alternative; boundary="',
            boundary,
            b'"\r\n\r\n--',
            boundary,
            b"\r\n",
            _part("plain", text),
            b"\r\n--",
            boundary,
            b"\r\n",
            _part("html", html),
            b"\r\n--",
            boundary,
            b"--\r\n",
        )
    )


@lru_cache(maxsize=4096)
def address(spelled: str) -> str:
    """Return an address (“Name <ann@example.org>” or bare) as it stands in a header. Raises ValueError."""
    # Long names come folded.
    return " ".join(sanitize_address(spelled, "utf-8").split())


def _header(name: str, value: str) -> str:
    if _UNSAFE.search(value):
        raise ValueError(f"{name} has more than one line: {value!r}")
    if value.isascii():
        return value
    words, word = [], b""
    for char in value:
        octets = char.encode()
        if len(word) + len(octets) > _WORD:
            words.append(word)
            word = b""
        word += octets
    words.append(word)
    return "\r\n ".join(f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in words)


def _part(subtype: str, content: str) -> bytes:
    """Return one body with its headers: as it is where every server takes it so, else quoted-printable."""
    octets = content.replace("\r\n", "\n").replace("\r", "\n").encode()
    if octets.isascii() and b"\0" not in octets and max(map(len, octets.split(b"\n"))) <= _LONGEST_LINE:
        encoding = b"7bit"
    else:
        encoding, octets = b"quoted-printable", binascii.b2a_qp(octets, istext=True)
    return b"".join(
        (
            b"Content-Type: text/",
            subtype.encode(),
            b'; charset="utf-8"\r\nContent-Transfer-Encoding: ',
            encoding,
            b"\r\n\r\n",
            octets.replace(b"\n", b"\r\n"),
        )
    )
