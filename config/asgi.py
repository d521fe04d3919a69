"""The server: the read plane as raw ASGI in front of Django, and in embedded mode worker and beat as threads."""

import os
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()

from config.embedded import Application, Lifespan  # noqa: E402  (needs the apps to be ready)

# Django's types allow less than ASGI does: what both mean is the same.
application = Lifespan(cast(Application, django_application))
