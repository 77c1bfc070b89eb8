#!/usr/bin/env bash
# Publishes events with curl and with bhiv, and reads back what they did.
#
#   publish.sh [HOST]                HOST is where `bhiv up` serves, localhost unless given; https://HOST with TLS, and then
#                                    CURL_CA_BUNDLE is its certificate where it is self-signed; BHIV_HTTP_TOKEN: its token
set -euo pipefail
host=${1:-localhost}
[[ $host == http*://* ]] || host=http://$host
bucket=$host:${BHIV_BUCKET_PORT:-8001}
karma=$host:${BHIV_KARMA_PORT:-8000}
# A token, where HTTP asks for one (bhiv token create): as a file, or it would be in the list of processes.
ask() {
    curl -sS -K <([[ -z ${BHIV_HTTP_TOKEN:-} ]] || printf 'header = "Authorization: Bearer %s"\n' "$BHIV_HTTP_TOKEN") "$@"
}

echo "one event, durable when the answer comes:"
ask "$bucket/core/write-event" -d '{
  "requester_id": "bhiv_core",
  "event_data": {"event_type": "rl_outcome", "agent_id": "edumentor_agent", "user_id": "shell_user", "reward": 0.8}}'
echo
echo "what Bucket keeps:"
ask "$bucket/core/events?limit=3"
echo
echo "what it did to karma (a moment later, and exactly once):"
for _ in $(seq 50); do
    answer=$(ask "$karma/api/v1/karma/shell_user")
    [[ $answer == *USER_NOT_FOUND* ]] || break
done
echo "$answer"
