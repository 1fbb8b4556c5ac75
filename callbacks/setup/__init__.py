"""The admin's pages of one affiliate's callbacks, below their Settings tab; `bulk` has those of many at once.

`views` are the pages and `forms` the form in the window. What the form shows: `diagnosis` (what is wrong with a URL,
and what to write instead), `click_ids`, `preview`, and `test_send`, which sends it once for real. `signing_secrets`
replaces secrets and shows them once; `changes` compares what was saved with what was shown. The rules for URLs are in
`callbacks.editor`, the tables in `callbacks.models`, how callbacks do in `callbacks.reports`.
"""
