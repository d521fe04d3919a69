"""Addresses of the gate's pages: the switch, change requests, rollout plans, policies."""

from django.urls import path

from approvals.admin import (
    calendar,
    draft,
    expectations,
    explain,
    freezes,
    home,
    inbox,
    live,
    plans,
    playground,
    policies,
    review,
    revise,
    rules,
    switch,
    ways,
)

_FLAG = "p/<str:project>/flags/<str:key>/in/<str:environment>/"

urlpatterns = [
    path("home/", home.home, name="home"),
    path("p/<str:project>/home/", home.HomePage.as_view(), name="project-home"),
    path("p/<str:project>/calendar/", calendar.CalendarPage.as_view(), name="calendar"),
    path("p/<str:project>/flags/<str:key>/explain/", explain.ExplainPage.as_view(), name="explain"),
    path(
        "p/<str:project>/flags/<str:key>/expectations/",
        expectations.ExpectationsPage.as_view(),
        name="expectations",
    ),
    path("p/<str:project>/playground/", playground.PlaygroundPage.as_view(), name="playground"),
    path(_FLAG, switch.SwitchPage.as_view(), name="switch"),
    path(f"{_FLAG}rules/", rules.RulesPage.as_view(), name="rules"),
    path(f"{_FLAG}kill/", switch.KillPage.as_view(), name="kill"),
    path(f"{_FLAG}rollout/", plans.NewPlanPage.as_view(), name="plan-new"),
    path(f"{_FLAG}promote/", ways.PromotePage.as_view(), name="promote"),
    path("p/<str:project>/flags/<str:key>/kill/", ways.KillEverywherePage.as_view(), name="kill-everywhere"),
    path("p/<str:project>/flags/<str:key>/archive/", ways.ArchivePage.as_view(), name="archive"),
    path("p/<str:project>/flags/<str:key>/hibernate/", ways.HibernatePage.as_view(), name="hibernate"),
    path("p/<str:project>/restore/<uuid:event>/", ways.RestorePage.as_view(), name="restore"),
    path("p/<str:project>/requests/<int:number>/revert/", ways.RevertPage.as_view(), name="revert"),
    path("p/<str:project>/draft/", draft.DraftPage.as_view(), name="draft"),
    path("p/<str:project>/requests/", inbox.RequestListPage.as_view(), name="request-list"),
    path("p/<str:project>/requests/<int:number>/", review.ReviewPage.as_view(), name="request"),
    path("p/<str:project>/requests/<int:number>/state/", live.StatePage.as_view(), name="request-state"),
    path("p/<str:project>/requests/<int:number>/edit/", revise.RevisePage.as_view(), name="request-edit"),
    path(
        "p/<str:project>/kills/<int:number>/review/",
        inbox.EmergencyReviewPage.as_view(),
        name="emergency-review",
    ),
    path("p/<str:project>/freezes/", freezes.FreezeListPage.as_view(), name="freeze-list"),
    path("p/<str:project>/new-freeze/", freezes.NewFreezePage.as_view(), name="freeze-new"),
    path("p/<str:project>/freezes/<str:key>/", freezes.FreezePage.as_view(), name="freeze"),
    path("p/<str:project>/plan-templates/", plans.TemplateListPage.as_view(), name="plan-templates"),
    path("p/<str:project>/plans/", plans.PlanListPage.as_view(), name="plan-list"),
    path("p/<str:project>/plans/<int:number>/", plans.PlanPage.as_view(), name="plan"),
    path("p/<str:project>/policies/", policies.PolicyListPage.as_view(), name="policy-list"),
    path("p/<str:project>/policies/new/", policies.EditPolicyPage.as_view(), name="policy-new"),
    path("p/<str:project>/policies/<str:key>/edit/", policies.EditPolicyPage.as_view(), name="policy-edit"),
]
