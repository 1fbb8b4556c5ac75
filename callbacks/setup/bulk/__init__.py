"""The admin's pages that set up many callbacks at once: the same callback for many affiliates, and another host.

`choice` keeps which affiliates were chosen. `same_callback` and `replace_host` plan and do the work, `hosts` replaces
the host in one URL, and `result_messages` says what was done. What takes longer than a request is in `callbacks.jobs`.
"""
