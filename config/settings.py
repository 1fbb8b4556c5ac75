"""Settings, in one flat file. Everything an operator may change comes from the environment or from `.env`."""

import ipaddress
import re
import zoneinfo
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import environ
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from callbacks.egress.proxy import proxy_from
from config.monitoring import logs
from config.stack.data_dir import broker_url_in, keep_private, secret_key_in

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent


class LiteralEnv(environ.Env):  # type: ignore[misc]  # it brings no types
    """Takes each value as it stands. `Env` would read one that begins with `$` as the name of another variable."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        value = self.ENVIRON.get(var)
        if value is None or not value.startswith("$"):
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        return self.parse_value(value, cast)


env = LiteralEnv()
LiteralEnv.read_env(BASE_DIR / ".env")


def _refuse_broken_url(name: str, url: str) -> None:
    """Whoever reads the port later would say what stands there: a part of the password, if it holds a # or a slash."""
    try:
        _ = url.startswith("sqlite:") or urlsplit(url).port
    except ValueError:
        said = f"{name} cannot be read. Write special characters of the user and the password percent-encoded."
        raise ImproperlyConfigured(said) from None


# --- where it runs -----------------------------------------------------------
DATA_DIR = Path(env.str("DATA_DIR", "") or BASE_DIR / "var").absolute()
try:
    PORT = int(env.str("PORT", "") or 8000)
except ValueError:  # here and below its text repeats the value
    raise ImproperlyConfigured("PORT must be a number from 1 to 65535.") from None
WEB_HOST = env.str("WEB_HOST", "") or "127.0.0.1"
try:
    WEB_CONCURRENCY = int(env.str("WEB_CONCURRENCY", "") or 1)
    WORKER_CONCURRENCY = int(env.str("WORKER_CONCURRENCY", "") or 2)
except ValueError:
    WEB_CONCURRENCY = WORKER_CONCURRENCY = 0
if not (0 < WEB_CONCURRENCY <= 64 and 0 < WORKER_CONCURRENCY <= 64):
    raise ImproperlyConfigured("WEB_CONCURRENCY and WORKER_CONCURRENCY must be numbers of processes, from 1 to 64.")
# Days and months begin and end in it, on every page and in every file.
TIME_ZONE = env.str("TIME_ZONE", "") or "UTC"
if TIME_ZONE not in zoneinfo.available_timezones():
    raise ImproperlyConfigured("TIME_ZONE must be a name of the IANA time zone database, such as Europe/Berlin.")
DEBUG = env.bool("DEBUG", False)
DEMO = env.bool("DEMO", False)
BEHIND_PROXY = env.bool("BEHIND_PROXY", False)
# What is kept in files is read by nobody else on the machine. Every process reads this before it writes anything.
try:
    keep_private(DATA_DIR)
except ValueError as error:
    raise ImproperlyConfigured(f"DATA_DIR cannot be used: {error}: {DATA_DIR}") from error
try:
    SECRET_KEY = env.str("SECRET_KEY", "") or secret_key_in(DATA_DIR)
    IS_SECRET_KEY_GIVEN = bool(env.str("SECRET_KEY", ""))  # else it is this host's alone
except OSError as error:
    raise ImproperlyConfigured(f"DATA_DIR cannot be used: {error.strerror}: {DATA_DIR}") from error
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
try:
    TRUSTED_PROXIES = tuple(
        ipaddress.ip_network(text.strip(), strict=False) for text in env.list("TRUSTED_PROXIES", default=[])
    )
except ValueError as error:
    raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}") from error

# --- callbacks ---------------------------------------------------------------
try:
    CALLBACKS_ALLOWED_NETWORKS = tuple(
        ipaddress.ip_network(text.strip(), strict=False) for text in env.list("CALLBACKS_ALLOWED_NETWORKS", default=[])
    )
except ValueError:
    raise ImproperlyConfigured(
        "CALLBACKS_ALLOWED_NETWORKS must be networks with commas between them, such as 10.1.0.0/16."
    ) from None
try:
    CALLBACKS_ALLOWED_PORTS = frozenset(env.list("CALLBACKS_ALLOWED_PORTS", cast=int, default=[]))
except ValueError:
    raise ImproperlyConfigured("CALLBACKS_ALLOWED_PORTS must be numbers with commas between them.") from None
try:
    CALLBACKS_NAT64_PREFIXES = tuple(
        ipaddress.IPv6Network(text.strip()) for text in env.list("CALLBACKS_NAT64_PREFIXES", default=[])
    )
except ValueError:
    raise ImproperlyConfigured(
        "CALLBACKS_NAT64_PREFIXES must be IPv6 networks with commas between them, such as 2001:db8:64::/96."
    ) from None
CALLBACKS_CA_BUNDLE = env.str("CALLBACKS_CA_BUNDLE", "") or certifi.where()
CALLBACKS_PROXY_URL = env.str("CALLBACKS_PROXY_URL", "")  # it may hold a password
try:
    proxy_from(CALLBACKS_PROXY_URL)
except ValueError as error:  # its text repeats nothing of the URL
    raise ImproperlyConfigured(f"CALLBACKS_PROXY_URL cannot be used. {error}") from None
# A callback without any success for so long is paused; 0: never.
CALLBACKS_PAUSE_AFTER_HOURS = env.int("CALLBACKS_PAUSE_AFTER_HOURS", 72)
# The parameters of a referral link that may name the affiliate, as in https://shop.example/?ref=CODE; new links have
# the first one.
REFERRAL_PARAMETERS = tuple(name.strip() for name in env.list("REFERRAL_PARAMETER", default=["ref"]))

# --- what is kept ------------------------------------------------------------
_days = [env.str("RETENTION_ATTEMPTS_DAYS", "") or "90", env.str("RETENTION_DELIVERIES_DAYS", "") or "400"]
if not all(re.fullmatch("[0-9]{1,5}", text) for text in _days):
    raise ImproperlyConfigured(
        "RETENTION_ATTEMPTS_DAYS and RETENTION_DELIVERIES_DAYS must be numbers of days; 0 keeps for ever."
    )
RETENTION_ATTEMPTS_DAYS, RETENTION_DELIVERIES_DAYS = map(int, _days)

# --- applications ------------------------------------------------------------
INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "config.apps.PostbacksAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "config.apps.OwnStaticFilesConfig",
    "django.contrib.humanize",
    "django.forms",  # the templates of its widgets, beside ours in templates/
    "axes",
    "django_otp",
    "ninja",
    "config.theme",
    "affiliates.apps.AffiliatesConfig",
    "orders.apps.OrdersConfig",
    "callbacks.apps.CallbacksConfig",
]
MIDDLEWARE = [
    "config.middleware.request_id",
    "config.middleware.in_time",
    "orders.intake.problems.ProblemsMiddleware",
    "config.middleware.probes",
    "django.middleware.security.SecurityMiddleware",
    "config.static_files.Middleware",
    "django.middleware.gzip.GZipMiddleware",
    "config.middleware.headers",
    "config.language.middleware",
    "config.middleware.unreadable_requests",
    "config.middleware.for_shops",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.security.sign_in.idle_staff",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "config.security.sign_in.SecondFactorMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
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
    }
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- database ----------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", "") or f"sqlite:///{DATA_DIR / 'postbacks.sqlite3'}"
if not DATABASE_URL.startswith(("sqlite://", "postgres://", "postgresql://")):
    raise ImproperlyConfigured("DATABASE_URL must begin with postgres:// or sqlite://.")  # it may hold a password
_refuse_broken_url("DATABASE_URL", DATABASE_URL)
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # One file, written by the web process and the worker at once: readers never wait (WAL), writers queue from the
    # start of their transaction (IMMEDIATE) instead of failing in the middle of it.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
    }
    DATABASE_FILES = [Path(f"{DATABASES['default']['NAME']}{end}") for end in ("", "-wal", "-shm")]
    keep_private(DATA_DIR, DATABASE_FILES)  # they may lie elsewhere
else:
    DATABASE_FILES = []
    DATABASES["default"]["ENGINE"] = "config.postgresql"
    # A server that is gone says nothing. What waits for it is told after ten seconds instead of two hours; what the
    # operator's own DATABASE_URL says goes first.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,  # milliseconds
    } | DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker ------------------------------------------------------------------
# Without REDIS_URL it is the embedded Valkey of this installation, whose URL is in DATA_DIR while it runs.
REDIS_URL = env.str("REDIS_URL", "") or broker_url_in(DATA_DIR) or "redis://127.0.0.1:6379/0"
_refuse_broken_url("REDIS_URL", REDIS_URL)
# The broker only wakes workers. A wake-up that takes longer than this is given up, so that saving an order takes less
# than a quarter of a second even then.
BROKER_TIMEOUT = 0.2
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": BROKER_TIMEOUT,
    "socket_connect_timeout": BROKER_TIMEOUT,
    "retry_on_timeout": False,
    "ack_emulation": False,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "postbacks"
# A wake-up that a worker took is gone: the broker keeps no note of it, which a full broker would refuse to take, and
# nothing is put back when the broker goes away, which would end the worker (kombu 5.7, `restore_unacked_once`).
CELERY_TASK_QUEUES = [Queue(CELERY_TASK_DEFAULT_QUEUE, routing_key=CELERY_TASK_DEFAULT_QUEUE, no_ack=True)]
CELERY_WORKER_CONCURRENCY = WORKER_CONCURRENCY
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- e-mail ------------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", "")  # without it nobody is written to, and the overview says what would have been sent
_refuse_broken_url("EMAIL_URL", EMAIL_URL)
if EMAIL_URL:
    email_url = urlsplit(EMAIL_URL)
    is_smtp = email_url.scheme in {"smtp", "smtps", "smtp+tls", "smtp+ssl"}
    if is_smtp and (not email_url.hostname or email_url.path.strip("/")):
        raise ImproperlyConfigured(
            "EMAIL_URL must be such as smtp+tls://USER:PASSWORD@HOST:587, with special characters percent-encoded."
        )
    if not is_smtp and email_url.scheme not in {"consolemail", "filemail"}:
        raise ImproperlyConfigured("EMAIL_URL must begin with smtp://, smtp+tls:// or smtp+ssl://.")
    vars().update(env.email_url_config(EMAIL_URL))
    if is_smtp and not email_url.port:
        EMAIL_PORT = {"smtp": 25, "smtp+ssl": 465}.get(email_url.scheme, 587)
EMAIL_TIMEOUT = 5  # seconds, for each step of the conversation
# Where people open the panel: links in e-mails begin with it.
_host = next((name for name in ALLOWED_HOSTS if name.strip(".*")), "").lstrip(".")
_default_url = f"https://{_host}" if BEHIND_PROXY and _host else f"http://127.0.0.1:{PORT}"
SITE_URL = (env.str("SITE_URL", "") or _default_url).rstrip("/")
_refuse_broken_url("SITE_URL", SITE_URL)
if urlsplit(SITE_URL).scheme not in {"http", "https"} or not urlsplit(SITE_URL).hostname:
    raise ImproperlyConfigured("SITE_URL must be such as https://panel.example.")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "") or f"Affiliate Postbacks <postbacks@{_host or 'localhost'}>"
if "@" not in parseaddr(DEFAULT_FROM_EMAIL)[1] or "\n" in DEFAULT_FROM_EMAIL or "\r" in DEFAULT_FROM_EMAIL:
    raise ImproperlyConfigured("DEFAULT_FROM_EMAIL must be an e-mail address, such as postbacks@shop.example.")

# --- people ------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# The first one hashes; a password that another one hashed is hashed anew when its owner logs in.
PASSWORD_HASHERS = [
    "config.security.sign_in.PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "portal:login"
LOGIN_REDIRECT_URL = "portal:home"
LOGOUT_REDIRECT_URL = "portal:login"
REQUIRE_TWO_FACTOR = env.bool("REQUIRE_TWO_FACTOR", False)
AXES_HANDLER = "config.security.sign_in.LogInThrottle"  # which counts by address alone too
AXES_USERNAME_CALLABLE = "config.security.sign_in.name_to_count"
AXES_CLIENT_IP_CALLABLE = "config.request.throttled_address"
AXES_FAILURE_LIMIT = 10  # of one name from one address
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # the log says who was locked out

# --- the browser -------------------------------------------------------------
# The portal speaks all of them, the panel and the API the first one.
LANGUAGES = [("en", "English"), ("es", "Español")]
LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
USE_TZ = True
# Numbers that people read are separated by the filter `intcomma`; those in addresses and forms never are.
USE_THOUSAND_SEPARATOR = False
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"  # written at the start of the web process
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # no page takes a file
    "staticfiles": {"BACKEND": "config.static_files.Storage"},
}
WHITENOISE_USE_FINDERS = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_SSL_REDIRECT = env.bool("HTTPS_REDIRECT") if env.str("HTTPS_REDIRECT", "") else BEHIND_PROXY
try:
    SECURE_HSTS_SECONDS = int(env.str("HSTS_SECONDS", "") or (31_536_000 if BEHIND_PROXY else 0))
except ValueError:
    raise ImproperlyConfigured("HSTS_SECONDS must be a number of seconds; 0 sends none.") from None
# Whether other hosts of the domain are to be reached by TLS only is not this application's to say.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = BEHIND_PROXY or env.bool("SECURE_COOKIES", False)
if SESSION_COOKIE_SECURE:  # no other host of the domain can set a cookie of such a name
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # one cookie less, and what it tells
DATA_UPLOAD_MAX_MEMORY_SIZE = (
    10 * 2**20
)  # that of /intake/; the limits elsewhere, which are lower, are the middleware's
FILE_UPLOAD_HANDLERS = ["config.middleware.NoUploads"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- who watches ---------------------------------------------------------------
METRICS_TOKEN = env.str("METRICS_TOKEN", "")

# --- when it fails -----------------------------------------------------------
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.views.ErrorReportFilter"

# --- log ---------------------------------------------------------------------
LOG_LEVEL = (env.str("LOG_LEVEL", "") or "INFO").upper()
if LOG_LEVEL not in logs.LEVELS:
    raise ImproperlyConfigured("LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
LOG_FORMAT = (env.str("LOG_FORMAT", "") or "text").lower()
if LOG_FORMAT not in logs.FORMATS:
    raise ImproperlyConfigured("LOG_FORMAT must be text or json.")
LOGGING_CONFIG = "config.monitoring.logs.configure"
LOGGING = logs.configuration(
    LOG_LEVEL,
    LOG_FORMAT,
    secrets=[
        *logs.secrets_in(DATABASE_URL, REDIS_URL, CALLBACKS_PROXY_URL, env.str("EMAIL_URL", "")),
        *(SECRET_KEY, METRICS_TOKEN),
    ],
)
