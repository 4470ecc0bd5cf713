#!/bin/sh
# Sends one notification in the enhanced form with nothing but openssl and
# printf, and prints what comes back in hex.
#
# usage: legacy.sh DEV_JSON IDENTIFIER PAYLOAD [DEVICE_TOKEN]
set -eu
value() { jq -er --arg key "$1" '.[$key]' "$dev"; }
dev=$1 identifier=$2 payload=$3
token=${4:-$(value device_token)}

# bytes prints bytes given in hex; not every printf knows hex itself.
bytes() {
	for byte in $(printf %s "$1" | sed 's/../& /g'); do
		printf "\\$(printf %03o "0x$byte")"
	done
}

{
	bytes "$(printf '01%08x%08x0020%s%04x' "$identifier" "$(($(date +%s) + 3600))" "$token" "${#payload}")"
	printf %s "$payload"
	sleep 2
} | openssl s_client -quiet -no_ign_eof -verify_quiet -verify_return_error -CAfile "$(value ca)" -cert "$(value certificate.pem)" \
	-connect "$(value legacy.sandbox)" -servername "$(value server_name)" | od -An -tx1 | tr -d ' \n'
