"""Addresses of the pages about people."""

from django.urls import path

from access.admin import (
    accounts,
    custom_roles,
    erasing,
    factor_policy,
    identities,
    notifications,
    organisation,
    people,
    providers,
    role_table,
    security,
    service_accounts,
    sessions,
    standing,
    teams,
    tokens,
    trust_rules,
    webhooks,
)

urlpatterns = [
    path("p/<str:project>/people/", people.PeoplePage.as_view(), name="people"),
    path("p/<str:project>/people/<int:number>/limits/", people.LimitsPage.as_view(), name="role-limits"),
    path("p/<str:project>/who-may/", standing.WhoMayPage.as_view(), name="who-may"),
    path("p/<str:project>/standing/<str:member>/", standing.StandingPage.as_view(), name="standing"),
    path("roles/", role_table.RoleTablePage.as_view(), name="role-table"),
    path("teams/", teams.TeamListPage.as_view(), name="team-list"),
    path("new-team/", teams.NewTeamPage.as_view(), name="team-new"),
    path("teams/<str:key>/", teams.TeamPage.as_view(), name="team"),
    path("custom-roles/", custom_roles.CustomRoleListPage.as_view(), name="role-list"),
    path("new-role/", custom_roles.NewCustomRolePage.as_view(), name="role-new"),
    path("custom-roles/<str:key>/", custom_roles.CustomRolePage.as_view(), name="custom-role"),
    path("organisation/", organisation.OrganisationRolesPage.as_view(), name="organisation-roles"),
    path("service-accounts/", service_accounts.ServiceAccountListPage.as_view(), name="service-account-list"),
    path(
        "new-service-account/", service_accounts.NewServiceAccountPage.as_view(), name="service-account-new"
    ),
    path(
        "service-accounts/<int:number>/",
        service_accounts.ServiceAccountPage.as_view(),
        name="service-account",
    ),
    *accounts.urlpatterns,
    *erasing.urlpatterns,
    *factor_policy.urlpatterns,
    *identities.urlpatterns,
    *providers.urlpatterns,
    *security.urlpatterns,
    *tokens.urlpatterns,
    *trust_rules.urlpatterns,
    path("notifications/", notifications.NotificationListPage.as_view(), name="notification-list"),
    path(
        "notifications/settings/",
        notifications.NotificationSettingsPage.as_view(),
        name="notification-settings",
    ),
    path("p/<str:project>/webhooks/", webhooks.WebhookListPage.as_view(), name="webhook-list"),
    path("p/<str:project>/new-webhook/", webhooks.NewWebhookPage.as_view(), name="webhook-new"),
    path("p/<str:project>/new-chat/", webhooks.NewChatPage.as_view(), name="chat-new"),
    path("p/<str:project>/webhooks/<int:number>/", webhooks.WebhookPage.as_view(), name="webhook"),
    path("p/<str:project>/deliveries/", webhooks.DeliveryListPage.as_view(), name="delivery-list"),
    path("sessions/", sessions.sessions_page, name="sessions"),
]
