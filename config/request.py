"""What a page asks of a request: who acts, what they may see, and whether a script asks."""

from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect


def actor(request: HttpRequest) -> User:
    """The person who is signed in. For pages that only they come to."""
    assert isinstance(request.user, User)
    return request.user


def may_see(request: HttpRequest, model: type[Model]) -> bool:
    """Whether they may see rows of this model: whoever may change them may."""
    app, name = model._meta.app_label, model._meta.model_name  # noqa: SLF001 - Django's documented name
    return any(request.user.has_perm(f"{app}.{action}_{name}") for action in ("view", "change"))


def is_fetch(request: HttpRequest) -> bool:
    """Whether a script of ours asks, which puts the answer into the page that is open."""
    return request.headers.get("X-Requested-With") == "fetch"


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Lead on to `url`, by a redirect or by what our scripts take for one."""
    return JsonResponse({"location": url}) if is_fetch(request) else redirect(url)
