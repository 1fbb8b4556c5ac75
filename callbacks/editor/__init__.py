"""The URL of a callback while a person types it. Pure functions of the text.

`check` repairs a URL (`repair`, with `entities` and `safe_links`) and finds its problems (`problems` has the sentences
of them). `macros` finds other systems' placeholders, `spellings` knows how they are written, `meanings` says what they
are for, `trackers` has one entry for each tracker, `statuses` a tracker's words for our statuses, `corrections` what to
write instead. `url_parts` says where host and values stand. The grammar of a template is `callbacks.postback.syntax`;
the form is `callbacks.setup`.
"""
