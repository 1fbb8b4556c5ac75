"""Affiliates and their referral links. Knows nothing of orders, except for the pages that show them.

`models` has both, `referral` takes a link's URL apart, `search` finds an affiliate by what somebody typed or by a code,
`admin`, `forms` and `filters` belong to the admin's lists and forms. `profile` are the tabs of one affiliate there,
`portal` is where affiliates sign in themselves. Their callbacks are `callbacks.setup`.
"""
