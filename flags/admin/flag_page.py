"""One flag: a sentence per environment, its history, how to call it."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from access.admin.pages import Page
from approvals.admin.pending import open_by_subject
from approvals.expectations import outcomes
from approvals.resulting import Resulting
from audit.admin.reading import told
from audit.models import Event
from flags import lifecycle
from flags.admin.flag_list import cells_of
from flags.documents import read_moment
from flags.models import Flag, RolloutPlan
from flags.subjects import Subject

HISTORY = 12
_METHODS = {
    "boolean": ("get_boolean_value", "False"),
    "string": ("get_string_value", '""'),
    "integer": ("get_integer_value", "0"),
    "float": ("get_float_value", "0.0"),
    "object": ("get_object_value", "{}"),
}


def snippet(flag: Flag) -> str:
    """How a Python service asks for the flag."""
    method, default = _METHODS[flag.type]
    return (
        "from countersign.client import Client\n\n"
        "client = Client()  # reads COUNTERSIGN_DSN\n"
        f'value = client.{method}("{flag.key}", {default}, {{"targetingKey": user_id}})'
    )


class FlagPage(Page):
    """A flag's page."""

    template = "countersign/flag.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = Flag.objects.filter(project=self.project, key=key).select_related("project", "owner").first()
        if flag is None:
            raise Http404
        environments = list(self.project.environments.all())
        pending = open_by_subject(self.project)
        subjects = [str(flag.subject), str(Subject("expectations", self.project.key, key))] + [
            str(Subject("configuration", self.project.key, key, each.key)) for each in environments
        ]
        events = Event.objects.filter(subject__in=subjects).order_by("-log_id", "-index")[:HISTORY]
        now = timezone.now()
        cells = cells_of(self.project, [flag], environments, pending)[flag.pk]
        return self.show(
            title=flag.key,
            flag=flag,
            cells=cells,
            is_on_somewhere=any(cell.is_on for cell in cells),
            wake_at=read_moment(flag.hibernation.get("wake_at")),
            pending=pending.get(str(flag.subject), []),
            history=told(self.project, list(events), environments),
            outcomes=list(outcomes(Resulting(self.project), [key])),
            snippet=snippet(flag),
            plans=list(
                RolloutPlan.objects.filter(flag=flag).select_related("environment").order_by("-pk")[:5]
            ),
            is_stale=lifecycle.stale(now).filter(pk=flag.pk).exists(),
            is_expired=flag.expires_at is not None and flag.expires_at <= now,
            lifetime=lifecycle.EXPECTED_LIFETIME.get(flag.kind),
            subject=f"flag/{flag.key}",
        )
