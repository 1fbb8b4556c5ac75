"""Orders of the shop and everything about them except what is sent for them, which is `callbacks`.

`models` saves orders and computes commissions, `money` rounds amounts, `signals` says that orders were inserted,
`search` finds orders by number, `admin` and `forms` are their pages. How orders get in is `intake`, the
pages of shops are `shops`.
"""
