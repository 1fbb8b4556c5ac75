"""What is sent: a template becomes a request. Pure functions of the template and an event's frozen values.

`variables` has one entry for each variable, and the snapshot of an event; `syntax` parses templates, `render` makes
the URL, `request` the whole request by its HTTP method (which methods there are: `callbacks.models.setting`),
`signing` its signature. A URL that is being typed is checked in `callbacks.editor`; the request is sent by
`callbacks.egress`, when `callbacks.delivery` says so.
"""
