"""What is kept, and for how long: pruning by age, exports before that, and forgetting one order altogether.

What is remembered of rows that are gone is `callbacks.models.retention`; copies of the whole database are made by
`config.management.commands.backup`.
"""
