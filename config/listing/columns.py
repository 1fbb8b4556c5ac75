"""Parts of the admin's lists: columns that are rendered from a template, and rows that nobody edits by hand."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string

from config.listing.pages import BaseAdmin

CREATED = "theme/created.html"  # when a row was made


def column(title: Any, template: str, row: str = "row", *, ordering: Any = None) -> Callable[[Any, Any], str]:
    """A column whose cells are rendered from `template`, in which each row has the name `row`.

    `title` may be a text that is translated when it is shown.
    """

    @admin.display(description=title, ordering=ordering)
    def cell(_: Any, record: Any) -> str:
        return render_to_string(template, {row: record})

    return cell


class ReadOnlyAdmin(BaseAdmin):
    """Rows that are made by the application and never added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission
