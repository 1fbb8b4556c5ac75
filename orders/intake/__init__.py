"""How orders get in: `place` saves them for everybody, `api` is the HTTP API, `receive` the door of shops.

Each door checks who sends, translates what was sent into an `IncomingOrder` (`incoming`), and calls `place.place`. It
saves no order by itself. A new kind of shop is one more module here, as `translator` says: it picks what may be kept of
a message, and makes an `IncomingOrder` of that. Behind `place` are `draft` (what is applied to an order), `sources` and
`attribution` (whose it is), and `refunds`. The form in the admin is `orders.forms`.
"""
