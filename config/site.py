"""The admin site: Unfold's shell around the pages that the apps' `admin` packages bring."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.contrib.auth.forms import AuthenticationForm as AnyoneActive
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from access.models import User
from access.permissions import request_id
from access.signin import local_door
from access.signin.lockout import explained
from access.signin.models import IdentityProvider

# Each has `urlpatterns`: the pages that it adds below /admin/, named in the namespace `admin`.
PAGES = (
    "access.admin.urls",
    "flags.admin.urls",
    "approvals.admin.urls",
    "audit.admin.urls",
    "distribution.admin",
)


class SignInForm(AuthenticationForm):
    """Anyone active may sign in; what they may see is a question of memberships, not of `is_staff`."""

    def confirm_login_allowed(self, user: Any) -> None:
        AnyoneActive.confirm_login_allowed(self, user)

    def get_invalid_login_error(self) -> ValidationError:
        if getattr(self.request, "axes_locked_out", False):
            return ValidationError(explained(self.request, self.cleaned_data.get("username", "")))
        return super().get_invalid_login_error()


class ControlPlaneSite(UnfoldAdminSite):
    """Unfold's site for everybody with an account. Stock model pages keep asking for their permissions."""

    login_form = SignInForm
    login_template = "countersign/sign_in.html"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_authenticated)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        providers = IdentityProvider.objects.filter(is_enabled=True)
        answer = super().login(request, {**(extra_context or {}), "providers": providers})
        if getattr(request, "axes_locked_out", False):
            answer.status_code = 429
        if request.method == "POST" and answer.status_code == 302 and isinstance(request.user, User):
            local_door.used(request.user, request_id(request.headers))
        return answer

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect("admin:home")

    def extra_urls(self) -> list[URLPattern]:
        """The pages of all apps. Signing in is asked for here, so that no page can forget to."""
        return [
            URLPattern(pattern.pattern, self.admin_view(pattern.callback), pattern.default_args, pattern.name)
            for module in PAGES
            for pattern in import_module(module).urlpatterns
        ]
