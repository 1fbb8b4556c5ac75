"""Links between pages of the portal."""

from django import template
from django.template.context import Context
from django.urls import reverse

register = template.Library()


@register.simple_tag(takes_context=True)
def portal_url(context: Context, name: str, *args: object) -> str:
    """The page of this name in the portal that is open: the affiliate's own, or the one that staff views."""
    if not context.get("is_viewed"):
        return reverse(f"portal:{name}", args=args)
    viewed = "view_as" if name == "home" else f"view_as_{name}"
    return reverse(f"portal:{viewed}", args=[context["affiliate"].pk, *args])
