"""What is sent: a template becomes a request. Pure functions of the template and an event's frozen values.

`variables` has one entry for each variable, and the snapshot of an event; `syntax` parses templates, `render` makes
the URL, `request` the whole request by its HTTP method (which ones there are: `callbacks.models.setting`; what
libcurl takes: `callbacks.egress.transfer`), `signing` its signature. What was really sent is in the log of its
delivery. A URL that is being typed is checked in `callbacks.editor`; the request is sent by `callbacks.egress`, when
`callbacks.delivery` says so.
"""
