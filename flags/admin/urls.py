"""Addresses of the catalogue's pages: flags, segments, environments, projects."""

from django.urls import path

from flags.admin import (
    environment_flagd,
    environments,
    flag_edit,
    flag_environment,
    flag_list,
    flag_names,
    flag_page,
    flag_tabs,
    projects,
    segment_edit,
    segments,
)

_FLAG = "p/<str:project>/flags/<str:key>/"

urlpatterns = [
    path("p/<str:project>/settings/", projects.ProjectSettingsPage.as_view(), name="project-settings"),
    path("projects/new/", projects.NewProjectPage.as_view(), name="project-new"),
    path("p/<str:project>/flags/", flag_list.FlagListPage.as_view(), name="flag-list"),
    path("p/<str:project>/flag-names/", flag_names.FlagNamesPage.as_view(), name="flag-names"),
    path("p/<str:project>/new-flag/", flag_edit.NewFlagPage.as_view(), name="flag-new"),
    path(_FLAG, flag_page.FlagPage.as_view(), name="flag"),
    path(
        f"{_FLAG}in/<str:environment>/overview/",
        flag_environment.FlagEnvironmentPage.as_view(),
        name="flag-environment",
    ),
    path(f"{_FLAG}variants/", flag_tabs.FlagVariantsPage.as_view(), name="flag-variants"),
    path(f"{_FLAG}history/", flag_tabs.FlagHistoryPage.as_view(), name="flag-history"),
    path(f"{_FLAG}usage/", flag_tabs.FlagUsagePage.as_view(), name="flag-usage"),
    path(f"{_FLAG}settings/", flag_tabs.FlagSettingsPage.as_view(), name="flag-settings"),
    path(f"{_FLAG}edit/", flag_edit.EditFlagPage.as_view(), name="flag-edit"),
    path("p/<str:project>/segments/", segments.SegmentListPage.as_view(), name="segment-list"),
    path("p/<str:project>/new-segment/", segment_edit.NewSegmentPage.as_view(), name="segment-new"),
    path("p/<str:project>/segments/<str:key>/", segments.SegmentPage.as_view(), name="segment"),
    path(
        "p/<str:project>/segments/<str:key>/edit/",
        segment_edit.EditSegmentPage.as_view(),
        name="segment-edit",
    ),
    path(
        "p/<str:project>/environments/", environments.EnvironmentListPage.as_view(), name="environment-list"
    ),
    path(
        "p/<str:project>/new-environment/", environments.NewEnvironmentPage.as_view(), name="environment-new"
    ),
    path(
        "p/<str:project>/environments/<str:key>/edit/",
        environments.EditEnvironmentPage.as_view(),
        name="environment-edit",
    ),
    path(
        "p/<str:project>/environments/<str:key>/flagd/",
        environment_flagd.EnvironmentFlagdPage.as_view(),
        name="environment-flagd",
    ),
]
