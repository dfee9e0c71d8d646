"""What the environment says, read once and checked, before Django is imported."""

import hashlib
import json
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
# Those of django-anymail that are reached by plain HTTP.
MAIL_PROVIDERS = (
    "brevo",
    "mailersend",
    "mailgun",
    "mailjet",
    "mailtrap",
    "mandrill",
    "postal",
    "postmark",
    "resend",
    "scaleway",
    "sendgrid",
    "sparkpost",
    "unisender_go",
)


class ConfigurationError(Exception):
    """A value of the environment that can't work: names the field, the value and the mend, in one line."""

    def __init__(self, field: str, value: object, problem: str, mend: str) -> None:
        super().__init__(f"{field}={value}: {problem}. {mend}")
        self.field = field


def load() -> None:
    """Read .env beside manage.py (or BELAY_ENV_FILE); what the environment already says wins."""
    dotenv = Path(os.environ.get("BELAY_ENV_FILE", BASE_DIR / ".env"))
    if dotenv.is_file():
        environ.Env.read_env(str(dotenv), overwrite=False)


def var_dir() -> Path:
    """Return the folder of everything this installation writes (BELAY_VAR, by default var/)."""
    return Path(os.environ.get("BELAY_VAR") or BASE_DIR / "var").absolute().resolve()


def installation(var: Path) -> str:
    """Return the short name of the installation in a folder: it tells apart what two keep in shared places."""
    return hashlib.sha256(str(var).encode()).hexdigest()[:12]


def port() -> int:
    """Return the port the web process listens on (PORT)."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ConfigurationError("PORT", text, "not a port number", "Give a number from 1 to 65535")
    return int(text)


def public_url() -> str:
    """Return the address people reach Belay at, as written in mails (BELAY_URL), without a closing slash."""
    text = (os.environ.get("BELAY_URL") or f"http://localhost:{port()}").rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        mend = "Give an address such as https://helpdesk.example.com"
        raise ConfigurationError("BELAY_URL", text, "not a web address", mend)
    return text


def mail_provider() -> str:
    """Return whose API carries mails (BELAY_MAIL_PROVIDER), "" for SMTP."""
    name = (os.environ.get("BELAY_MAIL_PROVIDER") or "").strip().lower()
    if name and name not in MAIL_PROVIDERS:
        mend = f"Name one of {', '.join(MAIL_PROVIDERS)}, or leave it out and set EMAIL_URL"
        raise ConfigurationError("BELAY_MAIL_PROVIDER", name, "not a mail provider that is known", mend)
    return name


def mail_credentials() -> dict[str, Any]:
    """Return the credentials of the mail provider as django-anymail names them (ANYMAIL, JSON)."""
    text = os.environ.get("ANYMAIL") or "{}"
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        mend = 'Give an object such as {"POSTMARK_SERVER_TOKEN": "..."}'
        # Its value is a secret.
        raise ConfigurationError("ANYMAIL", "***", "not JSON", mend)
    return found


def phone_region() -> str:
    """Return the region of phone numbers without a country code (BELAY_PHONE_REGION), "" where they need one."""
    region = (os.environ.get("BELAY_PHONE_REGION") or "").strip().upper()
    if region and (len(region) != 2 or not region.isalpha() or not region.isascii()):
        raise ConfigurationError(
            "BELAY_PHONE_REGION", region, "not a region", "Give two letters, such as DE, or none"
        )
    return region


def make_var(path: Path) -> Path:
    """Create BELAY_VAR if need be and prove that it can be written to."""
    mend = "Name a folder that you may write to"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigurationError("BELAY_VAR", path, error.strerror or str(error), mend) from error
    return path


def secret_key() -> str:
    """Return SECRET_KEY, or the key this installation once made for itself (var/secret-key, mode 0600)."""
    given = os.environ.get("SECRET_KEY")
    if given:
        return given
    path = var_dir() / "secret-key"
    if not path.exists():
        make_var(path.parent)
        # Linked into place whole, so that two first starts at once agree on one key.
        handle, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process's key is the installation's
        finally:
            Path(draft).unlink()
    try:
        return path.read_text().strip()
    except OSError as error:
        mend = "Give SECRET_KEY, or let this user read the file"
        raise ConfigurationError("SECRET_KEY", path, error.strerror or str(error), mend) from error


def without_password(url: str) -> str:
    """Return the URL as it may be printed."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))


def port_is_free(host: str, number: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
    return True


def bind_address() -> str:
    """Return the address the web process listens on (BELAY_BIND): this machine only, unless told otherwise."""
    return os.environ.get("BELAY_BIND") or "127.0.0.1"
