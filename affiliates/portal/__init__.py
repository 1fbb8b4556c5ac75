"""The portal, where affiliates see their callbacks and deliveries: `views`, `urls`, `access`, their logins, and
`viewing`, whose portal is shown to whom.

Merchants give and take these logins on the Settings tab of the profile, `affiliates.profile.views`.
"""
