"""What is sent: a template becomes a request. Pure functions of the template and an event's frozen values.

`variables` is the table of variables and the snapshot of an event, `syntax` parses templates, `render` makes the URL,
`request` the whole request, `signing` its signature. A URL that is being typed is checked in `callbacks.editor`; the
request is sent by `callbacks.egress`, when `callbacks.delivery` says so.
"""
