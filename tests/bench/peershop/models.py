"""Orders, and for the task written by hand what is to be told and what came of it: the columns that ours keep."""

from django.conf import settings
from django.db import models
from django.db.models.signals import post_save


class Order(models.Model):
    number = models.CharField(max_length=100, unique=True)
    affiliate_code = models.CharField(max_length=64, blank=True)
    link_url = models.CharField(max_length=2000, blank=True)
    amount = models.DecimalField(max_digits=19, decimal_places=4)
    commission = models.DecimalField(max_digits=19, decimal_places=4)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=16, default="new")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)


class Callback(models.Model):
    affiliate_code = models.CharField(max_length=64, unique=True)
    url = models.TextField()


class Postback(models.Model):
    event_id = models.UUIDField(unique=True)
    callback = models.ForeignKey(Callback, on_delete=models.CASCADE)
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    status = models.CharField(max_length=16, default="pending")
    attempt_count = models.PositiveIntegerField(default=0)
    last_attempt_at = models.DateTimeField(null=True)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)


class Attempt(models.Model):
    postback = models.ForeignKey(Postback, on_delete=models.CASCADE)
    method = models.CharField(max_length=4)
    url = models.TextField()
    request_headers = models.JSONField()
    status_code = models.PositiveSmallIntegerField(null=True)
    error_kind = models.CharField(max_length=32, blank=True)
    response_headers = models.JSONField()
    response_excerpt = models.TextField()
    total_ms = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)


if settings.PEER == "task":
    from tests.bench.peershop.receivers import order_saved

    post_save.connect(order_saved, sender=Order)
