"""The pages of many callbacks at once: the same one for many affiliates (choose, fill, preview, apply), another host.

All of them work without a script. What was typed goes from page to page in the form itself; who was chosen is in the
session (`choosing`), and the name of the choice in the path.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from callbacks.models import CallbackSetting
from callbacks.setup import fingerprint, preview, signing_secrets
from callbacks.setup.bulk import choice as choosing
from callbacks.setup.bulk import replace_host as moving
from callbacks.setup.bulk import result_messages, same_callback
from callbacks.setup.bulk.choice import Choice, Sample
from callbacks.setup.bulk.forms import ReplaceHostForm, SharedCallbackForm, pattern_for
from callbacks.setup.bulk.same_callback import Effect
from config.request import actor, may_see
from orders.models import Order

PREVIEWED = 3  # affiliates whose requests are shown
LISTED = 25  # affiliates of one fate on a page
PAGE = 25  # callbacks on a page of the preview of another host
View = Callable[..., HttpResponse]


def for_merchants(view: View) -> View:
    """Let only those through who may add and change callback settings."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not request.user.has_perms(choosing.PERMISSIONS):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return wrapped


# --- the same callback for many --------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@for_merchants
def choose(request: HttpRequest) -> HttpResponse:
    """Whole groups to choose from; single affiliates are chosen in their list."""
    if request.method != "POST":
        return _groups_page(request, "", status=200)
    ids = choosing.ids_of(request.POST.get("group", ""))
    if not ids:
        problem = "Choose one of these groups." if ids is None else "Nobody is left in this group. Choose another one."
        return _groups_page(request, problem, status=422)
    name = choosing.keep(request.session, ids)
    chosen = choosing.find(request.session, name)
    if chosen and "url" in request.POST:  # typed for others, who are no longer known
        samples = _samples(request, chosen)
        return _form_page(request, chosen, _form(request, samples), samples)
    return redirect("many:fill", name)


@require_http_methods(["GET", "HEAD", "POST"])
@for_merchants
def fill(request: HttpRequest, choice: str) -> HttpResponse:
    """The form, empty or with what was typed; and when it is right, what would become of each affiliate."""
    chosen = choosing.find(request.session, choice)
    if chosen is None:
        return _forgotten(request)
    samples = _samples(request, chosen)
    form = _form(request, samples)
    if corrected := form.pressed(request.POST):
        return _form_page(request, chosen, corrected, samples)
    if request.method != "POST" or "look" in request.POST:
        return _form_page(request, chosen, form, samples)
    if not form.is_valid():
        return _form_page(request, chosen, form, samples, status=422)
    return _preview_page(request, chosen, form)


@require_POST
@for_merchants
def check(request: HttpRequest, choice: str) -> HttpResponse:
    """What the form says of its fields as they stand now, for a script to show; nothing is saved."""
    chosen = choosing.find(request.session, choice)
    if chosen is None:
        return _forgotten(request)
    samples = _samples(request, chosen)
    form = _form(request, samples)
    return render(request, "admin/callbacks/setup/checked.html", {"form": form} | _looked_at(request, form, samples))


@require_POST
@for_merchants
def apply(request: HttpRequest, choice: str) -> HttpResponse:
    """Set it up for all who were chosen, as the preview said."""
    chosen = choosing.find(request.session, choice)
    if chosen is None:
        return _forgotten(request)
    samples = _samples(request, chosen)
    form = _form(request, samples)
    if not form.is_valid() or "back" in request.POST:
        return _form_page(request, chosen, form, samples, status=200 if "back" in request.POST else 422)
    seen = fingerprint.read(request.POST.get("seen", ""))
    existing = form.cleaned_data["existing"]
    result = same_callback.apply(
        chosen.ids, form.instance, existing, actor(request), seen=seen, named=result_messages.NAMED
    )
    result_messages.of_sharing(request, form.instance.title, result)
    signing_secrets.to_be_shown(request.session, *result.new)
    if result.rest:
        return _preview_page(request, chosen, form)
    return redirect("many:done", choice)


@require_GET
@for_merchants
def done(request: HttpRequest, choice: str) -> HttpResponse:
    """The signing secrets of those that are new, this once; without any, the list with what was said."""
    chosen = choosing.find(request.session, choice)
    if chosen is None:
        return redirect("admin:affiliates_affiliate_changelist")
    own = CallbackSetting.objects.filter(affiliate__pk__among=chosen.ids)
    shown = signing_secrets.take(request.session, set(own.values_list("pk", flat=True)))
    if not shown:
        return redirect("admin:affiliates_affiliate_changelist")
    new = own.filter(pk__among=list(shown)).select_related("affiliate").order_by("affiliate__name", "pk")
    context = _context(request, "Same callback for many affiliates") | {"settings": list(new)}
    return render(request, "admin/callbacks/setup/bulk/done.html", context)


def _samples(request: HttpRequest, chosen: Choice) -> list[Sample]:
    return choosing.samples(chosen.ids, with_orders=may_see(request, Order))


def _form(request: HttpRequest, samples: list[Sample]) -> SharedCallbackForm:
    sample = _sample(request, samples)
    return SharedCallbackForm(
        request.POST or None, instance=pattern_for(sample.affiliate, request.POST.get("event", ""))
    )


def _sample(request: HttpRequest, samples: list[Sample]) -> Sample:
    """The affiliate whose order was chosen for the preview, else the first."""
    chosen = request.POST.get("preview_order", "")
    return next((sample for sample in samples if sample.order and str(sample.order.pk) == chosen), samples[0])


def _looked_at(request: HttpRequest, form: SharedCallbackForm, samples: list[Sample]) -> dict[str, Any]:
    """What would be sent for the newest order of one of those who were chosen."""
    order = _sample(request, samples).order
    template = form.diagnosis.template
    return {
        "samples": [sample for sample in samples if sample.order],
        "order": order,
        "preview": preview.preview(form.typed, template, order) if template else None,
        "examples": preview.examples(form.typed, order),
    }


def _form_page(
    request: HttpRequest, chosen: Choice, form: SharedCallbackForm, samples: list[Sample], *, status: int = 200
) -> HttpResponse:
    context = _context(request, "Same callback for many affiliates") | {"chosen": chosen, "form": form}
    context |= _looked_at(request, form, samples)
    return render(request, "admin/callbacks/setup/bulk/fill.html", context, status=status)


def _preview_page(request: HttpRequest, chosen: Choice, form: SharedCallbackForm) -> HttpResponse:
    result = same_callback.outlook(chosen.ids, form.instance, form.cleaned_data["existing"], named=LISTED)
    samples = choosing.samples(result.settings, PREVIEWED, with_orders=may_see(request, Order))
    shown = [(s, preview.preview(result.settings[s.affiliate.pk], form.instance.url, s.order)) for s in samples]
    fates = [(fate, count, result.of(fate)) for fate in Effect if (count := result.count(fate))]
    context = _context(request, "Same callback for many affiliates") | {
        "chosen": chosen,
        "form": form,
        "setting": form.instance,
        "previews": shown,
        "fates": [(fate, count, alike[:LISTED], len(alike) - LISTED) for fate, count, alike in fates],
        "doing": result.count(*same_callback.DONE),
        "new": result.count(Effect.NEW),
        "changed": result.count(Effect.CHANGED),
        "blocked": result.blocked,
        "seen": fingerprint.written(result.seals),
    }
    return render(request, "admin/callbacks/setup/bulk/preview.html", context)


# --- another host in all -----------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@for_merchants
def replace_host(request: HttpRequest) -> HttpResponse:
    """The hosts in use; with an old and a new one in the address, what would change; and doing it."""
    typed = request.POST if request.method == "POST" else request.GET
    is_asked = "new" in typed
    form = ReplaceHostForm(typed if is_asked else None, initial={"old": typed.get("old", "")})
    is_valid = is_asked and form.is_valid()
    if is_valid and request.method == "POST":
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        result = moving.apply(old, new, actor(request), fingerprint.read(request.POST.get("seen", "")))
        result_messages.of_moving(request, old, new, result)
        url = reverse("many:replace-host")
        return redirect(f"{url}?{urlencode({'old': old, 'new': new})}" if result.rest else url)
    in_use = moving.in_use()
    context = _context(request, "Replace a host") | {"form": form, "hosts": in_use}
    if is_valid:
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        context |= _moves(request, old, new) | {"beside": moving.with_other_ports(old, in_use)}
    status = 422 if is_asked and not is_valid else 200
    return render(request, "admin/callbacks/setup/bulk/host.html", context, status=status)


def _moves(request: HttpRequest, old: str, new: str) -> dict[str, Any]:
    found = list(moving.moves(old, new))
    possible = [move for move in found if not move.problem]
    return {
        "old": old,
        "new": new,
        "count": len(possible),
        "affiliates": len({move.setting.affiliate_id for move in possible}),
        "resumed": sum(move.is_resumed for move in possible),
        "page": Paginator(possible, PAGE).get_page(request.GET.get("page")),
        "refused": [move for move in found if move.problem][:PAGE],
        "refused_count": len(found) - len(possible),
        "seen": fingerprint.written({move.setting.pk: move.seal for move in found}),
    }


# --- parts ------------------------------------------------------------------------
def _forgotten(request: HttpRequest) -> HttpResponse:
    """The choice is gone from the session: choose again. What was typed goes along."""
    return _groups_page(
        request, "Who was chosen is no longer known, and nothing was changed. Choose again.", status=409
    )


def _groups_page(request: HttpRequest, problem: str, *, status: int) -> HttpResponse:
    names = SharedCallbackForm.base_fields.keys() & request.POST.keys()
    context = _context(request, "Same callback for many affiliates") | {
        "groups": choosing.groups(),
        "problem": problem,
        "typed": [(name, value) for name in sorted(names) for value in request.POST.getlist(name)],
    }
    return render(request, "admin/callbacks/setup/bulk/choose.html", context, status=status)


def _context(request: HttpRequest, title: str) -> dict[str, Any]:
    return admin.site.each_context(request) | {"title": title}
