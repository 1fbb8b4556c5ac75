"""What takes longer than a request: resending all deliveries that a filter matches, and sending past orders (backfill).

`views` are the pages that count and start a job, with `forms` and `estimate`; `admin` lists jobs, shows how far one is,
and stops it. `runner` does jobs step by step in a worker, `backfill` finds the orders. The table is
`callbacks.models.job`; resending itself is `callbacks.delivery.resend`.
"""
