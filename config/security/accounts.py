"""The admin's pages of users: Django's, with fewer fields and one choice, which role the user has.

Only administrators may open them, because who may change a user could make anybody an administrator. What each role may
do is said by `roles`.
"""

import functools
import operator
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm, UsernameField
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.editing import EditingAdmin, EditingForm
from config.listing.columns import column
from config.models import authenticator_of
from config.security import roles, security_log
from config.security.sign_in import password_again

ADMINISTRATOR, CHOSEN, NONE = "administrator", "chosen", "none"
BY_KEY = {role.name.lower(): role for role in roles.ROLES}
CHOICES = (
    (
        NONE,
        gettext_lazy("No role"),
        gettext_lazy("Cannot use this panel. Affiliates need no role for the portal."),
    ),
    *((key, role.label, role.may) for key, role in BY_KEY.items()),
    (ADMINISTRATOR, gettext_lazy("Administrator"), gettext_lazy("Can do everything, including managing users.")),
    (CHOSEN, gettext_lazy("Custom"), gettext_lazy("Can do only what is ticked under Permissions.")),
)


def grantable() -> QuerySet[Permission]:
    """The permissions that some page asks for: those that a role has."""
    held = frozenset[str]().union(*(role.permissions for role in roles.ROLES))
    named = [Q(content_type__app_label=app, codename=code) for app, code in (name.split(".") for name in sorted(held))]
    return Permission.objects.filter(functools.reduce(operator.or_, named)).select_related("content_type")


def role_key(user: User) -> str:
    """The key in `CHOICES` of what this user may do now."""
    if not user.is_staff:
        return NONE
    if user.is_superuser:
        return ADMINISTRATOR
    role = roles.role_of(user)
    return role.name.lower() if role else CHOSEN


class PermissionsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name).removeprefix("Can ").capitalize()


def _roles_to_choose() -> list[tuple[str, str]]:
    """The choices, each with the sentence that says what it may do."""
    template = "admin/auth/user/role.html"
    return [(key, render_to_string(template, {"name": name, "may": may})) for key, name, may in CHOICES]


def _roles_of_new() -> list[tuple[str, str]]:
    """Single permissions are ticked on the page of a user who is there."""
    return [choice for choice in _roles_to_choose() if choice[0] != CHOSEN]


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Gives the user of the form the role that is chosen in it, in the same step."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=_roles_to_choose, widget=forms.RadioSelect)

    def save(self, commit: bool = True) -> Any:
        key = self.cleaned_data["role"]
        self.instance.is_staff, self.instance.is_superuser = key != NONE, key == ADMINISTRATOR
        return super().save(commit)

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]  # the stubs leave it out
        roles.set_role(self.instance, BY_KEY.get(self.cleaned_data["role"]))


class AccountForm(RoleForm, EditingForm, UserChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    user_permissions = PermissionsField(label=gettext_lazy("Can"), queryset=Permission.objects.none(), required=False)
    editor: User | None = None  # who fills in the form

    class Meta:
        model = User
        fields = ("username", "email", "first_name", "last_name", "password", "is_active")
        field_classes: ClassVar = {"username": UsernameField}
        labels: ClassVar = {"email": gettext_lazy("E-mail"), "is_active": gettext_lazy("Can log in")}
        help_texts: ClassVar = {
            "username": "",
            "is_active": gettext_lazy("Untick to disable the account; don't delete it."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["role"] = role_key(self.instance)
        permissions = self.fields.get("user_permissions")
        if isinstance(permissions, forms.ModelMultipleChoiceField):
            permissions.queryset = grantable()
        if "password" in self.fields:
            self.fields["password"].help_text = ""

    def clean(self) -> dict[str, Any]:
        """No administrators can take their own rights away, so there is always one left."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.editor is not None and self.editor.pk == self.instance.pk:
            if cleaned.get("role", ADMINISTRATOR) != ADMINISTRATOR:
                error = _("You cannot change your own role. Ask another administrator.")
                self.add_error("role", ValidationError(error, "own_role"))
            if cleaned.get("is_active") is False:
                self.add_error("is_active", ValidationError(_("You cannot disable your own account."), "own_log_in"))
        return cleaned

    def words(self, name: str, value: Any) -> str:
        if name == "role":
            return next((str(title) for key, title, _may in CHOICES if key == value), "")
        return super().words(name, value)

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data["role"] != CHOSEN:
            self.cleaned_data["user_permissions"] = Permission.objects.none()
        return super().save(commit)


class NewAccountForm(RoleForm, UserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=_roles_of_new, widget=forms.RadioSelect)

    class Meta:
        model = User
        fields = ("username", "email")
        field_classes: ClassVar = {"username": UsernameField}
        labels: ClassVar = {"email": gettext_lazy("E-mail")}
        help_texts: ClassVar = {"username": gettext_lazy("Letters, digits and @ . + - _")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("password1", "password2"):
            self.fields[name].required = True  # Django requires them only later, so the label would say "optional"
        self.fields["password2"].label = _("Repeat password")
        self.fields["password2"].help_text = ""


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A new password for a user. Whether the user may log in is set on their page, not by an unusable password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        self.fields["password2"].label = _("Repeat password")
        self.fields["password2"].help_text = ""


class RoleFilter(admin.SimpleListFilter):
    title = gettext_lazy("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, str(name)) for key, name, _may in CHOICES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        key = self.value()
        if key == NONE:
            return queryset.filter(is_staff=False)
        if key == ADMINISTRATOR:
            return queryset.filter(is_staff=True, is_superuser=True)
        plain = queryset.filter(is_staff=True, is_superuser=False)
        if key in BY_KEY:
            return plain.filter(groups__name=BY_KEY[key].name)
        return plain.exclude(groups__name__in=[role.name for role in roles.ROLES]) if key == CHOSEN else queryset


class AccountAdmin(EditingAdmin, UserAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    form = AccountForm
    add_form = NewAccountForm
    change_password_form = PasswordForm
    add_fieldsets = ((None, {"fields": ("username", "email", "password1", "password2", "role")}),)
    list_title = gettext_lazy("Users")
    list_icon = "users"
    list_display = ("username", "e_mail", "role", "is_on", "last_seen")
    list_filter = (RoleFilter, "is_active")
    search_help_text = gettext_lazy("Username, name or e-mail")
    filter_horizontal = ()
    readonly_fields = ("two_factor",)
    fieldsets = (
        (None, {"fields": ("username", "email", "first_name", "last_name", "password")}),
        (gettext_lazy("Access"), {"fields": ("is_active", "role", "two_factor")}),
        (gettext_lazy("Permissions"), {"fields": ("user_permissions",)}),
    )

    # --- who may open these pages ----------------------------------------------
    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(roles.ADMINISTRATION)

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self.has_module_permission(request)

    has_change_permission = has_view_permission

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self.has_module_permission(request) and obj != request.user

    def get_urls(self) -> list[Any]:
        """All of them ask again for a password that was typed too long ago."""
        urls: list[Any] = super().get_urls()
        for url in urls:
            url.callback = password_again(url.callback)
        return urls

    # --- the list ------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).select_related("affiliate").prefetch_related("groups")

    @admin.display(description=gettext_lazy("E-mail"), ordering="email", empty_value="\N{EN DASH}")
    def e_mail(self, user: User) -> str:
        return user.email

    @admin.display(description=gettext_lazy("Role"), ordering="is_staff")
    def role(self, user: User) -> str:
        key = role_key(user)
        if key == NONE:
            return _("Affiliate") if hasattr(user, "affiliate") else _("None")
        return next(str(name) for known, name, _may in CHOICES if known == key)

    is_on = column(gettext_lazy("Can log in"), "admin/auth/user/state.html", "user", ordering="is_active")
    last_seen = column(gettext_lazy("Last seen"), "admin/auth/user/last_seen.html", "user", ordering="last_login")

    # --- the log of security -------------------------------------------------
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        security_log.note(request, "account_made", about=obj, role=role_key(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if message:
            security_log.note(request, "account_changed", about=obj, role=role_key(obj))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for user in queryset:
            security_log.note(request, "account_deleted", about=user)
        return super().log_deletions(request, queryset)

    # --- one account ---------------------------------------------------------
    @admin.display(description=gettext_lazy("Two-factor log-in"))
    def two_factor(self, user: User) -> str:
        found = authenticator_of(user)
        return render_to_string("admin/auth/user/two_factor.html", {"account": user, "authenticator": found})

    def get_form(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:  # type: ignore[override]  # UserAdmin's own, which the stubs do not know
        form = super().get_form(request, obj, **kwargs)
        return type(form.__name__, (form,), {"editor": request.user})


def register() -> None:
    """Replace the pages that Django registered. Groups hold the permissions of roles and have no page."""
    admin.site.unregister([User, Group])
    admin.site.register(User, AccountAdmin)
