import { createHmac, timingSafeEqual } from "node:crypto";

// Whether this is signed with `secret` and at most five minutes old. `target` is path and query (request.url),
// `body` a Buffer, both as they arrived; the names in `headers` are in lower case (request.headers).
export function verify(secret, method, target, headers, body) {
  const { "webhook-id": id = "", "webhook-timestamp": at = "", "webhook-signature": signatures = "" } = headers;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${at}.`).update(method === "POST" ? body : target);
  const expected = Buffer.from(`v1,${mac.digest("base64")}`);
  const isSigned = signatures.split(" ").map((text) => Buffer.from(text))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
  return isSigned && Math.abs(Date.now() / 1000 - Number(at)) <= 300;
}
