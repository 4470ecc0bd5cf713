package apnsclient_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

const (
	tokenHex    = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad"
	tokenSpaced = "740f4707 bebcf74f 9b7c25d4 8e335894 5f6aa01d a5ddb387 462c7eaf 61bb78ad"
	tokenBase64 = "dA9HB7689E+bfCXUjjNYlF9qoB2l3bOHRix+r2G7eK0="
)

var goodTokens = []struct{ name, in, want string }{
	{"hex", tokenHex, tokenHex},
	{"upper case", strings.ToUpper(tokenHex), tokenHex},
	{"mixed case", "aAbB", "aabb"},
	{"in angle brackets", "<" + tokenSpaced + ">", tokenHex},
	{"spaced", tokenSpaced, tokenHex},
	{"over two lines", tokenHex[:32] + "\r\n" + tokenHex[32:], tokenHex},
	{"line end", tokenHex + "\n", tokenHex},
	{"quoted", "\t\"" + tokenHex + "\" ", tokenHex},
	{"single quotes", "'" + tokenHex + "'", tokenHex},
	{"typographic quotes", "“<" + tokenSpaced + ">”", tokenHex},
	{"quotes in quotes", `'"` + tokenHex + `"'`, tokenHex},
	{"prefix", "0x" + tokenHex, tokenHex},
	{"data that was not cut", "{length = 8, bytes = 0x740f4707bebcf74f}", "740f4707bebcf74f"},
	{"data in groups", "{length = 32, bytes = 0x" + tokenSpaced + " }", tokenHex},
	{"100 bytes", strings.Repeat("ab", 100), strings.Repeat("ab", 100)},
	{"100 bytes, spaced", strings.Repeat("a b ", 100), strings.Repeat("ab", 100)},
	{"as long as base64", strings.Repeat("abcd", 11), strings.Repeat("abcd", 11)},
}

func TestParseDeviceToken(t *testing.T) {
	for _, tt := range goodTokens {
		t.Run(tt.name, func(t *testing.T) {
			got, err := apnsclient.ParseDeviceToken(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Hex() != tt.want {
				t.Errorf("got %s, want %s", got.Hex(), tt.want)
			}
		})
	}
}

const (
	inHex   = `have the app write hex: deviceToken.map { String(format: "%02x", $0) }.joined()`
	inWhole = "copy it whole, from the app's first line to its last"
)

var badTokens = []struct{ name, in, problem, remedy string }{
	{"nothing", " \n", "it is empty", "give the one that the app had from its device, in hex"},
	{"quotes alone", `""`, "it is empty", "give the one that the app had from its device, in hex"},
	{"brackets alone", "<>", "there are no hex digits in it", inHex},
	{
		"iOS 13", "{length = 32, bytes = 0x740f4707 bebcf74f 9b7c25d4 8e335894 ... 462c7eaf 61bb78ad }",
		"the system that printed it left the middle out, where the dots are, and nothing brings it back", inHex,
	},
	{"data of another length", "{length = 32, bytes = 0x740f4707}", "its length is not that of its 8 hex digits", inWhole},
	{"data without a length", "{length = , bytes = 0x740f4707}", "its length is not that of its 8 hex digits", inWhole},
	{"JSON", `{"token":"740f"}`, "it is in braces, and not what a device says of data", inHex},
	{"Swift", "32 bytes", "it says how many bytes the device token has, and not which", inHex},
	{"base64", tokenBase64, "it is base64, not hex", inHex + "; or decode it first: base64 -d | xxd -p -c 100"},
	{"base64 without padding", strings.TrimRight(tokenBase64, "="), "it is base64, not hex", inHex + "; or decode it first: base64 -d | xxd -p -c 100"},
	{"base64 of URLs", strings.NewReplacer("+", "-", "/", "_").Replace(tokenBase64), "it is base64, not hex", inHex + "; or decode it first: base64 -d | xxd -p -c 100"},
	{
		"UUID", "EABEAE54-14A8-11E5-B60B-1697F925EC7B", "it is a UUID",
		"give what didRegisterForRemoteNotificationsWithDeviceToken brings, not an identifier of the device or its vendor",
	},
	{
		"Firebase", "fPx1:APA91bGxyz-_" + strings.Repeat("a", 120), "it is a registration token of Firebase",
		"give the device token of APNs, which the app gets from the system itself",
	},
	{
		"Expo", "ExponentPushToken[xxxxxxxxxxxxxxxxxxxxxx]", "it is a push token of Expo",
		"give the device token of APNs: getDevicePushTokenAsync in the app",
	},
	{"odd", tokenHex[1:], "it has 63 hex digits, an odd number", inWhole + "; or the app wrote bytes below 16 with one digit: " + inHex},
	{"not hex", "740g", "the 4th character is 'g', which is no hex digit", inHex},
	{"at the start", "xyz", "the 1st character is 'x', which is no hex digit", inHex},
	{"eleventh", "0123456789-abcdef", "the 11th character is '-', which is no hex digit", inHex},
	{"cut off", "<740f4707", "it begins with < and does not end with >", inWhole},
	{"raw bytes", "\x74\x0f\xff", "it is not text", inHex + "; these may be the raw bytes"},
	{"another alphabet", "７４０f", "the 1st character is '７', which is no hex digit", inHex},
	{"101 bytes", strings.Repeat("ab", 101), "it has 202 hex digits, and at most 200 are possible", "give one device token at a time"},
	{
		"very long", strings.Repeat("ab ", 1000), "it has 2999 bytes of text, and the longest possible one 200 hex digits",
		"give one device token at a time, and nothing else",
	},
}

func TestParseDeviceTokenRefused(t *testing.T) {
	for _, tt := range badTokens {
		t.Run(tt.name, func(t *testing.T) {
			got, err := apnsclient.ParseDeviceToken(tt.in)
			e, ok := errors.AsType[*apnsclient.DeviceTokenError](err)
			if !ok || got != "" {
				t.Fatalf("got %x and error %v, want a *apnsclient.DeviceTokenError", got, err)
			}
			if e.Problem != tt.problem || e.Remedy != tt.remedy {
				t.Errorf("got %q: %q, want %q: %q", e.Problem, e.Remedy, tt.problem, tt.remedy)
			}
			if len(tt.in) > 8 && strings.Contains(err.Error(), tt.in) {
				t.Errorf("the error repeats the text: %v", err)
			}
			if !errors.Is(err, apns.Reject(apns.BadDeviceToken, "")) {
				t.Errorf("got no %s: %v", apns.BadDeviceToken, err)
			}
		})
	}
}

func FuzzParseDeviceToken(f *testing.F) {
	for _, tt := range goodTokens {
		f.Add(tt.in)
	}
	for _, tt := range badTokens {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := apnsclient.ParseDeviceToken(s)
		strict, refused := apns.ParseDeviceToken(s)
		if refused == nil && (err != nil || got != strict) {
			t.Errorf("%q: got %x and error %v, want %x as the gateway has it", s, got, err, strict)
		}
		if err != nil {
			if _, ok := errors.AsType[*apnsclient.DeviceTokenError](err); !ok || got != "" {
				t.Errorf("%q: got %x and error %v", s, got, err)
			}
			return
		}
		again, err := apnsclient.ParseDeviceToken(got.Hex())
		if err != nil || again != got {
			t.Errorf("%q: got %x, and from its hex %x and %v", s, got, again, err)
		}
	})
}
