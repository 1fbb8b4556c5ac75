"""Messages that say what was done to many callbacks: how many, which were left out, and why."""

from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from callbacks.setup.bulk import replace_host, same_callback
from callbacks.setup.bulk.same_callback import Effect

NAMED = 5  # affiliates or callbacks that a message names; the others are counted


def add_same_callback(request: HttpRequest, title: str, result: same_callback.Result) -> None:
    new, changed = result.count(Effect.NEW), result.count(Effect.CHANGED)
    said = [f"set up for {_counted(new, 'affiliate')}"] if new else []
    said += [f"changed for {_counted(changed, 'affiliate')}"] if changed else []
    if said:
        affiliate = result.first(*same_callback.DONE)[0].affiliate
        parts = (title, " and ".join(said), affiliate.settings_url, affiliate.name)
        text = format_html('{} {}. <a href="{}">See it at {}</a>', *parts)
        messages.success(request, text)
    elif same := result.count(Effect.SAME):
        have = _counted(same, "affiliate has", "affiliates have")
        messages.success(request, f"Nothing was changed: {have} the {title[0].lower()}{title[1:]} already, exactly so.")
    else:
        messages.warning(request, "Nothing was changed.")
    if result.rest:
        messages.warning(
            request,
            f"{_counted(result.rest, 'affiliate is', 'affiliates are')} still to come: press the button once more.",
        )
    for effect in same_callback.LEFT_OUT:
        if count := result.count(effect):
            first = result.first(effect)
            names = [(one.affiliate.settings_url, one.affiliate.name) for one in first]
            messages.warning(request, format_html("Left out: {}. {}", _linked(names, count), first[0].problem))


def add_replaced_host(request: HttpRequest, old: str, new: str, result: replace_host.Result) -> None:
    if result.count:
        said = f"{_counted(result.count, 'callback has', 'callbacks have')} the host {new} now, no longer {old}."
        if result.resumed:
            said += f" {_counted(result.resumed, 'paused one is', 'paused ones are')} on again."
        messages.success(request, said + " What waits for them goes there at its next attempt.")
    elif not result.left_out:
        messages.warning(request, f"Nothing was changed: no callback has the host {old} now.")
    if result.rest:
        messages.warning(
            request, f"{_counted(result.rest, 'callback is', 'callbacks are')} still to come: go on below."
        )
    by_problem: dict[str, list[replace_host.Move]] = {}
    for move in result.left_out:
        by_problem.setdefault(move.problem, []).append(move)
    for problem, moves in by_problem.items():
        names = [(m.setting.affiliate.settings_url, str(m.setting)) for m in moves[:NAMED]]
        messages.warning(request, format_html("Left as it was: {}. {}", _linked(names, len(moves)), problem))


def _linked(names: list[tuple[str, str]], count: int) -> SafeString:
    """`Joe, Ann and 37 more`, each a link."""
    links = format_html_join(", ", '<a href="{}">{}</a>', names)
    return format_html("{} and {} more", links, count - len(names)) if count > len(names) else links


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
