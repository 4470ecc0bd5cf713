#!/bin/sh
# Prints a provider token for the platform that a dev.json describes, the way a
# person makes one at the shell. The signature stays as openssl writes it, in
# ASN.1 DER, where RFC 7518 section 3.4 asks for R and S side by side: senders
# of this kind are common, and the service takes both.
set -eu
dev=$1

value() { jq --exit-status --raw-output --arg key "$1" '.[$key]' "$dev"; }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

header=$(printf '{"alg":"ES256","kid":"%s"}' "$(value key_id)" | base64url)
claims=$(printf '{"iss":"%s","iat":%d}' "$(value team_id)" "$(date +%s)" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" |
	openssl dgst -sha256 -binary -sign "$(value key)" | base64url)

printf '%s.%s.%s\n' "$header" "$claims" "$signature"
