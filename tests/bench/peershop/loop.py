"""The ceiling: a bare libcurl loop that claims 500 rows at a time and records results in bulk, and does nothing else.

No templates, no signatures, no headers or bodies of answers read, no guard, no retries, no fairness. Its rows have the
size of ours.
"""

import json
import os
import resource
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pycurl

from tests.bench import actions

BATCH = 500
IN_FLIGHT = 64
TABLES = """
DROP TABLE IF EXISTS loop_attempt, loop_delivery;
CREATE TABLE loop_delivery (
  id bigserial PRIMARY KEY, event_id uuid NOT NULL UNIQUE, url text NOT NULL, variables jsonb NOT NULL,
  status varchar(16) NOT NULL, next_attempt_at timestamptz, attempt_count int NOT NULL DEFAULT 0,
  last_attempt_at timestamptz, last_status_code smallint, claim_token uuid, leased_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON loop_delivery (next_attempt_at, id) WHERE status = 'pending';
CREATE TABLE loop_attempt (
  id bigserial PRIMARY KEY, delivery_id bigint NOT NULL REFERENCES loop_delivery, trigger varchar(8), method varchar(4),
  url text, request_headers jsonb, request_body text, status_code smallint, error_kind varchar(32), detail text,
  response_headers jsonb, response_excerpt text, remote_address varchar(64), first_byte_ms float8, total_ms float8,
  created_at timestamptz
);
CREATE INDEX ON loop_attempt (delivery_id);
"""
FILL = """
INSERT INTO loop_delivery (event_id, url, variables, status, next_attempt_at)
SELECT gen_random_uuid(), %s || '?n=L' || n || '&cid=fb1&payout=8.70&amount=58.00&currency=USD&txid=' ||
  gen_random_uuid() || '&src=newsletter&status=hold', %s::jsonb, 'pending', now() FROM generate_series(1, %s) n
"""
VARIABLES = {
    "order.number": "B1790000000000000",
    "order.amount": "58.00",
    "order.commission": "8.70",
    "order.currency": "USD",
    "order.status": "new",
    "order.created_at": "2026-03-14T09:26:53Z",
    "event": "order.created",
    "event.id": str(uuid.UUID(int=1)),
    "affiliate.code": "partner1",
    "link.sub_id": "fb1",
    "link.hash": "",
    "link.path": "/products/42",
    "link.query.ref": "partner1",
    "link.query.src": "newsletter",
    "link.query.sub_id": "fb1",
}
CLAIM = """
UPDATE loop_delivery SET status = 'sending', claim_token = %s, leased_until = now() + interval '60 s',
  next_attempt_at = NULL
WHERE id IN (SELECT id FROM loop_delivery WHERE status = 'pending' ORDER BY next_attempt_at, id LIMIT %s
  FOR UPDATE SKIP LOCKED) RETURNING id, url
"""
RECORD = """
COPY loop_attempt (delivery_id, trigger, method, url, request_headers, request_body, status_code, error_kind, detail,
  response_headers, response_excerpt, remote_address, first_byte_ms, total_ms, created_at) FROM STDIN
"""
SETTLE = """
UPDATE loop_delivery SET status = 'succeeded', attempt_count = attempt_count + 1, last_attempt_at = now(),
  last_status_code = 200, claim_token = NULL, leased_until = NULL WHERE id = ANY(%s)
"""
HEADERS = ["User-Agent: loop", "Accept: */*", f"webhook-id: {uuid.UUID(int=1)}", "webhook-timestamp: 1790000000"]
HEADERS.append("webhook-signature: v1," + "x" * 44)
SENT = json.dumps([header.split(": ", 1) for header in HEADERS])
GOT = json.dumps(
    [["Server", "nginx/1.22.1"], ["Date", "x" * 29], ["Content-Length", "2"], ["Connection", "keep-alive"]]
)

Result = tuple[int, str, int, float, float]


def prepare(url: str, amount: int) -> None:
    with _connection() as connection:
        connection.execute(TABLES)
        connection.execute(FILL, (url, json.dumps(VARIABLES), amount))
        connection.execute("ANALYZE loop_delivery")


def drain() -> dict[str, float]:
    """Send everything that waits; how many, in how many seconds, for how much CPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    began, count = time.monotonic(), 0
    with _connection() as connection:
        multi = pycurl.CurlMulti()
        idle = [_handle() for _ in range(IN_FLIGHT)]
        while rows := connection.execute(CLAIM, (uuid.uuid4(), BATCH)).fetchall():
            results = _send(multi, idle, rows)
            with connection.transaction():
                _record(connection, results)
            count += len(rows)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"count": count, "seconds": time.monotonic() - began, "cpu_s": cpu_s}


def _handle() -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.HTTPHEADER, HEADERS)
    handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    return handle


def _send(multi: pycurl.CurlMulti, idle: list[pycurl.Curl], rows: Sequence[tuple[int, str]]) -> list[Result]:
    """Send these, and what came of each."""
    busy: dict[pycurl.Curl, tuple[int, str]] = {}
    results: list[Result] = []
    waiting = iter(rows)
    while len(results) < len(rows):
        while idle and (row := next(waiting, None)):
            handle = idle.pop()
            busy[handle] = row
            handle.setopt(pycurl.URL, row[1])
            multi.add_handle(handle)
        multi.perform()
        _, finished, failed = multi.info_read()
        if failed:
            raise RuntimeError(f"The receiver failed: {failed[0][2]}")
        for handle in finished:
            info = handle.getinfo
            row = busy.pop(handle)
            first = info(pycurl.STARTTRANSFER_TIME_T) / 1000
            results.append((*row, info(pycurl.RESPONSE_CODE), first, info(pycurl.TOTAL_TIME_T) / 1000))
            multi.remove_handle(handle)
            idle.append(handle)
        if not finished:
            multi.select(0.1)
    return results


def _record(connection: psycopg.Connection, results: Sequence[Result]) -> None:
    now = datetime.now(UTC)
    with connection.cursor() as cursor, cursor.copy(RECORD) as copy:
        for key, url, status, first, total in results:
            answer = (status, "", "The tracker answered 200 OK.", GOT, "ok", "127.0.0.1", first, total, now)
            copy.write_row((key, "initial", "GET", url, SENT, "", *answer))
    connection.execute(SETTLE, ([result[0] for result in results],))


def _connection() -> psycopg.Connection:
    name, host = os.environ["PEER_DATABASE"], os.environ["PEER_DATABASE_HOST"]
    return psycopg.connect(f"host={host} user=postgres dbname={name}", autocommit=True)


if __name__ == "__main__":
    actions.serve({"prepare": prepare, "drain": drain})
