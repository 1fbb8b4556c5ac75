import base64
import hmac
import json
import time
import uuid
from urllib.request import Request, urlopen


def send(url, secret, order):
    body = json.dumps(order).encode()
    message_id, now = f"msg_{uuid.uuid4()}", str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{message_id}.{now}.".encode() + body, "sha256")
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
    urlopen(Request(url, body, headers), timeout=10).close()
