"""The URL of a callback while a person types it. Pure functions of the text.

`check` repairs a URL (`repair`) and finds its problems (`problems` has the sentences). `macros` finds other systems'
placeholders, `meanings` says what they are for, `trackers` has one entry for each tracker, `statuses` a tracker's
words for our statuses, `corrections` what to write instead. `url_parts` says where host and values stand.
The grammar of a template is `callbacks.postback.syntax`; the form is `callbacks.setup`.
"""
