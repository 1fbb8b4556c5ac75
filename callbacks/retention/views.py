"""The page that says what forgetting an order does, and does it."""

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from callbacks.retention import erase
from config.request import actor
from config.security import security_log
from orders.models import Order


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("orders.delete_order", raise_exception=True)
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    order = get_object_or_404(Order.objects.select_related("affiliate", "link"), pk=pk)
    if request.method == "POST":
        gone = erase.forget(order.number, actor(request), only=order)
        # Neither the number nor the key of an order that is to be forgotten.
        security_log.note(request, "order_forgotten", deliveries=gone.deliveries)
        messages.success(request, _("The order and all data about it were deleted."))
        return redirect("admin:orders_order_changelist")
    context = admin.site.each_context(request) | {
        "title": _("Forget order %(number)s") % {"number": order.number},
        "order": order,
        "own_link": erase.link_that_goes(order),
        "link_is_shared": Order.objects.filter(link=order.link_id).exclude(pk=order.pk).exists(),
        "deliveries": order.deliveries.count(),
        "waiting": order.deliveries.filter(status__in=erase.OPEN).count(),
    }
    return render(request, "admin/orders/order/forget.html", context)
