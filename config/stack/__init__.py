"""The processes of an installation on one machine, which `manage.py dev` (`make run`) and `manage.py serve` start.

`supervisor` starts, watches and stops them; `prerequisites` is what has to be there before, and `production` what must
not start; `child` is one process and `valkey` the embedded broker; `web` is the web process and its limits,
`web_processes` several of it; `data_dir` has the files in DATA_DIR; `first_start` fills a new database, and
`demo_history` makes up the past of a demo. On several machines nothing here starts them all: `manage.py web` is the web
process there, and Celery's own commands are worker and beat.
"""
