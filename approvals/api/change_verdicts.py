"""What people say to a change request: verdicts on what they saw, and comments."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Text, Truth, Whole
from approvals import workflow
from approvals.api.change_shown import (
    ChangeRequestDetailSerializer,
    OfChangeRequests,
    ReviewSerializer,
)


class ApproveBody(Body):
    """A verdict on what was seen."""

    digest = Text(max_length=71, help_text="Of the revision that you saw.")
    comment = Text(required=False, allow_blank=True, max_length=4_000)


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
    parent = Whole(  # type: ignore[assignment]
        min_value=1, required=False, help_text="The number of the comment that it answers."
    )


class ResolveBody(Body):
    """A thread of comments, settled or not."""

    comment = Whole(min_value=1, help_text="The number of a comment of the thread.")
    resolved = Truth(default=True, help_text="False: it is open again.")


_VERDICT = OpenApiExample(
    "What was seen", {"digest": f"sha256:{'5e' * 32}", "comment": "As agreed."}, request_only=True
)


class ChangeVerdicts(OfChangeRequests):
    """Approving, rejecting, withdrawing, commenting, settling what was commented."""

    @extend_schema(request=ApproveBody, responses=ChangeRequestDetailSerializer, examples=[_VERDICT])
    def approve(self, request: Request, number: int) -> Response:
        """Approve what you saw. The last approval applies what is due; `problem` says why it did not."""
        given = self.body(request, ApproveBody)
        row = self.one(request, number)
        return self.shown(workflow.approve(self.actor(request), row, **given))

    @extend_schema(request=ApproveBody, responses=ChangeRequestDetailSerializer, examples=[_VERDICT])
    def reject(self, request: Request, number: int) -> Response:
        """Reject what you saw: nothing of it will be carried out."""
        given = self.body(request, ApproveBody)
        row = self.one(request, number)
        return self.shown(workflow.reject(self.actor(request), row, **given))

    @extend_schema(request=None, responses=ChangeRequestDetailSerializer)
    def withdraw(self, request: Request, number: int) -> Response:
        """Take your own request back."""
        self.body(request)
        row = self.one(request, number)
        return self.shown(workflow.withdraw(self.actor(request), row))

    @extend_schema(
        request=CommentBody,
        responses={201: ReviewSerializer},
        examples=[OpenApiExample("A question", {"comment": "Why not on Monday?"}, request_only=True)],
    )
    def comment(self, request: Request, number: int) -> Response:
        """Say something about it. Comments are not part of the evidence."""
        given = self.body(request, CommentBody)
        row = self.one(request, number)
        review = workflow.comment(self.actor(request), row, given.pop("comment"), **given)
        return Response(ReviewSerializer(review).data, 201)

    @extend_schema(
        request=ResolveBody,
        responses=ReviewSerializer,
        examples=[OpenApiExample("Settled", {"comment": 7}, request_only=True)],
    )
    def resolve(self, request: Request, number: int) -> Response:
        """Say that a thread of comments is settled, or open again. Answers the comment that opened it."""
        given = self.body(request, ResolveBody)
        row = self.one(request, number)
        opener = workflow.resolve(self.actor(request), row, given["comment"], resolved=given["resolved"])
        return Response(ReviewSerializer(opener).data)
