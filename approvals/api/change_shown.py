"""How the API shows a change request, and what a change would do."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.endpoint import Endpoint
from approvals import rollback, workflow
from approvals.effects import effects_of, extent
from approvals.merging import ABSENT, Member
from approvals.models import ChangeRequest, Review
from approvals.rollback import Inverse


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

    pointer = serializers.CharField(
        help_text="A JSON pointer (RFC 6901); a rule is named by its id, a unit among targets by its key."
    )
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


class OfChangeRequests(Endpoint):
    """Finding a request that the caller sees, and showing what became of it."""

    # What their operations are named for, whichever class has the verb.
    resource = "ChangeRequests"

    def seen(self, request: Request) -> QuerySet[ChangeRequest]:
        return ChangeRequest.objects.filter(project__in=self.visible(request)).select_related("project")

    def one(self, request: Request, number: int) -> ChangeRequest:
        row = self.seen(request).filter(pk=number).first()
        if row is None:
            raise NotFound(f"There is no change request {number} that you see.")
        return row

    def shown(self, row: ChangeRequest, status: int = 200) -> Response:
        context = {"actor": self.actor(self.request)}
        return Response(ChangeRequestDetailSerializer(row, context=context).data, status)
