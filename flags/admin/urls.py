"""Addresses of the catalogue's pages: flags, segments, environments, projects."""

from django.urls import path

from flags.admin import (
    environment_flagd,
    environments,
    flag_edit,
    flag_list,
    flag_names,
    flag_page,
    projects,
    segment_edit,
    segments,
)

urlpatterns = [
    path("p/<str:project>/settings/", projects.ProjectSettingsPage.as_view(), name="project-settings"),
    path("projects/new/", projects.NewProjectPage.as_view(), name="project-new"),
    path("p/<str:project>/flags/", flag_list.FlagListPage.as_view(), name="flag-list"),
    path("p/<str:project>/flag-names/", flag_names.FlagNamesPage.as_view(), name="flag-names"),
    path("p/<str:project>/new-flag/", flag_edit.NewFlagPage.as_view(), name="flag-new"),
    path("p/<str:project>/flags/<str:key>/", flag_page.FlagPage.as_view(), name="flag"),
    path("p/<str:project>/flags/<str:key>/edit/", flag_edit.EditFlagPage.as_view(), name="flag-edit"),
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
