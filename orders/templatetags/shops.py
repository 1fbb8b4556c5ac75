"""How the pages of shops and orders say where an order came from, and in which state a shop is."""

from django import template

from orders.shops import connection

register = template.Library()

register.filter("shop_state", connection.state_of)
