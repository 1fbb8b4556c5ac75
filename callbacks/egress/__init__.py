"""The wire: sends requests to allowed addresses only, and says what came of them. Knows no Django and no delivery.

`transport` drives many requests at once, `transfer` is one of them on libcurl, `response` what comes back, `outcome`
the request, its outcome and the sentences about it. `addresses` is the rule of what may be called, `targets` reads
URLs by it, `dns` looks up names, `proxy` is the operator's proxy, `soft_failures` finds refusals in 2xx answers. What
is sent is made in `callbacks.postback`; when it is sent, in `callbacks.delivery`.
"""
