"""The portal, where affiliates see their callbacks and deliveries: `views`, `urls`, and `access`, their logins.

Merchants give and take these logins on the Settings tab of the profile, `affiliates.profile.views`.
"""
