"""What the long lists of several apps share. It knows no app and no model.

`keys` cuts pages by primary key in bounded time, `pages` has the admin's lists, `columns` what they show, `period` is a
time between two days, `filters` the admin's filter by it, `csv_download` a list as a file. How lists look is in
`templates/admin/`.
"""
