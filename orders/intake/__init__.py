"""How orders get in: `place` saves them for everybody, `api` is the HTTP API, `problems` the shape of its
errors, `tokens` makes and checks its tokens.

A new kind of shop (Shopify, WooCommerce, a CSV file) is one more module here: it checks who sends, translates what the
shop sends into the arguments of `place.place`, and calls it. It saves no order by itself. The form in the admin
is `orders.forms`.
"""
