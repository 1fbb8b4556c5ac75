"""What the long lists of several apps share. It knows no app and no model.

`keys` cuts pages by primary key in bounded time, `pages` is the admin's list made of them, `period` a time between two
days, `filters` the admin's filter by it, `csv_download` a list as a file. How lists look is in `templates/admin/`.
"""
