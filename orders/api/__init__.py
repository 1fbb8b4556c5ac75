"""What the routes of the HTTP API share: `tokens`, `access` (who may what), `rate_limit`, `idempotency`, `pages` of
lists, the `fields` of bodies, orders as JSON (`order_schemas`) and their `lookup`.

The routes are `orders.intake.api`, `affiliates.api` and `callbacks.api`; `config.api` puts them together. What is wrong
with a request is said by `orders.intake.problems`.
"""
