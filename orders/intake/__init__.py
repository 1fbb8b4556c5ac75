"""How orders get in: `place` saves them for everybody, `api` is the HTTP API, `problems` the shape of its
errors, `tokens` makes and checks its tokens.

`receive` is the door of shops that send by themselves. A new kind of them is one more module here, as `translator`
says: it picks what may be kept of a message, and makes an `IncomingOrder` of that. It saves no order by itself. The
form in the admin is `orders.forms`.
"""
