"""The shop on the peers' side: a small Django project that tells of its orders as most do, a Celery task for each.

It runs in the peers' own environment. `PEER` in the environment says which of the two does it: `django-webhook`, the
package, or `task`, one written by hand with requests. `loop` is the bare loop, without Django.
"""
