"""How orders get in: `place` saves them for everybody, `api` is the HTTP API, `problems` the shape of its
errors, `tokens` makes and checks its tokens.

Each door checks who sends, translates what was sent into an `IncomingOrder` (`incoming`), and calls `place.place`. It
saves no order by itself, and a new kind of shop is one more of them. Behind `place` are `draft` (what is applied to an
order), `sources` and `attribution` (whose it is), and `refunds`. The form in the admin is `orders.forms`.
"""
