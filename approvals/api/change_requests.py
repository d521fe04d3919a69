"""Change requests: the way in for every change of what is served."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Document, Key, Moment, Text, Whole
from access.api.endpoint import Endpoint
from approvals import rollback, workflow
from approvals.effects import effects_of, extent
from approvals.merging import ABSENT, Member
from approvals.models import ChangeRequest, Review
from approvals.rollback import Inverse
from approvals.waiting import waiting_for
from audit.models import Event

_SUBJECT = "project/shop/environment/production/flag/new-checkout"


class ReviewSerializer(serializers.ModelSerializer[Review]):
    """What somebody said to one revision of a request.

    Of a comment on a line, `subject` and `pointer` name the member; of an answer, `parent` the comment that
    opened the thread.
    """

    number = serializers.IntegerField(source="pk", help_text="What an answer names as its parent.")

    class Meta:
        model = Review
        fields = (
            "number",
            "change_id",
            "digest",
            "reviewer",
            "verdict",
            "comment",
            "created_at",
            "subject",
            "pointer",
            "parent",
            "resolved_by",
            "resolved_at",
        )


class ChangeRequestSerializer(serializers.ModelSerializer[ChangeRequest]):
    """A proposed change, and what became of it."""

    project = serializers.CharField(source="project.key")
    number = serializers.IntegerField(help_text="What its address names.")
    change_id = serializers.CharField(help_text="`CR-12`, after an edit `CR-12.2`.")
    environments = serializers.SerializerMethodField(help_text="The keys of those it reaches.")
    rationale = serializers.CharField()
    ticket = serializers.CharField()
    problem = serializers.CharField(help_text="Why the last attempt to apply it did not succeed.")
    rollout_plan = serializers.SerializerMethodField(help_text="The number of its plan, where it is one.")
    reverts = serializers.IntegerField(
        source="reverts_id", allow_null=True, help_text="The number of the request that this takes back."
    )
    reverted_by = serializers.SerializerMethodField(help_text="Numbers of requests that take this one back.")
    taken_back = serializers.SerializerMethodField(help_text="Whether on-call took it back at once.")
    revertible = serializers.SerializerMethodField(
        help_text="Whether its inverse applies cleanly now; null: it was not applied."
    )

    class Meta:
        model = ChangeRequest
        fields: tuple[str, ...] = (
            "project",
            "number",
            "change_id",
            "revision",
            "title",
            "rationale",
            "ticket",
            "state",
            "environments",
            "proposer",
            "required_approvals",
            "digest",
            "scheduled_at",
            "problem",
            "rollout_plan",
            "reverts",
            "reverted_by",
            "taken_back",
            "revertible",
            "created_at",
            "updated_at",
            "applied_at",
            "confirm_by",
            "ends_at",
        )

    def get_environments(self, row: ChangeRequest) -> list[str]:
        # Sorted here, because `order_by` would pass the prefetched rows by.
        reached = sorted(row.environments.all(), key=lambda each: (each.position, each.key))
        return [environment.key for environment in reached]

    def get_rollout_plan(self, row: ChangeRequest) -> int | None:
        return row.number if row.plan_id else None

    def get_reverted_by(self, row: ChangeRequest) -> list[int]:
        return sorted(each.number for each in row.reverted_by.all())

    def get_taken_back(self, row: ChangeRequest) -> bool:
        return bool(row.taken_back.all())

    def get_revertible(self, row: ChangeRequest) -> bool | None:
        if row.state != ChangeRequest.State.APPLIED:
            return None
        inverses: dict[int, Inverse] = self.context.get("inverses") or {row.pk: rollback.inverse_of(row)}
        return inverses[row.pk].is_clean


class WayBackSerializer(serializers.Serializer[Any]):
    """How an applied request can be taken back."""

    obstacles = serializers.ListField(
        child=serializers.CharField(), help_text="Why its inverse does not apply cleanly, a sentence each."
    )
    stays = serializers.ListField(child=serializers.CharField(), help_text="What stays all the same.")
    operations = serializers.ListField(
        child=serializers.DictField(), help_text="What reverting asks for: `subject` and `after` each."
    )
    at_once = serializers.BooleanField(help_text="Whether who may kill may take it back without review.")
    why_not_at_once = serializers.CharField()


class FindingSerializer(serializers.Serializer[Any]):
    """What a check says of a change."""

    check = serializers.CharField(
        help_text="`conflict`, `policy`, `validity`, `freeze` or `expectation`; of warnings `unreachable-rule`, "
        "`segment`, `re-deal` or `prerequisite`."
    )
    severity = serializers.ChoiceField(
        choices=[("block", "refuses to apply"), ("warn", "for people to weigh")]
    )
    subject = serializers.CharField(help_text="What it is about; empty: the request.")
    member = serializers.CharField(help_text="A JSON pointer into the document there; empty: all of it.")
    text = serializers.CharField()
    next = serializers.CharField(help_text="What can be done, and who can.")
    open_slot = serializers.DateTimeField(
        allow_null=True, help_text="When a freeze would let it through; null: no freeze, or none in a year."
    )


class MemberSerializer(serializers.Serializer[Any]):
    """A member of a document, three ways. Null also where there is none."""

    pointer = serializers.CharField(help_text="A JSON pointer (RFC 6901).")
    seen = serializers.SerializerMethodField(help_text="In the version that the request was made for.")
    now = serializers.SerializerMethodField(help_text="In the version that stands.")
    proposed = serializers.SerializerMethodField(help_text="In what the request asks for.")
    collides = serializers.BooleanField(help_text="Whether both changed it, to different values.")

    def get_seen(self, row: Member) -> Any:
        return None if row.seen is ABSENT else row.seen

    def get_now(self, row: Member) -> Any:
        return None if row.now is ABSENT else row.now

    def get_proposed(self, row: Member) -> Any:
        return None if row.proposed is ABSENT else row.proposed


class DivergenceSerializer(serializers.Serializer[Any]):
    """A subject that changed since the request was made for it."""

    subject = serializers.CharField()
    seen_version = serializers.IntegerField()
    version = serializers.IntegerField(help_text="That stands now.")
    members = MemberSerializer(many=True, help_text="Those in which the three documents differ.")


class ChangeRequestDetailSerializer(ChangeRequestSerializer):
    """A request with everything a reviewer needs."""

    change = serializers.DictField(help_text="What is reviewed: the change of the ledger-bundle format.")
    extent = serializers.SerializerMethodField(
        help_text="How much it is about: `2 flags, in 3 environments`."
    )
    effects = serializers.SerializerMethodField(help_text="The change in words.")
    way_back = serializers.SerializerMethodField(help_text="Null: it was not applied.")
    reviews = ReviewSerializer(many=True)
    checks = serializers.SerializerMethodField(
        help_text="What stands in its way now, first what blocks; empty once it is closed."
    )
    conflicts = serializers.SerializerMethodField(
        help_text="What changed since it was made: where no member collides, `rebase` brings it up to date."
    )

    class Meta(ChangeRequestSerializer.Meta):
        fields = (
            *ChangeRequestSerializer.Meta.fields,
            "extent",
            "effects",
            "checks",
            "conflicts",
            "way_back",
            "reviews",
            "change",
        )

    @extend_schema_field(FindingSerializer(many=True))
    def get_checks(self, row: ChangeRequest) -> Any:
        found = workflow.check_request(row, self.context.get("actor")) if row.is_open else []
        return FindingSerializer(found, many=True).data

    @extend_schema_field(DivergenceSerializer(many=True))
    def get_conflicts(self, row: ChangeRequest) -> Any:
        return DivergenceSerializer(workflow.divergences(row) if row.is_open else [], many=True).data

    @extend_schema_field(WayBackSerializer(allow_null=True))
    def get_way_back(self, row: ChangeRequest) -> dict[str, Any] | None:
        if row.state != ChangeRequest.State.APPLIED:
            return None
        inverse, reason = rollback.inverse_of(row), workflow.why_not_at_once(row)
        shown = {
            "obstacles": inverse.obstacles,
            "stays": inverse.stays,
            "operations": inverse.operations,
            "at_once": inverse.is_clean and not reason,
            "why_not_at_once": reason,
        }
        return dict(WayBackSerializer(shown).data)

    def get_extent(self, row: ChangeRequest) -> str:
        return extent(row.change)

    def get_effects(self, row: ChangeRequest) -> list[str]:
        return effects_in_words(row)


def effects_in_words(row: ChangeRequest) -> list[str]:
    """What the operations of a request do, a sentence each; later ones begin with when."""
    return [
        f"{effect.label}: {sentence}" if effect.label else sentence
        for effect in effects_of(row.change, row.project.environments.all())
        for sentence in effect.sentences
    ]


class ChangePreviewSerializer(serializers.Serializer[Any]):
    """What a change would do and need."""

    environments = serializers.ListField(child=serializers.CharField(), help_text="The keys it reaches.")
    required_approvals = serializers.IntegerField()
    applied_at_once = serializers.BooleanField(help_text="Whether proposing it would apply it.")
    effects = serializers.ListField(child=serializers.CharField(), help_text="The change in words.")
    checks = FindingSerializer(many=True, help_text="What would stand in its way, first what blocks.")
    change = serializers.DictField(help_text="What would be reviewed. Its `id` is none that it will have.")


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
        min_value=60,
        max_value=604_800,
        help_text="Seconds after which it is taken back, unless somebody confirmed it.",
    )
    ends_at = Moment(required=False, help_text="When it is taken back as planned, under the same approval.")


class NewChangeBody(ChangeBody):
    """A change to propose."""

    project = Key()


class WhyBody(Body):
    """Why, and when, for a change that is otherwise known."""

    title = Text(required=False, max_length=200, help_text="Left out: one that says what it does.")
    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)
    scheduled_at = Moment(
        required=False,
        allow_null=True,
        help_text="When to apply it, once approved. Left out: at once. Null: when somebody says so.",
    )


class RevertBody(Body):
    """Taking back what was applied."""

    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)


class RestoreBody(WhyBody):
    """An earlier version to bring back."""

    project = Key()
    event = serializers.UUIDField(help_text="Of the history: what it put there is asked for again.")
    base = Whole(
        required=False,
        min_value=0,
        help_text="The version that stands there now, as you saw it; without it, 409.",
    )


class ApproveBody(Body):
    """A verdict on what was seen."""

    digest = Text(max_length=71, help_text="Of the revision that you saw.")
    comment = Text(required=False, allow_blank=True, max_length=4_000)


class ScheduleBody(Body):
    """A time."""

    scheduled_at = Moment(allow_null=True, help_text="Null: when somebody says so.")


class CommentBody(Body):
    """A comment."""

    comment = Text(max_length=4_000)
    subject = Text(
        max_length=512, required=False, allow_blank=True, help_text="Of the operation that it is about."
    )
    pointer = Text(
        max_length=512,
        required=False,
        allow_blank=True,
        help_text="The member of its document that it is about: RFC 6901.",
    )
    parent = serializers.IntegerField(  # type: ignore[assignment]
        min_value=1, required=False, help_text="The number of the comment that it answers."
    )


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
_VERDICT = OpenApiExample(
    "What was seen", {"digest": f"sha256:{'5e' * 32}", "comment": "As agreed."}, request_only=True
)


class ChangeRequests(Endpoint):
    """Every change of what is served. Where no approval is asked for, it is applied at once."""

    ordering = ("-pk",)

    @extend_schema(parameters=[ChangeRequestFilter], responses=ChangeRequestSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The requests in the projects that you see, newest first."""
        given = self.filters(request, ChangeRequestFilter)
        rows = self._seen(request)
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
        return self._shown(made, 201)

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
        return self._shown(self._request(request, number))

    @extend_schema(request=ChangeBody, responses=ChangeRequestDetailSerializer, examples=[_EDITED])
    def update(self, request: Request, number: int) -> Response:
        """Edit an open request: a new revision, whose approvals begin again. The proposer may."""
        given = self.body(request, ChangeBody)
        row = self._request(request, number)
        return self._shown(workflow.revise(self.actor(request), row, **_change(given)))

    @extend_schema(request=ApproveBody, responses=ChangeRequestDetailSerializer, examples=[_VERDICT])
    def approve(self, request: Request, number: int) -> Response:
        """Approve what you saw. The last approval applies what is due; `problem` says why it did not."""
        given = self.body(request, ApproveBody)
        row = self._request(request, number)
        return self._shown(workflow.approve(self.actor(request), row, **given))

    @extend_schema(request=ApproveBody, responses=ChangeRequestDetailSerializer, examples=[_VERDICT])
    def reject(self, request: Request, number: int) -> Response:
        """Reject what you saw: nothing of it will be carried out."""
        given = self.body(request, ApproveBody)
        row = self._request(request, number)
        return self._shown(workflow.reject(self.actor(request), row, **given))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def withdraw(self, request: Request, number: int) -> Response:
        """Take your own request back."""
        self.body(request)
        row = self._request(request, number)
        return self._shown(workflow.withdraw(self.actor(request), row))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def rebase(self, request: Request, number: int) -> Response:
        """Make a new revision for what stands now, where no member collides. The proposer may."""
        self.body(request)
        row = self._request(request, number)
        return self._shown(workflow.rebase(self.actor(request), row))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def apply(self, request: Request, number: int) -> Response:
        """Carry an approved request out, all of it or nothing."""
        self.body(request)
        row = self._request(request, number)
        return self._shown(workflow.apply(self.actor(request), row))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def confirm(self, request: Request, number: int) -> Response:
        """Keep what would be taken back because nobody confirmed it."""
        self.body(request)
        row = self._request(request, number)
        return self._shown(workflow.confirm(self.actor(request), row))

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
        row = self._request(request, number)
        return self._shown(workflow.schedule(self.actor(request), row, given["scheduled_at"]))

    @extend_schema(
        request=CommentBody,
        responses={201: ReviewSerializer},
        examples=[OpenApiExample("A question", {"comment": "Why not on Monday?"}, request_only=True)],
    )
    def comment(self, request: Request, number: int) -> Response:
        """Say something about it. Comments are not part of the evidence."""
        given = self.body(request, CommentBody)
        row = self._request(request, number)
        review = workflow.comment(self.actor(request), row, given.pop("comment"), **given)
        return Response(ReviewSerializer(review).data, 201)

    @extend_schema(
        request=RevertBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[
            OpenApiExample(
                "Go back", {"rationale": "Orders fail since.", "ticket": "SHOP-124"}, request_only=True
            )
        ],
    )
    def revert(self, request: Request, number: int) -> Response:
        """Ask for what stood before an applied request. 409 where that does not apply cleanly any more."""
        given = self.body(request, RevertBody)
        row = self._request(request, number)
        return self._shown(rollback.propose_revert(self.actor(request), row, **given), 201)

    @extend_schema(
        operation_id="change_requests_revert_at_once",
        request=None,
        responses=ChangeRequestDetailSerializer,
    )
    def revert_at_once(self, request: Request, number: int) -> Response:
        """Take back what was applied in the last 24 hours, without review, where policy allows on-call to.

        What is carried out was approved with the change itself; somebody reviews afterwards that it was
        taken back, as after a kill.
        """
        self.body(request)
        row = self._request(request, number)
        workflow.revert_at_once(self.actor(request), row)
        return self._shown(self._request(request, number))

    @extend_schema(
        request=RestoreBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[
            OpenApiExample(
                "As it was before the sale",
                {
                    "project": "shop",
                    "event": "3f2b8a53-7d0c-4f6e-9b1e-2a4f3c5d6e7f",
                    "rationale": "The sale is over.",
                    "base": 7,
                },
                request_only=True,
            )
        ],
    )
    def restore(self, request: Request) -> Response:
        """Ask for an earlier version of a configuration, definition or segment."""
        given = self.body(request, RestoreBody)
        project = self.project(request, given.pop("project"))
        event = Event.objects.filter(pk=given.pop("event"), project=project.key).first()
        if event is None:
            raise NotFound(f"There is no such event in {project.key}; take one of the history.")
        base = self.based(given, event.subject)
        made = rollback.propose_restore(self.actor(request), project, event, base=base, **given)
        return self._shown(made, 201)

    def _seen(self, request: Request) -> QuerySet[ChangeRequest]:
        return ChangeRequest.objects.filter(project__in=self.visible(request)).select_related("project")

    def _request(self, request: Request, number: int) -> ChangeRequest:
        row = self._seen(request).filter(pk=number).first()
        if row is None:
            raise NotFound(f"There is no change request {number} that you see.")
        return row

    def _shown(self, row: ChangeRequest, status: int = 200) -> Response:
        context = {"actor": self.actor(self.request)}
        return Response(ChangeRequestDetailSerializer(row, context=context).data, status)


def _change(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the verbs. Every subject must have its base: without it, there is a conflict."""
    return {"base": {}, **given}
