"""The server: the read plane as raw ASGI in front of Django, and in embedded mode worker and beat as threads."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()

from config.embedded import Lifespan  # noqa: E402  (needs the apps to be ready)

application = Lifespan(django_application)
