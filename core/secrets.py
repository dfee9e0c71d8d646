"""Secrets at rest: encrypted with a key of this installation, so that a copy of the database alone gives none away."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Undecipherable(Exception):
    """Say that a stored secret was encrypted with another key."""


def encrypt(text: str) -> str:
    """Return `text` so that only this installation's key reads it; nothing stays nothing."""
    return _keys(tuple(_passwords())).encrypt(text.encode()).decode() if text else ""


def decrypt(token: str) -> str:
    """Return what `encrypt` was given. Raises Undecipherable, which names no secret."""
    if not token:
        return ""
    try:
        return _keys(tuple(_passwords())).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise Undecipherable(
            "a stored secret was encrypted with another key: put the old SECRET_KEY into SECRET_KEY_FALLBACKS, "
            "or enter the secret again"
        ) from error


def _passwords() -> list[str]:
    return [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


@lru_cache(maxsize=8)
def _keys(passwords: tuple[str, ...]) -> MultiFernet:
    # The first encrypts, all decipher: a key can be changed without entering every secret again.
    return MultiFernet([Fernet(_derived(password)) for password in passwords])


def _derived(password: str) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"belay.secrets.v1")
    return base64.urlsafe_b64encode(kdf.derive(password.encode()))
