"""Fills in the rate of orders whose commission is what the affiliate's rate of today makes of their amount.

Of the others it is not known. `Order.save` takes their commission's share of the amount when it needs a rate.
"""

from collections import defaultdict
from typing import Any

from django.db import migrations

from orders import money

CHUNK = 2000


def fill(apps: Any, schema_editor: Any) -> None:
    orders = apps.get_model("orders", "Order").objects.using(schema_editor.connection.alias)
    wanted = orders.filter(commission_rate=None, commission_given=False, affiliate__isnull=False).order_by("pk")
    columns = ("pk", "amount", "commission", "currency", "affiliate__commission_rate")
    last = 0
    while chunk := list(wanted.filter(pk__gt=last).values_list(*columns)[:CHUNK]):
        last = chunk[-1][0]
        by_rate = defaultdict(list)
        for pk, amount, commission, currency, rate in chunk:
            if money.rounded(amount * rate, currency) == commission:
                by_rate[rate].append(pk)
        for rate, keys in by_rate.items():
            for first in range(0, len(keys), 500):
                orders.filter(pk__in=keys[first : first + 500], commission_rate=None).update(commission_rate=rate)


class Migration(migrations.Migration):
    atomic = False  # one transaction for all orders would keep everybody else from saving theirs
    dependencies = [("orders", "0002_referral_given")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
