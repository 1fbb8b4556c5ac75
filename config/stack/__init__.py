"""The processes of an installation on one machine, which `manage.py dev` starts (`make run`).

`supervisor` starts, watches and stops them; `prerequisites` is what has to be there before; `child` is one process and
`valkey` the embedded broker; `web` is the web process and its limits; `data_dir` has the files in DATA_DIR;
`first_start` fills a new database. In production nothing here starts them: `manage.py serve` is the web process there,
and Celery's own commands are worker and beat.
"""
