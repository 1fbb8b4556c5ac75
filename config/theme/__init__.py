"""The looks that all pages share, as an app of Django: the template tags for icons, states, times and amounts.

The templates of these tags are in `templates/theme/`. What only the pages of one app need is in that app.
"""
