"""Callbacks of many affiliates at once: the same one set up for all of them, and another host in all that have one."""
