"""What the matrix is asked about: one of everything, one person for each column, and what each form is given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from affiliates.models import Affiliate, Coupon, Link
from callbacks.models import Attempt, CallbackSetting, Delivery, Job
from callbacks.models.job import USUAL_RATE
from callbacks.setup import changes
from callbacks.setup.bulk import replace_host
from config.models import Authenticator
from config.security import roles
from orders.api import tokens
from orders.models import ApiToken, Message, Order, Shop
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory

PASSWORD = "a long enough passphrase"
# The columns. `affiliate` signs in to the portal; `staff` may come in and was given nothing.
PEOPLE = ("nobody", "affiliate", "staff", "support", "merchant", "administrator")
ACTION = " !"  # stands between the address of a list and the name of an action there


@dataclass(frozen=True)
class World:
    joe: Affiliate
    marta: Affiliate
    link: Link
    unused_link: Link
    order: Order
    setting: CallbackSetting
    delivery: Delivery
    job: Job
    token: ApiToken
    webhook: CallbackSetting
    shop: Shop
    message: Message
    coupon: Coupon
    clerk: User
    content_type: ContentType
    people: dict[str, User]
    sessions: dict[str, str] = field(default_factory=dict)  # of those who signed in, which is done once

    def client(self, person: str) -> Client:
        client = Client()
        if person == "nobody":
            return client
        if person not in self.sessions:
            client.force_login(self.people[person])
            self.sessions[person] = client.cookies[settings.SESSION_COOKIE_NAME].value
        client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[person]
        return client


def make() -> World:
    people = {name: User.objects.create_user(name, password=PASSWORD, is_staff=True) for name in PEOPLE[1:]}
    User.objects.filter(username="affiliate").update(is_staff=False)
    people["affiliate"].refresh_from_db()
    people["administrator"].is_superuser = True
    people["administrator"].save()
    roles.set_role(people["support"], roles.SUPPORT)
    roles.set_role(people["merchant"], roles.MERCHANT)
    joe = AffiliateFactory(name="Joe", code="joe", user=people["affiliate"])
    setting = CallbackSettingFactory(affiliate=joe)
    link = LinkFactory(affiliate=joe)
    order = OrderFactory(affiliate=joe, link=link, number="#7")
    delivery = Delivery.objects.get()
    Delivery.objects.update(status="failed", next_attempt_at=None, attempt_count=1, last_attempt_at=timezone.now())
    Attempt.objects.create(delivery=delivery, trigger="initial", method="GET", created_at=timezone.now())
    tokens.create("shop")
    shop = Shop.make("woocommerce", "Garden")
    kept = {"id": 9, "number": "9", "status": "processing", "total": "9.00", "currency": "USD"}
    message = Message.objects.create(shop=shop, topic="order.created", external_id="9", outcome="refused", kept=kept)
    clerk = User.objects.create_user("clerk", password=PASSWORD)
    Authenticator.objects.create(user=clerk)
    return World(
        joe=joe,
        marta=AffiliateFactory(name="Marta", code="marta"),
        link=link,
        unused_link=LinkFactory(affiliate=joe, url="https://shop.example/sale?ref=joe"),
        order=order,
        setting=setting,
        delivery=delivery,
        job=Job.objects.create(
            kind="resend", words="Every delivery", first=1, last=delivery.pk, position=0, state="waiting"
        ),
        token=ApiToken.objects.get(),
        webhook=CallbackSetting.objects.create(
            event="system", method="POST", body_format="json", url="https://shop.example/hooks", is_active=False
        ),
        shop=shop,
        message=message,
        coupon=Coupon.objects.create(affiliate=joe, code="JOE10"),
        clerk=clerk,
        content_type=ContentType.objects.get_for_model(Delivery),
        people=people,
    )


# --- every view, every action -----------------------------------------------------
def views() -> list[str]:
    """The address of every view of the project, as it is declared."""
    return list(dict.fromkeys(_routes(get_resolver(), "")))


def _routes(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for found in resolver.url_patterns:
        route = prefix + str(found.pattern)
        if isinstance(found, URLPattern):
            yield route.replace(" ", "")
        else:
            yield from _routes(found, route)


def actions() -> list[str]:
    """Every action of every list, as `admin/orders/order/ !delete_selected`."""
    return [
        f"admin/{model._meta.app_label}/{model._meta.model_name}/{ACTION}{name}"
        for model, model_admin in admin.site._registry.items()
        if model_admin.actions is not None
        for _, name, _ in model_admin._get_base_actions()
    ]


# --- where that is in this world, and what is typed there ----------------------------
def path_of(route: str, world: World) -> str:
    path = route.partition(ACTION)[0]
    for begin, values in _values(world):
        if path.startswith(begin):
            for name, value in values.items():
                path = path.replace(name, str(value))
    return "/" + path


def _values(world: World) -> list[tuple[str, dict[str, Any]]]:
    """Begin of an address -> what stands for its parameters; the more particular lines come first."""
    return [
        ("admin/affiliates/affiliate/<path:object_id>/delete/", {"<path:object_id>": world.marta.pk}),
        ("admin/affiliates/link/<path:object_id>/delete/", {"<path:object_id>": world.unused_link.pk}),
        ("admin/affiliates/link/<path:object_id>/change/", {"<path:object_id>": world.unused_link.pk}),
        (
            "admin/affiliates/affiliate/<int:affiliate_id>/",
            {"<int:affiliate_id>": world.joe.pk, "<event:event>": "created", "<int:pk>": world.setting.pk},
        ),
        ("admin/affiliates/affiliate/same-callback/", {"<slug:choice>": "forgotten"}),
        ("admin/callbacks/errand/", {"<int:pk>": world.job.pk, "<path:object_id>": world.job.pk}),
        ("admin/affiliates/affiliate/", {"<int:pk>": world.joe.pk, "<path:object_id>": world.joe.pk}),
        ("admin/affiliates/link/", {"<path:object_id>": world.link.pk}),
        ("admin/orders/order/", {"<int:pk>": world.order.pk, "<path:object_id>": world.order.pk}),
        ("admin/orders/shop/", {"<int:pk>": world.shop.pk, "<path:object_id>": world.shop.pk}),
        ("admin/orders/message/", {"<int:pk>": world.message.pk, "<path:object_id>": world.message.pk}),
        ("admin/orders/apitoken/", {"<path:object_id>": world.token.pk}),
        ("admin/callbacks/callbacksetting/", {"<path:object_id>": world.webhook.pk}),
        ("admin/callbacks/delivery/", {"<int:pk>": world.delivery.pk, "<path:object_id>": world.delivery.pk}),
        (
            "admin/auth/user/",
            {"<id>": world.clerk.pk, "<int:pk>": world.clerk.pk, "<path:object_id>": world.clerk.pk},
        ),
        (
            "admin/r/",
            {"<path:content_type_id>": world.content_type.pk, "<path:object_id>": world.delivery.pk},
        ),
        ("admin/^(?P<app_label>", {"^(?P<app_label>affiliates|orders|callbacks|auth)/$": "callbacks/"}),
        ("admin/(?P<url>.*)$", {"(?P<url>.*)$": "nothing-here/"}),
        ("portal/", {"<int:viewed>": world.joe.pk, "<int:pk>": world.delivery.pk}),
        ("api/", {"<path:number>": "%237", "<uuidstr:event_id>": world.delivery.event_id}),
    ]


CALLBACK = "admin/affiliates/affiliate/<int:affiliate_id>/settings/callbacks/<event:event>/"
TEMPLATE = {"method": "POST", "url": "https://tracker.example/new?order={{order.number}}", "body_format": "json"}
SURE = {"post": "yes"}
NEW_PASSWORD = {"new_password1": "a quite different passphrase", "new_password2": "a quite different passphrase"}
AFFILIATE = {"name": "Ann", "email": "ann@blog.example", "code": "ann", "status": "approved", "commission_rate": "10"}
# What is posted to a view, where an empty form says nothing: it is what would do harm in the wrong hands.
TYPED: dict[str, Callable[[World], dict[str, Any]]] = {
    CALLBACK: lambda _: TEMPLATE,
    CALLBACK + "<int:pk>/": lambda _: TEMPLATE,
    CALLBACK + "<int:pk>/backfill/": lambda w: _started(w.order.pk),
    "admin/callbacks/delivery/resend/": lambda w: _started(w.delivery.pk),
    "admin/callbacks/hosts/": lambda _: _moved("tracker.example", "other.example"),
    CALLBACK + "another/": lambda _: TEMPLATE | {"name": "Second"},
    "admin/affiliates/affiliate/<int:pk>/settings/portal/": lambda _: NEW_PASSWORD,
    "admin/affiliates/affiliate/add/": lambda _: AFFILIATE,
    "admin/affiliates/affiliate/<path:object_id>/change/": lambda _: AFFILIATE,
    "admin/affiliates/affiliate/<path:object_id>/delete/": lambda _: SURE,
    "admin/affiliates/link/add/": lambda w: {"affiliate": w.joe.code, "url": "https://shop.example/new?ref=joe"},
    "admin/affiliates/link/<path:object_id>/change/": lambda _: {"url": "https://shop.example/new?ref=joe"},
    "admin/affiliates/link/<path:object_id>/delete/": lambda _: SURE,
    "admin/orders/order/add/": lambda w: _order(w) | {"number": "#8"},
    "admin/orders/order/<path:object_id>/change/": lambda w: _order(w) | {"number": "#7"},
    "admin/orders/order/<path:object_id>/delete/": lambda _: SURE,
    "admin/callbacks/callbacksetting/add/": lambda _: {"url": "https://shop.example/other"},
    "admin/callbacks/callbacksetting/<path:object_id>/delete/": lambda _: SURE,
    "admin/orders/apitoken/add/": lambda _: {"name": "till", "allowed": ["orders:read"]},
    "admin/affiliates/affiliate/<int:pk>/settings/coupons/": lambda _: {"codes": "SUMMER"},
    "admin/affiliates/affiliate/<int:pk>/settings/coupons/remove/": lambda w: {"coupon": w.coupon.pk},
    "admin/orders/shop/add/": lambda _: {"kind": "shopify", "name": "Second shop"},
    "admin/orders/shop/<path:object_id>/change/": lambda _: {
        "name": "Renamed",
        "commission_base": "amount",
        "first": "coupon",
    },
    "admin/orders/shop/<path:object_id>/delete/": lambda _: SURE,
    "admin/orders/apitoken/<path:object_id>/delete/": lambda _: SURE,
    "admin/auth/user/add/": lambda _: {
        "username": "eve",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "role": "support",
    },
    "admin/auth/user/<path:object_id>/change/": lambda _: {"username": "clerk", "role": "administrator"},
    "admin/auth/user/<path:object_id>/delete/": lambda _: SURE,
    "admin/auth/user/<id>/password/": lambda _: {"password1": "a new passphrase", "password2": "a new passphrase"},
    "admin/password_change/": lambda _: NEW_PASSWORD | {"old_password": PASSWORD},
    "admin/two-factor/": lambda _: {"action": "begin"},
    "admin/email-notifications/": lambda _: {"when": "daily"},
    "portal/email-notifications/": lambda _: {"when": "daily"},
    "portal/language/": lambda _: {"language": "es"},
    "admin/confirm-password/": lambda _: {"password_again": PASSWORD},
}


def _started(last: int) -> dict[str, Any]:
    """What the page that counts first hands on to the start."""
    return {"token": str(uuid4()), "last": last, "rate": USUAL_RATE}


def _moved(old: str, new: str) -> dict[str, Any]:
    seen = {move.setting.pk: move.fingerprint for move in replace_host.moves(old, new)}
    return {"old": old, "new": new, "seen": changes.to_text(seen)}


def _order(world: World) -> dict[str, Any]:
    return {"affiliate": world.joe.code, "status": "approved", "amount": "9.00", "currency": "USD", "commission": ""}


def typed(route: str, world: World) -> dict[str, Any]:
    """What is posted there."""
    at, is_action, action = route.partition(ACTION)
    if not is_action:
        return TYPED.get(route, lambda _: {})(world)
    chosen = {
        "admin/affiliates/affiliate/": world.marta,
        "admin/affiliates/link/": world.unused_link,
        "admin/orders/order/": world.order,
        "admin/callbacks/callbacksetting/": world.webhook,
        "admin/callbacks/delivery/": world.delivery,
        "admin/auth/user/": world.clerk,
    }
    return {"action": action, "_selected_action": [chosen[at].pk], "index": "0"} | SURE
