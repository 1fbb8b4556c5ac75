"""Figures about deliveries, computed for pages that are elsewhere.

`overview` is for the admin's first page, with the requests over time from `hourly` and the endpoints in trouble from
`troubled_hosts`. `callback_health` says how each callback does, `reconciliation` what became of an affiliate's orders
of a month. Single deliveries are `callbacks.log`.
"""
