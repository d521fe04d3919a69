"""The admin site: Unfold's shell around the pages that the apps' `admin` packages bring."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django.contrib.auth.forms import AuthenticationForm as AnyoneActive
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm
from unfold.sites import UnfoldAdminSite

from access.accounts import change_own_password
from access.models import User
from access.permissions import user_actor
from access.signin.asking import asking_for_factors, confirm_address
from access.signin.factors import has_own_factor
from access.signin.lockout import explained
from access.signin.models import IdentityProvider

# Each has `urlpatterns`: the pages that it adds below /admin/, named in the namespace `admin`.
PAGES = (
    "access.admin.urls",
    "flags.admin.urls",
    "approvals.admin.urls",
    "audit.admin.urls",
    "distribution.admin",
    "config.finding",
)


class SignInForm(AuthenticationForm):
    """Anyone active may sign in; what they may see is a question of memberships, not of `is_staff`."""

    def confirm_login_allowed(self, user: Any) -> None:
        AnyoneActive.confirm_login_allowed(self, user)

    def get_invalid_login_error(self) -> ValidationError:
        if getattr(self.request, "axes_locked_out", False):
            return ValidationError(explained(self.request, self.cleaned_data.get("username", "")))
        return super().get_invalid_login_error()


class SignInView(LoginView):
    """A password opens nothing by itself where there is a second factor: allauth's flow goes on from here."""

    authentication_form = SignInForm
    template_name = "countersign/sign_in.html"

    def form_valid(self, form: Any) -> HttpResponse:
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        answer: HttpResponse = perform_password_login(self.request, form.cleaned_data, login)
        return answer


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """One's own password. The ledger says that it was changed."""

    def save(self, commit: bool = True) -> Any:
        change_own_password(user_actor(self.user, "ui"), self.user, self.cleaned_data["new_password1"])
        self.user.refresh_from_db()
        return self.user


class ControlPlaneSite(UnfoldAdminSite):
    """Unfold's site for everybody with an account. Stock model pages keep asking for their permissions."""

    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_authenticated)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Not above: our pages' modules want this site to be there.
        from access.admin.security import must_confirm

        person = cast(User, request.user)
        has_factor = has_own_factor(person) or bool(person.vouched_by)
        if has_factor and must_confirm(request):
            return redirect(confirm_address(request.get_full_path(), factor=bool(person.vouched_by)))
        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return cast(HttpResponse, view(request))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "providers": IdentityProvider.objects.filter(is_enabled=True),
            **(extra_context or {}),
        }
        request.current_app = self.name
        answer: Any = SignInView.as_view(extra_context=context)(request)
        if getattr(request, "axes_locked_out", False):
            answer.status_code = 429
        return cast(HttpResponse, answer)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect("admin:home")

    def extra_urls(self) -> list[URLPattern]:
        """The pages of all apps. Signing in is asked for here, so that no page can forget to."""
        return [
            URLPattern(
                pattern.pattern,
                self.admin_view(asking_for_factors(pattern.callback, pattern.name)),
                pattern.default_args,
                pattern.name,
            )
            for module in PAGES
            for pattern in import_module(module).urlpatterns
        ]
