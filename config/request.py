"""What a view asks about its request: who acts, what they may see, and whether one of our scripts sent it."""

from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect


def actor(request: HttpRequest) -> User:
    """The user who is signed in. For views that nobody else reaches."""
    assert isinstance(request.user, User)
    return request.user


def may_see(request: HttpRequest, model: type[Model]) -> bool:
    """Whether the user may see rows of this model. Who may change them may see them."""
    app, name = model._meta.app_label, model._meta.model_name  # noqa: SLF001 - Django's documented name
    return any(request.user.has_perm(f"{app}.{action}_{name}") for action in ("view", "change"))


def is_fetch(request: HttpRequest) -> bool:
    """Whether one of our scripts sent it, to put the answer into the page that is open."""
    return request.headers.get("X-Requested-With") == "fetch"


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect to `url`; for our scripts, JSON that they follow as one."""
    return JsonResponse({"location": url}) if is_fetch(request) else redirect(url)


def allow_going_back(response: HttpResponseBase) -> None:
    """Let the browser keep this answer to a POST, so that its Back button shows the form that was sent.

    The admin forbids that, and the browser would show an error of its own.
    """
    response.headers["Cache-Control"] = "private, no-cache"
