"""The pages about people: memberships per project, and the accounts of the installation."""

from django.urls import path

from access.admin import accounts as accounts
from access.admin import people

urlpatterns = [
    path("p/<str:project>/people/", people.PeoplePage.as_view(), name="people"),
]
