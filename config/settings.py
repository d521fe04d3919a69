"""Settings, from the environment; without any, the embedded default (see docs/settings.md).

Mistakes in them are system checks (`config/checks.py`), so that `manage.py check` says what is wrong.
"""

import secrets
from datetime import timedelta
from pathlib import Path

import environ
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.urls import reverse_lazy

from audit.secret_files import kept_secret
from config.api_description import DESCRIPTION, TAGS
from config.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- where state lives ---------------------------------------------------------------------------
DATA_DIR = Path(env.str("COUNTERSIGN_DATA", str(BASE_DIR / "var"))).absolute()
DATABASES = {"default": env.db_url("DATABASE_URL", f"sqlite:///{DATA_DIR}/countersign.sqlite3")}
REDIS_URL: str | None = env.str("REDIS_URL", "") or None
ON_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
# Embedded: one process holds web, worker and beat as threads; an in-memory broker joins them.
EMBEDDED = REDIS_URL is None

if ON_SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that will write takes its lock at the start: no upgrade in the middle can fail.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA busy_timeout=20000;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
else:
    # Options of the URL stay, e.g. ?host=/run/postgresql or ?sslmode=verify-full.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 0, "max_size": 10, "timeout": 10}
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["ATOMIC_REQUESTS"] = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- identity of this installation ---------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
if not SECRET_KEY:  # made once and kept; `config.E001` refuses that where several hosts would differ
    SECRET_KEY = kept_secret(DATA_DIR / "keys" / "django", lambda: secrets.token_urlsafe(38))
# Former ones, while it rotates: they still open sessions and sealed secrets.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
BASE_URL = env.str("COUNTERSIGN_BASE_URL", f"http://localhost:{env.int('COUNTERSIGN_PORT', 8000)}").rstrip(
    "/"
)
# The name under which snapshots and the ledger are signed; it outlives every host name.
ORIGIN = env.str("COUNTERSIGN_ORIGIN", "countersign.localhost")
# Base64 Ed25519 seeds. Embedded, they are made once and kept beside the database.
LEDGER_KEY = env.str("COUNTERSIGN_LEDGER_KEY", "")
SNAPSHOT_KEY = env.str("COUNTERSIGN_SNAPSHOT_KEY", "")
# Requests a second that one web process answers to one SDK key, or to one address; `config.E008` reads them.
KEY_RATE = env.str("COUNTERSIGN_KEY_RATE", "1000")
ADDRESS_RATE = env.str("COUNTERSIGN_ADDRESS_RATE", "100")
_host = BASE_URL.split("//", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=sorted({_host, "localhost", "127.0.0.1"}))
CSRF_TRUSTED_ORIGINS = [BASE_URL]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "config.apps.ControlPlaneAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "simple_history",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "axes",
    "config",
    "audit",
    "access",
    "flags",
    "approvals",
    "distribution",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "access.signin.sessions.session_limits",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
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

# --- people --------------------------------------------------------------------------------------
AUTH_USER_MODEL = "access.User"
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
# Seconds: a session that nobody uses, and any session (`access.signin.sessions`).
SESSION_IDLE = env.int("COUNTERSIGN_SESSION_IDLE_HOURS", 8) * 3600
SESSION_LONGEST = SESSION_COOKIE_AGE = env.int("COUNTERSIGN_SESSION_HOURS", 72) * 3600
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Ten wrong passwords, for one name or from one address, close the local door for a quarter of an hour. Success forgets
# none: with an account of one's own one could go on guessing for ever.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
# A browser in which somebody signed in before is counted by itself, so that strangers cannot shut it out.
AXES_LOCKOUT_PARAMETERS = "access.signin.known_browsers.counted_by"
AXES_USERNAME_CALLABLE = "access.signin.known_browsers.counted_as"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "access.signin.lockout.address_of"
AXES_DISABLE_ACCESS_LOG = True
# What the rows of wrong attempts do not keep of a form.
AXES_SENSITIVE_PARAMETERS = ["username", "code", "credential"]
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
# Its middleware would put an answer of its own in place of the sign-in page, which says it (`config.site`).
SILENCED_SYSTEM_CHECKS = ["axes.W002"]
# Signing in through identity providers (`access.signin`), which are rows of ours, not settings.
ACCOUNT_ADAPTER = "access.signin.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "access.signin.adapters.ProviderAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*"]
ACCOUNT_EMAIL_VERIFICATION = SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_EMAIL_NOTIFICATIONS = False
SOCIALACCOUNT_STORE_TOKENS = False
# Second factors (`access.signin.factors`); whether one is asked for is a row of ours too.
MFA_ADAPTER = "access.signin.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Codes of the half minute before and after hold as well: clocks differ. None holds twice.
MFA_TOTP_TOLERANCE = 1
# A passkey sign-in asks twice, and an office shares an address; there is nothing to guess.
MFA_RATE_LIMITS = {"webauthn_login": "120/m/ip"}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- the gate ------------------------------------------------------------------------------------
# Hours within which a kill, or a revert at once, is to be reviewed; then everybody is told, daily.
EMERGENCY_REVIEW_HOURS = env.int("COUNTERSIGN_EMERGENCY_REVIEW_HOURS", 24)

# --- machines ------------------------------------------------------------------------------------
# Days that an API token lasts at most; 0: for ever.
TOKEN_DAYS = env.int("COUNTERSIGN_TOKEN_DAYS", 365)
# Requests a second to the API of one web process with one token or by one person; 0: any number.
API_RATE = env.int("COUNTERSIGN_API_RATE", 50)
# Identity providers, and issuers of pipelines' tokens, that may have a private address, or be plain http.
PRIVATE_ISSUERS = env.list("COUNTERSIGN_PRIVATE_ISSUERS", default=[])
# Hosts of webhooks and chats that may have a private address; webhooks there may be plain http.
PRIVATE_RECEIVERS = env.list("COUNTERSIGN_PRIVATE_RECEIVERS", default=[])

# --- safety of pages -----------------------------------------------------------------------------
_https = BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # Unfold's Alpine evaluates expressions and sets styles; it works with these and no more.
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- text and time -------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
# Seconds that the mail server may take for a step.
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "countersign@localhost")

# --- scheduled work ------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://"
# A broker that hangs must not hold up the request that only hints at it.
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.02} if EMBEDDED else {"socket_connect_timeout": 2, "socket_timeout": 5}
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_ACKS_LATE = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "access.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.handle",
    # An answer's form is negotiated by `Accept` alone: a parameter would be one more unknown filter.
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": DESCRIPTION,
    "TAGS": TAGS,
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVERS": [{"url": BASE_URL}],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Two members called `state` and three called `kind`: each set of words has a name of its own.
    "ENUM_NAME_OVERRIDES": {
        "ChangeRequestState": "approvals.models.ChangeRequest.State",
        "RolloutPlanState": "flags.models.RolloutPlan.State",
        "FlagKind": "flags.models.Flag.Kind",
        "EnvironmentKind": "flags.models.Environment.Kind",
        "Role": "access.roles.Role",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "config.log_lines.Lines",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "axes": {"level": "WARNING"},
        # It would name addresses whole, which are secrets; the log of deliveries says what failed.
        "apprise": {"level": "CRITICAL"},
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "ERROR"},
        "celery.worker": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
