#!/bin/sh
# Sends one notification in the enhanced form with nothing but openssl and
# printf, after it one to a device token that nobody has, and prints what comes
# back in hex. The push service answers the second and ends the connection:
# so this ends when all is known, and not after some time.
#
# usage: legacy.sh DEV_JSON IDENTIFIER PAYLOAD NOBODYS_DEVICE_TOKEN
set -eu
value() { jq -er --arg key "$1" '.[$key]' "$dev"; }
dev=$1 identifier=$2 payload=$3 nobodys=$4

# bytes prints bytes given in hex; not every printf knows hex itself.
bytes() {
	for byte in $(printf %s "$1" | sed 's/../& /g'); do
		printf "\\$(printf %03o "0x$byte")"
	done
}

# notification IDENTIFIER DEVICE_TOKEN prints one in the enhanced form.
notification() {
	bytes "$(printf '01%08x%08x0020%s%04x' "$1" "$(($(date +%s) + 3600))" "$2" "${#payload}")"
	printf %s "$payload"
}

{
	notification "$identifier" "$(value device_token)"
	notification "$((identifier + 1))" "$nobodys"
} | openssl s_client -quiet -ign_eof -verify_quiet -verify_return_error -CAfile "$(value ca)" -cert "$(value certificate.pem)" \
	-connect "$(value legacy.sandbox)" -servername "$(value server_name)" | od -An -tx1 | tr -d ' \n'
