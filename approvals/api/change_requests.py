"""Change requests: the way in for every change of what is served."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Document, Key, Moment, Text, Whole
from approvals import rollback, workflow
from approvals.api.change_shown import (
    ChangePreviewSerializer,
    ChangeRequestDetailSerializer,
    ChangeRequestSerializer,
    OfChangeRequests,
    effects_in_words,
)
from approvals.models import ChangeRequest
from approvals.waiting import waiting_for

_SUBJECT = "project/shop/environment/production/flag/new-checkout"


class ChangeRequestFilter(Body):
    """Filters of change requests."""

    project = Key(required=False)
    environment = Key(required=False)
    state = Choice(choices=ChangeRequest.State.choices, required=False)
    proposer = Text(required=False, max_length=64)
    waiting = Choice(
        choices=[("true", "for you")],
        required=False,
        help_text="`true`: those in review that you may approve, and neither proposed nor gave a verdict on.",
    )


class OperationBody(Body):
    """One change: the whole document that should stand at a subject."""

    subject = Text(max_length=512)
    after = Document(allow_null=True, help_text="null takes a policy, or all roles of a member, away.")


class ChangeBody(Body):
    """What to change, why, and on what it is based."""

    title = Text(max_length=200, help_text="In a few words.")
    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)
    operations = serializers.ListField(child=OperationBody(), min_length=1, max_length=100)
    base = serializers.DictField(
        child=Whole(min_value=0),
        required=False,
        help_text="The version of each subject that you saw; 0 where nothing stands yet. Without it, 409.",
    )
    not_before = Moment(required=False, help_text="The approval holds from then on.")
    scheduled_at = Moment(
        required=False,
        allow_null=True,
        help_text="When to apply it, once approved. Left out: at once. Null: when somebody says so.",
    )
    confirm_within = Whole(
        required=False,
        min_value=workflow.SHORTEST_CONFIRMATION,
        max_value=workflow.LONGEST_CONFIRMATION,
        help_text="Seconds after which it is taken back, unless somebody confirmed it.",
    )
    ends_at = Moment(required=False, help_text="When it is taken back as planned, under the same approval.")


class NewChangeBody(ChangeBody):
    """A change to propose."""

    project = Key()


_CHANGE = {
    "title": "New checkout for everyone",
    "rationale": "The test has shown no errors for a week.",
    "ticket": "SHOP-123",
    "operations": [
        {"subject": _SUBJECT, "after": {"enabled": True, "off": "off", "default": {"variant": "on"}}}
    ],
    "base": {_SUBJECT: 3},
}
_TOUR = "project/shop/environment/{}/flag/guided-tour"
_CHANGE_SET = {
    "project": "shop",
    "title": "A guided tour for beta testers",
    "rationale": "For newcomers.",
    "operations": [
        {
            "subject": "project/shop/flag/guided-tour",
            "after": {
                "name": "Guided tour",
                "type": "boolean",
                "kind": "release",
                "variants": {"on": True, "off": False},
                "temporary": True,
                "expires_at": "2027-01-31T00:00:00.000000Z",
            },
        },
        {
            "subject": _TOUR.format("staging"),
            "after": {"enabled": True, "off": "off", "default": {"variant": "on"}},
        },
        {
            "subject": _TOUR.format("production"),
            "after": {"enabled": False, "off": "off", "default": {"variant": "on"}},
        },
    ],
    "base": {
        "project/shop/flag/guided-tour": 0,
        _TOUR.format("staging"): 0,
        _TOUR.format("production"): 0,
    },
}
_EDITED = OpenApiExample("Turn a flag on in production", _CHANGE, request_only=True)
_PROPOSED = OpenApiExample("Turn a flag on in production", {"project": "shop", **_CHANGE}, request_only=True)
_TOGETHER = OpenApiExample(
    "A new flag and what it does in two environments, all or nothing", _CHANGE_SET, request_only=True
)


class ChangeRequests(OfChangeRequests):
    """Every change of what is served. Where no approval is asked for, it is applied at once."""

    ordering = ("-pk",)

    @extend_schema(parameters=[ChangeRequestFilter], responses=ChangeRequestSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The requests in the projects that you see, newest first."""
        given = self.filters(request, ChangeRequestFilter)
        rows = self.seen(request)
        for name, column in (("project", "project__key"), ("state", "state"), ("proposer", "proposer")):
            if name in given:
                rows = rows.filter(**{column: given[name]})
        if "waiting" in given:
            mine = self.visible(request, "change.approve")
            rows = waiting_for(self.actor(request), rows.filter(project__in=mine))
        if "environment" in given:
            # A subquery: a join would show a request once per environment.
            reached = ChangeRequest.objects.filter(environments__key=given["environment"])
            rows = rows.filter(pk__in=reached.values("pk"))
        pages = self.pagination_class()
        shown = pages.paginate_queryset(
            rows.select_related("plan").prefetch_related("environments", "reverted_by", "taken_back"),
            request,
            self,
        )
        context = {"inverses": rollback.inverses_of(shown)}
        return pages.get_paginated_response(ChangeRequestSerializer(shown, many=True, context=context).data)

    @extend_schema(
        request=NewChangeBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[_PROPOSED, _TOGETHER],
    )
    def create(self, request: Request) -> Response:
        """Propose a change; where no approval is asked for, it is applied in the same step."""
        given = self.body(request, NewChangeBody)
        project = self.project(request, given.pop("project"))
        made = workflow.change(self.actor(request), project, **_change(given))
        return self.shown(made, 201)

    @extend_schema(request=NewChangeBody, responses=ChangePreviewSerializer, examples=[_PROPOSED])
    def preview(self, request: Request) -> Response:
        """What a change would do and need: refused as it would be when proposed. Nothing is kept."""
        given = self.body(request, NewChangeBody)
        project = self.project(request, given.pop("project"))
        made, environments, findings = workflow.preview(self.actor(request), project, **_change(given))
        shown = {
            "environments": [environment.key for environment in environments],
            "required_approvals": made.required_approvals,
            "applied_at_once": made.state == ChangeRequest.State.APPROVED and workflow.is_due(made),
            "effects": effects_in_words(made),
            "checks": findings,
            "change": made.change,
        }
        return Response(ChangePreviewSerializer(shown).data)

    @extend_schema(responses=ChangeRequestDetailSerializer)
    def retrieve(self, request: Request, number: int) -> Response:
        """A request with its change, digest, reviews and effects in words."""
        self.filters(request)
        return self.shown(self.one(request, number))

    @extend_schema(request=ChangeBody, responses=ChangeRequestDetailSerializer, examples=[_EDITED])
    def update(self, request: Request, number: int) -> Response:
        """Edit an open request: a new revision, whose approvals begin again. The proposer may."""
        given = self.body(request, ChangeBody)
        row = self.one(request, number)
        return self.shown(workflow.revise(self.actor(request), row, **_change(given)))


def _change(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the verbs. Every subject must have its base: without it, there is a conflict."""
    return {"base": {}, **given}
