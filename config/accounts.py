"""Who may use the admin: Django's users, with the few fields that matter here."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm, UsernameField
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

MODELS = ("affiliate", "link", "order", "callbacksetting", "delivery", "user")


def grantable() -> QuerySet[Permission]:
    """The permissions that open a page: nobody adds or deletes a delivery by hand."""
    ours = Permission.objects.filter(content_type__model__in=MODELS).select_related("content_type")
    return ours.exclude(Q(codename="add_delivery") | Q(codename="delete_delivery"))


class PermissionsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Any) -> str:
        name = str(obj.name)
        return "Resend delivery" if name == "Can change delivery" else name.removeprefix("Can ").capitalize()


class AccountForm(UserChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    user_permissions = PermissionsField(label="May", queryset=Permission.objects.none(), required=False)

    class Meta:
        model = User
        fields = ("username", "email", "first_name", "last_name", "password", "is_active", "is_staff", "is_superuser")
        field_classes: ClassVar = {"username": UsernameField}
        labels: ClassVar = {
            "email": "E-mail",
            "is_active": "May log in",
            "is_staff": "May use the admin",
            "is_superuser": "May do everything",
        }
        help_texts: ClassVar = {
            "username": "",
            "is_active": "Take this away instead of deleting somebody.",
            "is_staff": "Affiliates, who use the portal only, need no tick here.",
            "is_superuser": "Without the permissions below being ticked one by one.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        permissions = self.fields.get("user_permissions")
        if isinstance(permissions, forms.ModelMultipleChoiceField):
            permissions.queryset = grantable()
        if "password" in self.fields:
            self.fields["password"].help_text = ""


class NewAccountForm(UserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = User
        fields = ("username", "email")
        field_classes: ClassVar = {"username": UsernameField}
        labels: ClassVar = {"email": "E-mail"}
        help_texts: ClassVar = {"username": "Letters, digits and any of @ . + - _"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("password1", "password2"):
            self.fields[name].required = True  # Django's own check comes later, so the label would say "optional"
        self.fields["password2"].label = "Password again"


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A new password for somebody. Who may log in at all is a tick on their page, not a kind of password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        self.fields["password2"].label = "Password again"


class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    form = AccountForm
    add_form = NewAccountForm
    change_password_form = PasswordForm
    add_fieldsets = ((None, {"fields": ("username", "email", "password1", "password2")}),)
    list_icon = "users"
    list_display = ("username", "email", "role", "is_on", "last_seen")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_help_text = "Search by name or e-mail"
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "email", "first_name", "last_name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Permissions", {"fields": ("user_permissions",)}),
    )

    @admin.display(description="Role", ordering="is_staff")
    def role(self, user: User) -> str:
        if user.is_superuser:
            return "Administrator"
        return "Staff" if user.is_staff else "Affiliate"

    @admin.display(description="Log-in", ordering="is_active")
    def is_on(self, user: User) -> str:
        return render_to_string("admin/auth/user/state.html", {"user": user})

    @admin.display(description="Last seen", ordering="last_login")
    def last_seen(self, user: User) -> str:
        return render_to_string("admin/auth/user/last_seen.html", {"user": user})

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return PermissionsField(label="May", queryset=grantable(), required=False)


def register() -> None:
    """Put these pages in the place of those that Django registered. Permissions are given to people, not to groups."""
    admin.site.unregister([User, Group])
    admin.site.register(User, AccountAdmin)
