"""The admin's pages of one affiliate's callbacks, below their Settings tab; `bulk` has those of many at once.

`form_views` and `forms` are the form in the window, `views` what is done with a saved callback. What the form shows:
`diagnosis` (what is wrong with a URL, and what to write instead), `click_ids`, `preview`, and `test_send`, which
sends it once. `signing_secrets` replaces secrets and shows them once; `changes` compares what was saved with what was
shown. The rules for URLs are in `callbacks.editor`, the tables in `callbacks.models`, how callbacks do in
`callbacks.reports`.
"""
