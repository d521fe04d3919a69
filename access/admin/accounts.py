"""Accounts of the installation, for its superusers: people and passwords. Roles are given per project."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from access.models import User


class AccountCreationForm(UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = User


class AccountChangeForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User


@admin.register(User)
class AccountAdmin(DjangoUserAdmin, ModelAdmin):
    """The stock form for accounts. The pseudonym is shown, never changed; nobody is deleted here.

    An account that acted is named in the ledger for ever, so it is made inactive instead, or erased: then only
    the pseudonym is left.
    """

    form = AccountChangeForm
    add_form = AccountCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "last_name", "email", "is_active", "is_superuser")
    list_filter = ("is_active", "is_superuser")
    readonly_fields = ("pseudonym", "last_login", "date_joined")
    filter_horizontal = ()
    actions = None
    actions_detail = ("erase",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "pseudonym")}),
        ("Standing", {"fields": ("is_active", "is_superuser")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "password1", "password2")}),
    )

    @action(description=_("Erase this person"), url_path="erase", permissions=["view"])
    def erase(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the page that says what erasing does."""
        return redirect("admin:person-erase", object_id)

    def _is_superuser(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who was erased does not get another name.
        return self._is_superuser(request) and getattr(obj, "erased_at", None) is None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# Roles are memberships per project; Django's groups mean nothing here.
admin.site.unregister(Group)
