"""Who gets into the panel and the portal, what they may do there, what is noted of it, and secrets at rest.

The table of authenticators is `config.models`, the address of a request `config.request`, and which affiliate is in the
portal `affiliates.portal`.
"""
