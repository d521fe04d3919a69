"""What happens to a flag as a whole: promoting, hibernating and waking, archiving and restoring it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key, Moment, Text, Whole
from access.api.endpoint import Endpoint
from approvals import archive, hibernation, promotion
from approvals.api.change_reverts import WhyBody
from approvals.api.change_shown import ChangeRequestDetailSerializer
from approvals.models import ChangeRequest
from flags.api.flags import find_flag
from flags.models import Environment


class PromotionFilter(Body):
    """From where, to where."""

    environment = Key(help_text="The environment that it comes from.")
    to = Key(required=False, help_text="Left out: the next in the order of promotion.")


class PromoteBody(WhyBody):
    """A promotion to ask for."""

    environment = Key(help_text="The environment that it comes from.")
    to = Key(required=False, help_text="Left out: the next in the order of promotion.")
    base = Whole(
        required=False,
        min_value=0,
        help_text="The `version` there that you saw; 0: it was never set there. Without it, 409.",
    )


class PromotionSerializer(serializers.Serializer[Any]):
    """What promoting would ask for."""

    environment = serializers.CharField(source="source.key", help_text="Where it comes from.")
    to = serializers.CharField(source="target.key")
    subject = serializers.CharField(help_text="The configuration that would change.")
    version = serializers.IntegerField(help_text="The version that stands there: the base.")
    travels = serializers.ListField(child=serializers.CharField(), help_text="What goes along.")
    stays = serializers.ListField(
        child=serializers.CharField(), help_text="What does not, or means something else there."
    )
    blockers = serializers.ListField(child=serializers.CharField(), help_text="Why it cannot be asked for.")
    effects = serializers.ListField(child=serializers.CharField(), help_text="The change in words.")
    after = serializers.DictField(help_text="The document that would stand there.")


class HibernateBody(WhyBody):
    """What is pinned, and until when."""

    variant = Text(max_length=128, help_text="What everyone gets, wherever the flag is on.")
    wake_at = Moment(help_text="When the owner is told to wake it.")
    plan = Text(required=False, allow_blank=True, max_length=4_000, help_text="What is to happen then.")


class ObstaclesSerializer(serializers.Serializer[Any]):
    """Whether a flag can be archived."""

    possible = serializers.BooleanField()
    obstacles = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps it, a sentence each."
    )


_WHY = OpenApiExample("Why", {"rationale": "It has done its work.", "ticket": "SHOP-123"}, request_only=True)


class FlagWays(Endpoint):
    """Each is asked for as a change request; where no approval is needed, it is applied at once."""

    @extend_schema(
        operation_id="flags_promotion", parameters=[PromotionFilter], responses=PromotionSerializer
    )
    def promotion(self, request: Request, project: str, flag: str) -> Response:
        """What promoting a flag to the next environment would ask for, and what cannot go along."""
        given = self.filters(request, PromotionFilter)
        row = find_flag(self, request, project, flag)
        source, target = self._places(request, project, given)
        return Response(PromotionSerializer(promotion.promotion_of(row, source, target)).data)

    @extend_schema(
        request=PromoteBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[
            OpenApiExample(
                "From staging to the next environment",
                {
                    "environment": "staging",
                    "rationale": "A week without errors.",
                    "ticket": "SHOP-123",
                    "base": 3,
                },
                request_only=True,
            )
        ],
    )
    def promote(self, request: Request, project: str, flag: str) -> Response:
        """Ask in the next environment for what the flag does in one."""
        given = self.body(request, PromoteBody)
        row = find_flag(self, request, project, flag)
        source, target = self._places(request, project, given)
        found = promotion.promotion_of(row, source, target)
        base = self.based(given, found.subject)
        return self._made(promotion.promote(self.actor(request), row, source, target, base=base, **given))

    @extend_schema(
        request=HibernateBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[
            OpenApiExample(
                "Everyone gets off until the new year",
                {"variant": "off", "wake_at": "2027-01-04T08:00:00Z", "plan": "Go on with a tenth."},
                request_only=True,
            )
        ],
    )
    def hibernate(self, request: Request, project: str, flag: str) -> Response:
        """Pin what a flag serves, until somebody wakes it."""
        given = self.body(request, HibernateBody)
        row = find_flag(self, request, project, flag)
        return self._made(hibernation.hibernate(self.actor(request), row, **given))

    @extend_schema(request=WhyBody, responses={201: ChangeRequestDetailSerializer}, examples=[_WHY])
    def wake(self, request: Request, project: str, flag: str) -> Response:
        """Bring back what stood before a flag hibernated."""
        given = self.body(request, WhyBody)
        row = find_flag(self, request, project, flag)
        return self._made(hibernation.wake(self.actor(request), row, **given))

    @extend_schema(operation_id="flags_archive_obstacles", responses=ObstaclesSerializer)
    def obstacles(self, request: Request, project: str, flag: str) -> Response:
        """Whether a flag can be archived, and what keeps it."""
        self.filters(request)
        reasons = archive.why_not(find_flag(self, request, project, flag))
        return Response(ObstaclesSerializer({"possible": not reasons, "obstacles": reasons}).data)

    @extend_schema(request=WhyBody, responses={201: ChangeRequestDetailSerializer}, examples=[_WHY])
    def archive(self, request: Request, project: str, flag: str) -> Response:
        """Take a flag out of lists and snapshots."""
        given = self.body(request, WhyBody)
        row = find_flag(self, request, project, flag)
        return self._made(archive.archive(self.actor(request), row, **given))

    @extend_schema(request=WhyBody, responses={201: ChangeRequestDetailSerializer}, examples=[_WHY])
    def unarchive(self, request: Request, project: str, flag: str) -> Response:
        """Bring an archived flag back, off everywhere."""
        given = self.body(request, WhyBody)
        row = find_flag(self, request, project, flag)
        return self._made(archive.unarchive(self.actor(request), row, **given))

    def _places(
        self, request: Request, project: str, given: dict[str, Any]
    ) -> tuple[Environment, Environment | None]:
        source = self.environment(request, project, given.pop("environment"))
        target = given.pop("to", None)
        return source, self.environment(request, project, target) if target else None

    def _made(self, made: ChangeRequest) -> Response:
        return Response(ChangeRequestDetailSerializer(made).data, 201)
