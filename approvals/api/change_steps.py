"""What becomes of a change request: brought up to date, scheduled, applied, kept."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Moment
from approvals import workflow
from approvals.api.change_shown import (
    ChangeRequestDetailSerializer,
    OfChangeRequests,
)


class ScheduleBody(Body):
    """A time."""

    scheduled_at = Moment(allow_null=True, help_text="Null: when somebody says so.")


class ChangeSteps(OfChangeRequests):
    """From what was proposed to what is served."""

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def rebase(self, request: Request, number: int) -> Response:
        """Make a new revision for what stands now, where no member collides. The proposer may."""
        self.body(request)
        row = self.one(request, number)
        return self.shown(workflow.rebase(self.actor(request), row))

    @extend_schema(
        request=ScheduleBody,
        responses=ChangeRequestDetailSerializer,
        examples=[
            OpenApiExample("In the morning", {"scheduled_at": "2027-01-04T07:00:00Z"}, request_only=True)
        ],
    )
    def schedule(self, request: Request, number: int) -> Response:
        """Say when it is to be applied."""
        given = self.body(request, ScheduleBody)
        row = self.one(request, number)
        return self.shown(workflow.schedule(self.actor(request), row, given["scheduled_at"]))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def apply(self, request: Request, number: int) -> Response:
        """Carry an approved request out, all of it or nothing."""
        self.body(request)
        row = self.one(request, number)
        return self.shown(workflow.apply(self.actor(request), row))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def confirm(self, request: Request, number: int) -> Response:
        """Keep what would be taken back because nobody confirmed it."""
        self.body(request)
        row = self.one(request, number)
        return self.shown(workflow.confirm(self.actor(request), row))
