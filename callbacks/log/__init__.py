"""The log of deliveries in the admin: `admin` has the list and the page of one, `filters` those of the list.

`selection` is what the list's filters select, as data for jobs. `live` keeps open pages up to date, `export` makes the
CSV, `explain` says why an order was sent or not. Resending is `callbacks.delivery.resend`, resending many is
`callbacks.jobs`, figures are `callbacks.reports`.
"""
