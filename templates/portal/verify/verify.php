<?php
// Whether this is signed with $secret and at most five minutes old. $target is path and query
// ($_SERVER['REQUEST_URI']), $body file_get_contents('php://input'), both as they arrived; the names in $headers are
// in lower case (array_change_key_case(getallheaders())).
function verify(string $secret, string $method, string $target, array $headers, string $body): bool
{
    $id = $headers['webhook-id'] ?? '';
    $at = $headers['webhook-timestamp'] ?? '';
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $content = $id . '.' . $at . '.' . ($method === 'POST' ? $body : $target);
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $content, $key, true));
    $isSigned = false;
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $given) {
        $isSigned = $isSigned || hash_equals($expected, $given);
    }
    return $isSigned && abs(time() - (int) $at) <= 300;
}
