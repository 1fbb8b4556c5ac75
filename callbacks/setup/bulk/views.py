"""The pages of many callbacks at once: the same one for many affiliates (choose, fill, preview, apply), another host.

All of them work without a script. What was typed goes from page to page in the form itself. Which affiliates were
chosen is in the session (`choice`), and the name of that choice is in the path.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from callbacks.models import CallbackSetting
from callbacks.setup import changes, preview, signing_secrets
from callbacks.setup.bulk import choice, replace_host, result_messages, same_callback
from callbacks.setup.bulk.choice import Choice, Sample
from callbacks.setup.bulk.forms import ReplaceHostForm, SameCallbackForm, pattern_for
from callbacks.setup.bulk.same_callback import Effect
from config.request import actor, may_see
from config.security import security_log
from config.security.sign_in import password_again
from orders.models import Order

PREVIEWED = 3  # affiliates whose requests are shown
LISTED = 25  # affiliates with the same effect on a page
PAGE = 25  # callbacks on a page of the preview of another host
View = Callable[..., HttpResponse]
needs_permission: Callable[[View], View] = permission_required(choice.PERMISSIONS, raise_exception=True)


# --- the same callback for many --------------------------------------------------
def with_choice(view: View) -> View:
    """Hand the view which affiliates were chosen, samples of their orders, and the form with what was typed."""

    @needs_permission
    @wraps(view)
    def wrapped(request: HttpRequest, choice: str) -> HttpResponse:
        chosen = _chosen(request, choice)
        if chosen is None:  # what was typed is kept
            problem = _("Your selection has expired. Nothing was changed. Choose again.")
            return _groups_page(request, problem, status=409)
        samples = _samples(request, chosen)
        return view(request, chosen, samples, _form(request, samples))

    return wrapped


@require_http_methods(["GET", "HEAD", "POST"])
@needs_permission
def choose(request: HttpRequest) -> HttpResponse:
    """Whole groups to choose from; single affiliates are chosen in their list."""
    if request.method != "POST":
        return _groups_page(request, "", status=200)
    ids = choice.ids_of(request.POST.get("group", ""))
    if not ids:
        problem = _("Choose a group.") if ids is None else _("This group is empty now. Choose another one.")
        return _groups_page(request, problem, status=422)
    name = choice.keep(request.session, ids)
    chosen = _chosen(request, name)
    if chosen and "url" in request.POST:  # typed for others, who are no longer known
        samples = _samples(request, chosen)
        return _form_page(request, chosen, _form(request, samples), samples)
    return redirect("many:fill", name)


@require_http_methods(["GET", "HEAD", "POST"])
@with_choice
def fill(request: HttpRequest, chosen: Choice, samples: list[Sample], form: SameCallbackForm) -> HttpResponse:
    """The form, empty or with what was typed; and when it is right, what would become of each affiliate."""
    if shown := form.pressed(request.POST) if request.method == "POST" else form:
        return _form_page(request, chosen, shown, samples)
    if not form.is_valid():
        return _form_page(request, chosen, form, samples, status=422)
    return _preview_page(request, chosen, form)


@require_POST
@with_choice
def check(request: HttpRequest, chosen: Choice, samples: list[Sample], form: SameCallbackForm) -> HttpResponse:
    """What the form says of its fields as they stand now, for a script to show; nothing is saved."""
    return render(request, "admin/callbacks/setup/checked.html", {"form": form} | _previewed(request, form, samples))


@require_POST
@with_choice
def apply(request: HttpRequest, chosen: Choice, samples: list[Sample], form: SameCallbackForm) -> HttpResponse:
    """Set it up for all who were chosen, as the preview said."""
    if not form.is_valid() or "back" in request.POST:
        return _form_page(request, chosen, form, samples, status=200 if "back" in request.POST else 422)
    seen = changes.from_text(request.POST.get("seen", ""))
    existing = form.cleaned_data["existing"]
    result = same_callback.apply(
        chosen.ids, form.instance, existing, actor(request), seen=seen, named=result_messages.NAMED
    )
    result_messages.add_same_callback(request, form.instance.title, result)
    signing_secrets.to_be_shown(request.session, *result.new)
    if result.rest:
        return _preview_page(request, chosen, form)
    return redirect("many:done", chosen.name)


@require_GET
@password_again
@needs_permission
def done(request: HttpRequest, choice: str) -> HttpResponse:
    """The signing secrets of those that are new, shown once; without any, on to the list, which shows the messages."""
    chosen = _chosen(request, choice)
    if chosen is None:
        return redirect("admin:affiliates_affiliate_changelist")
    own = CallbackSetting.objects.filter(affiliate__pk__among=chosen.ids)
    shown = signing_secrets.take(request.session, set(own.values_list("pk", flat=True)))
    if not shown:
        return redirect("admin:affiliates_affiliate_changelist")
    new = own.filter(pk__among=list(shown)).select_related("affiliate").order_by("affiliate__name", "pk")
    for setting in new:
        security_log.note(request, "secret_shown", about=setting)
    context = _context(request) | {"settings": list(new)}
    return render(request, "admin/callbacks/setup/bulk/done.html", context)


def _chosen(request: HttpRequest, name: str) -> Choice | None:
    return choice.find(request.session, name)


def _samples(request: HttpRequest, chosen: Choice) -> list[Sample]:
    return choice.samples(chosen.ids, with_orders=may_see(request, Order))


def _form(request: HttpRequest, samples: list[Sample]) -> SameCallbackForm:
    sample = _sample(request, samples)
    return SameCallbackForm(request.POST or None, instance=pattern_for(sample.affiliate, request.POST.get("event", "")))


def _sample(request: HttpRequest, samples: list[Sample]) -> Sample:
    """The affiliate whose order was chosen for the preview, else the first."""
    chosen = request.POST.get("preview_order", "")
    return next((sample for sample in samples if sample.order and str(sample.order.pk) == chosen), samples[0])


def _previewed(request: HttpRequest, form: SameCallbackForm, samples: list[Sample]) -> dict[str, Any]:
    """What would be sent for the newest order of one of those who were chosen."""
    shown = _sample(request, samples)
    context = {"orders": [sample.order for sample in samples if sample.order], "order": shown.order}
    return context | {"affiliate": shown.affiliate} | preview.of_form(form.typed, form.diagnosis.template, shown.order)


def _form_page(
    request: HttpRequest, chosen: Choice, form: SameCallbackForm, samples: list[Sample], *, status: int = 200
) -> HttpResponse:
    context = _context(request) | {"chosen": chosen, "form": form}
    context |= _previewed(request, form, samples)
    return render(request, "admin/callbacks/setup/bulk/fill.html", context, status=status)


def _preview_page(request: HttpRequest, chosen: Choice, form: SameCallbackForm) -> HttpResponse:
    result = same_callback.plan(chosen.ids, form.instance, form.cleaned_data["existing"], named=LISTED)
    samples = choice.samples(result.settings, PREVIEWED, with_orders=may_see(request, Order))
    shown = [(s, preview.preview(result.settings[s.affiliate.pk], form.instance.url, s.order)) for s in samples]
    effects = [(effect, count, result.groups_of(effect)) for effect in Effect if (count := result.count(effect))]
    context = _context(request) | {
        "chosen": chosen,
        "form": form,
        "setting": form.instance,
        "previews": shown,
        "effects": [(effect, count, groups[:LISTED], len(groups) - LISTED) for effect, count, groups in effects],
        "doing": result.count(*same_callback.DONE),
        "new": result.count(Effect.NEW),
        "changed": result.count(Effect.CHANGED),
        "blocked": result.blocked,
        "seen": changes.to_text(result.fingerprints),
    }
    return render(request, "admin/callbacks/setup/bulk/preview.html", context)


# --- another host in all -----------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@needs_permission
def hosts(request: HttpRequest) -> HttpResponse:
    """The hosts in use; with an old and a new one in the address, what would change; and doing it."""
    typed = request.POST if request.method == "POST" else request.GET
    is_asked = "new" in typed
    form = ReplaceHostForm(typed if is_asked else None, initial={"old": typed.get("old", "")})
    is_valid = is_asked and form.is_valid()
    if is_valid and request.method == "POST":
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        result = replace_host.apply(old, new, actor(request), changes.from_text(request.POST.get("seen", "")))
        result_messages.add_replaced_host(request, old, new, result)
        url = reverse("many:replace-host")
        return redirect(f"{url}?{urlencode({'old': old, 'new': new})}" if result.rest else url)
    in_use = replace_host.in_use()
    context = _context(request, _("Replace a host")) | {"form": form, "hosts": in_use}
    if is_valid:
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        context |= _moves(request, old, new) | {"beside": replace_host.with_other_ports(old, in_use)}
    status = 422 if is_asked and not is_valid else 200
    return render(request, "admin/callbacks/setup/bulk/host.html", context, status=status)


def _moves(request: HttpRequest, old: str, new: str) -> dict[str, Any]:
    found = list(replace_host.moves(old, new))
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
        "seen": changes.to_text({move.setting.pk: move.fingerprint for move in found}),
    }


# --- parts ------------------------------------------------------------------------
def _groups_page(request: HttpRequest, problem: str, *, status: int) -> HttpResponse:
    names = SameCallbackForm.base_fields.keys() & request.POST.keys()
    context = _context(request) | {
        "groups": choice.groups(),
        "problem": problem,
        "typed": [(name, value) for name in sorted(names) for value in request.POST.getlist(name)],
    }
    return render(request, "admin/callbacks/setup/bulk/choose.html", context, status=status)


def _context(request: HttpRequest, title: str = "") -> dict[str, Any]:
    return admin.site.each_context(request) | {"title": title or _("Same callback for many affiliates")}
