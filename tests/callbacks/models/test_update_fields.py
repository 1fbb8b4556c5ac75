"""What `save(update_fields=...)` writes besides the named columns: all that it computes, so memory and row agree."""

from collections.abc import Collection, Iterator

import pytest

from callbacks.models import CallbackSetting, Delivery
from tests.factories import AffiliateFactory, CallbackSettingFactory

pytestmark = pytest.mark.django_db


def generator(names: Collection[str]) -> Iterator[str]:
    yield from names


@pytest.mark.parametrize("container", [list, generator])
def test_save_of_a_url_alone_writes_host_and_times(container: type) -> None:
    setting = CallbackSettingFactory(url="https://old.example/?o={{order.number}}")
    before = setting.updated_at
    setting.url = "https://new.example/?o={{order.number}}"
    setting.save(update_fields=container(["url"]))
    row = CallbackSetting.objects.get(pk=setting.pk)
    assert (row.url, row.host) == (setting.url, "new.example")
    assert row.request_changed_at == setting.request_changed_at is not None
    assert row.updated_at == setting.updated_at > before


@pytest.mark.parametrize("name", ["setting", "setting_id"])
def test_save_of_a_delivery_with_its_setting_alone_writes_the_affiliate(name: str) -> None:
    setting = CallbackSettingFactory(affiliate=AffiliateFactory())
    delivery = Delivery.objects.create(event="order.created", status="succeeded")
    delivery.setting = setting
    delivery.save(update_fields=[name])
    assert Delivery.objects.get().affiliate_id == delivery.affiliate_id == setting.affiliate_id
