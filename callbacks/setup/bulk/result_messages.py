"""Messages that say what was done to many callbacks: how many, which were left out, and why."""

from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from callbacks.setup.bulk import replace_host, same_callback
from callbacks.setup.bulk.same_callback import Effect

NAMED = 5  # affiliates or callbacks that a message names; the others are counted


def add_same_callback(request: HttpRequest, title: str, result: same_callback.Result) -> None:
    new, changed = result.count(Effect.NEW), result.count(Effect.CHANGED)
    done = []
    if new:
        done.append(ngettext("set up for %(count)s affiliate", "set up for %(count)s affiliates", new) % _of(new))
    if changed:
        done.append(
            ngettext("changed for %(count)s affiliate", "changed for %(count)s affiliates", changed) % _of(changed)
        )
    if done:
        affiliate = result.first(*same_callback.DONE)[0].affiliate
        link = format_html('<a href="{}">{}</a>', affiliate.settings_url, _("View the callback of %s") % affiliate.name)
        messages.success(request, format_html("{}: {}. {}", title, ", ".join(done), link))
    elif same := result.count(Effect.SAME):
        text = ngettext(
            "Nothing was changed: %(count)s affiliate already has this callback.",
            "Nothing was changed: %(count)s affiliates already have this callback.",
            same,
        )
        messages.success(request, text % _of(same))
    else:
        messages.warning(request, _("Nothing was changed."))
    if result.rest:
        text = ngettext(
            "%(count)s affiliate is left. Click the button again to continue.",
            "%(count)s affiliates are left. Click the button again to continue.",
            result.rest,
        )
        messages.warning(request, text % _of(result.rest))
    for effect in same_callback.LEFT_OUT:
        if count := result.count(effect):
            first = result.first(effect)
            names = [(one.affiliate.settings_url, one.affiliate.name) for one in first]
            messages.warning(
                request, format_html("{} {}. {}", _("Not changed:"), _linked(names, count), first[0].problem)
            )


def add_replaced_host(request: HttpRequest, old: str, new: str, result: replace_host.Result) -> None:
    if result.count:
        text = ngettext(
            "Host changed from %(old)s to %(new)s in %(count)s callback.",
            "Host changed from %(old)s to %(new)s in %(count)s callbacks.",
            result.count,
        )
        said = [text % {"old": old, "new": new, **_of(result.count)}]
        if result.resumed:
            text = ngettext("%(count)s is active again.", "%(count)s are active again.", result.resumed)
            said.append(text % _of(result.resumed))
        messages.success(request, " ".join([*said, _("Pending deliveries go to the new host.")]))
    elif not result.left_out:
        messages.warning(request, _("Nothing was changed: no callback has the host %(host)s.") % {"host": old})
    if result.rest:
        text = ngettext(
            "%(count)s callback is left. Continue below.", "%(count)s callbacks are left. Continue below.", result.rest
        )
        messages.warning(request, text % _of(result.rest))
    by_problem: dict[str, list[replace_host.Move]] = {}
    for move in result.left_out:
        by_problem.setdefault(move.problem, []).append(move)
    for problem, moves in by_problem.items():
        names = [(m.setting.affiliate.settings_url, str(m.setting)) for m in moves[:NAMED]]
        messages.warning(request, format_html("{} {}. {}", _("Not changed:"), _linked(names, len(moves)), problem))


def _linked(names: list[tuple[str, str]], count: int) -> SafeString:
    """`Joe, Ann and 37 more`, each a link."""
    links = format_html_join(", ", '<a href="{}">{}</a>', names)
    others = count - len(names)
    return format_html("{} {}", links, _("and %(count)d more") % {"count": others}) if others > 0 else links


def _of(count: int) -> dict[str, str]:
    return {"count": f"{count:,}"}
