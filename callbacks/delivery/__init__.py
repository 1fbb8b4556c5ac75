"""The engine: from a saved order to a delivery that was sent and settled.

Recording: `order_events`, `outbox`. Sending: `queue` (claims under a lease), `dispatcher` (the loop), with
`db_thread`, `scan_window`, `concurrency` and `circuit_breaker`, then `retry` (the retry policy) and `settle`. What a
newer event replaces is `superseded`; what starts it all is `wakeup`; a person's `resend`; `reconcile` finds orders that
were written without a signal. The request itself is made in `callbacks.postback` and sent by `callbacks.egress`; the
pages are in `callbacks.log`; work in many steps is `callbacks.jobs`.
"""
