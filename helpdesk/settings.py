"""Settings. Everything that differs between two installations comes from the environment (see .env.example)."""

import socket
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
import structlog
from csp.constants import NONE, SELF

from api import openapi
from helpdesk import embedded, environment
from helpdesk.logs import redact

django_stubs_ext.monkeypatch()

BASE_DIR = environment.BASE_DIR
environment.load()
env = environ.Env()

# --- where and who -----------------------------------------------------------------------------------------

BELAY_VAR = environment.var_dir()
BELAY_URL = environment.public_url()
# Before every key and channel in the broker, so that two installations may share one.
BELAY_PREFIX = env.str("BELAY_PREFIX", default=f"belay-{environment.installation(BELAY_VAR)}:")
SECRET_KEY = environment.secret_key()
DEBUG = env.bool("DEBUG", default=False)

_public = urlsplit(BELAY_URL)
_https = _public.scheme == "https"
ALLOWED_HOSTS = sorted(
    {"localhost", "127.0.0.1", "[::1]", socket.gethostname().lower(), str(_public.hostname)}
    | set(env.list("BELAY_HOSTS", default=[]))
)
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}", *env.list("CSRF_TRUSTED_ORIGINS", default=[])]

# --- apps --------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "core",
    "accounts",
    "calendars",
    "tickets",
    "notifications",
    "escalation",
    "intake",
    "insights",
    "web",
    "api",
    "helpdesk",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "helpdesk.static.Static",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "csp",
    "django_celery_beat",
    "django_filters",
    "django_htmx",
    "django_prometheus",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    # Last of those that answer: turns a locked-out sign-in into its own page.
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "helpdesk.urls"
WSGI_APPLICATION = "helpdesk.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# --- the database ------------------------------------------------------------------------------------------

# The address of our own server is computed, not asked for: importing the settings starts nothing.
# An empty one, as docker compose passes it on, is none.
_database = env.db_url_config(env.str("DATABASE_URL", default="") or embedded.places().database_url)
# A server that has gone without a word (a cut cable, a failover) is noticed within half a minute, instead of hours.
_noticed = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
DATABASES = {
    "default": {
        **_database,
        "OPTIONS": _noticed | _database.get("OPTIONS", {}),
        "CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=600),
        "CONN_HEALTH_CHECKS": True,
    }
}

# Throttle counts and the like: lost without harm, exact for one web process. CACHE_URL shares them between several.
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://belay")}

# --- the broker --------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="") or embedded.places().redis_url


def _broker(url: str) -> str:
    # kombu spells the socket of a Redis differently from redis-py.
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    return f"redis+socket://{path}?virtual_host={query.removeprefix('db=') or 0}"


CELERY_BROKER_URL = _broker(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": BELAY_PREFIX,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
}
CELERY_TIMEZONE = "UTC"
# Rows are the truth, a message only rings: no results, no late acknowledgement, nothing hoarded.
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "bulk"
CELERY_TASK_ROUTES = {
    # Takes as long as it takes, and nobody waits for it: never before a tick.
    "escalation.lint": {"queue": "bulk"},
    "notifications.watchers": {"queue": "bulk"},
    "escalation.*": {"queue": "engine"},
    "notifications.*": {"queue": "delivery"},
    "*": {"queue": "bulk"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BEAT_SCHEDULER = "helpdesk.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1

# What beat rings, written anew into its tables at every start: task -> every so many seconds. Nothing expires: whether
# it has would be for the worker's clock to say, and one that is ahead would hear no ring at all.
BELAY_TICKS = {
    "escalation.tick": 1,
    "notifications.tick": 1,
    "notifications.watchers": 5,
    "escalation.lint": 180,
    "tickets.seal": 60,
    "recompute.pick_up": 10,
    "api.forget_keys": 3600,
}

# --- signing in --------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Failures per account are axes' matter: allauth's own limit would let a stranger anywhere lock an agent out.
ACCOUNT_RATE_LIMITS = {"login_failed": "60/m/ip"}
SOCIALACCOUNT_PROVIDERS = env.json("BELAY_SIGN_IN_PROVIDERS", default={})
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Belay"

# Locks the pair, so that a stranger can't lock an agent out from somewhere else.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "web.signing_in.name_tried"
AXES_LOCKOUT_CALLABLE = "web.signing_in.locked_out"
AXES_IPWARE_PROXY_COUNT = env.int("BELAY_PROXIES", default=0) or None
AXES_VERBOSE = False

# --- cookies, transport, content ---------------------------------------------------------------------------

# Over plain http (localhost) secure cookies would never come back: the public address decides.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
# Cookies don't tell ports apart: two installations on one machine need two names.
if _public.port:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"sessionid-{_public.port}", f"csrftoken-{_public.port}"
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
# TLS ends at a proxy; it must set this header itself.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# W021 asks for the browsers' preload list: a promise only the owner of the domain can make.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
    }
}

# --- files -------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BELAY_VAR / "static"
_packages = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("tabler", _packages / "@tabler/core/dist/css"),
    ("tabler", _packages / "@tabler/core/dist/js"),
    ("htmx", _packages / "htmx.org/dist"),
    ("htmx-sse", _packages / "htmx-ext-sse/dist"),
]
# For the template tag that writes icons into the page: no request, no font, nothing for the CSP to allow.
BELAY_ICONS = _packages / "@tabler/icons/icons"
MEDIA_ROOT = BELAY_VAR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "helpdesk.static.Storage"},
}

# --- mail --------------------------------------------------------------------------------------------------

# The mail sink of `manage.py up` listens on a port of its own choice and passes it on in EMAIL_URL.
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10
# A provider's API in the place of SMTP; ANYMAIL holds its credentials, by the names that django-anymail gives them.
ANYMAIL = environment.mail_credentials() | {"REQUESTS_TIMEOUT": EMAIL_TIMEOUT, "DEBUG_API_REQUESTS": False}
if _mail_provider := environment.mail_provider():
    EMAIL_BACKEND = f"anymail.backends.{_mail_provider}.EmailBackend"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("BELAY_MAIL_FROM", default=f"Belay <belay@{_public.hostname}>")
BELAY_MAIL_DIR = BELAY_VAR / "mail"
# So many messages a minute to one address of a contact; what repeats beyond them comes in one digest. 0: never.
BELAY_DIGEST_ABOVE = env.int("BELAY_DIGEST_ABOVE", default=20)

# Of phone numbers that are entered without a country code: two letters; empty: they need one.
BELAY_PHONE_REGION = environment.phone_region()

# --- the API -----------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "knox.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.str("BELAY_RATE_ANONYMOUS", default="60/min"),
        "user": env.str("BELAY_RATE_USER", default="1200/min"),
    },
    "NUM_PROXIES": env.int("BELAY_PROXIES", default=0),
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token"}
SPECTACULAR_SETTINGS = openapi.SETTINGS

# --- watching ----------------------------------------------------------------------------------------------

PROMETHEUS_EXPORT_MIGRATIONS = False
# /metrics answers this bearer token; without one, callers on this machine only.
BELAY_METRICS_TOKEN = env.str("BELAY_METRICS_TOKEN", default="")

# Called every so many seconds while all is well; whoever watches it raises the alarm when the calls stop.
BELAY_HEARTBEAT_URL = env.str("BELAY_HEARTBEAT_URL", default="")
BELAY_HEARTBEAT_SECONDS = max(env.int("BELAY_HEARTBEAT_SECONDS", default=60), 1)
# Names, addresses and networks in private address space that Belay may send requests to; public ones it always may.
BELAY_ALLOWED_HOSTS_OUT = env.list("BELAY_ALLOWED_HOSTS_OUT", default=[])

LOG_LEVEL = env.str("BELAY_LOG_LEVEL", default="INFO").upper()
_before_rendering: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
    structlog.stdlib.PositionalArgumentsFormatter(),
    redact,
]
structlog.configure(
    processors=[*_before_rendering, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "console": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.dev.ConsoleRenderer(
                colors=env.bool("BELAY_COLOUR", default=False),
                pad_event_to=0,
                # The pretty one prints local variables, and with them passwords and tokens.
                exception_formatter=structlog.dev.plain_traceback,
            ),
            "foreign_pre_chain": _before_rendering,
        },
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [*_before_rendering, structlog.processors.format_exc_info],
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if env.bool("BELAY_LOG_JSON", default=False) else "console",
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False},
        # One line a second each, and nothing in it: the ticks' own figures are on record.
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "django_celery_beat": {"level": "WARNING"},
        # Every request twice otherwise: granian's own line is enough.
        "django_structlog.middlewares.request": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        # Every request with its whole address, which may hold a token.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        # The sink's conversation with each mail, addresses and all.
        "mail": {"level": "WARNING"},
    },
}
DJANGO_STRUCTLOG_USER_ID_FIELD = "pk"

# --- limits ------------------------------------------------------------------------------------------------

BELAY_MAX_BODY = 200_000
BELAY_MAX_FILES = 20
BELAY_MAX_FILE_BYTES = env.int("BELAY_MAX_FILE_BYTES", default=25_000_000)
# Off only where no broker is wanted, as in a replay of history.
BELAY_WAKE = env.bool("BELAY_WAKE", default=True)
