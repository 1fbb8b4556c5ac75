"""What an operator is told about the installation: which processes are alive, what waits, and what is counted.

`background` is the thread that each process has for this; `metrics` is what is counted, `status` what is looked at. The
health of one callback is not here but in `callbacks.reports`.
"""
