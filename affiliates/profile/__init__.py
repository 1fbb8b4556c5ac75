"""The tabs of an affiliate's profile in the admin: `views`, and `facts`, the figures in their head.

A new section of the Settings tab goes into `templates/admin/affiliates/affiliate/settings.html` and `views`. The
Profile tab is the admin's own form, `affiliates.admin`. The S2S Callback section of the Settings tab is
`callbacks.setup`, what the Reconciliation tab shows is `callbacks.reports.reconciliation`.
"""
