"""Postbacks: what is sent to affiliates' trackers, when, and what became of it. One room for each subject:

- `postback`  what is sent: variables, filters, URL, HTTP method, body, headers, signature. Wrong postbacks start here.
- `editor`    a URL while it is typed or pasted: checks, repairs, other systems' placeholders, known trackers.
- `egress`    the wire: addresses that may be called, name lookups, proxy, one HTTP request and its outcome.
- `delivery`  the engine: which callbacks an order concerns, the queue, sending, retries, resending one by one.
- `jobs`      what takes longer than a request: resending many, sending past orders.
- `setup`     pages of a callback: its form, preview, test, signing secret; `setup.bulk` for many callbacks at once.
- `log`       pages of deliveries: the list, one delivery, why an order was or was not sent, CSV.
- `reports`   figures: the overview, the health of callbacks and endpoints, an affiliate's month.
- `models`    the tables of all of these.

A room never imports one that stands before it in this order: jobs; setup, log, reports; delivery; models; editor;
postback; egress. The modules beside them only connect: `admin`, `urls`, `tasks` (of Celery) and `receivers` (of saved
orders).
Orders and how they arrive (a new shop) are `orders`; the affiliate's profile and portal are `affiliates`.
"""
