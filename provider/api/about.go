package api

import (
	"reflect"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// members say what the document has of the members of types that are other packages';
// those of this one have it in their tags.
var members = map[reflect.Type]map[string]schema{
	reflect.TypeFor[account.AppSpec](): {
		"bundle_id": {"description": "The app's bundle ID, without the suffix of a push type. No other app may have it."},
		"name":      {"description": "For people.", "maxLength": account.MaxNameBytes},
	},
	reflect.TypeFor[account.KeySpec](): {
		"name":       {"description": "For people.", "maxLength": account.MaxNameBytes},
		"scopes":     {"description": "What a secret key is for: at least one. A publishable key has none."},
		"apps":       {"description": "The apps that the key is for; a publishable key has exactly one. None: all, and what is of no app.", "maxItems": account.MaxKeyApps},
		"anonymous":  {"description": "Keeps a publishable key from saying to whom an installation belongs, and from changing that."},
		"expires_at": {"description": "When it ends to be good. Missing: never."},
	},
	reflect.TypeFor[account.Upload](): {
		"file":         {"description": "A .p12, .pem or .p8, in base64."},
		"file_name":    {"description": "The name of a .p8 has the key ID: AuthKey_<key ID>.p8."},
		"password":     {"description": "Opens the file. It is not kept."},
		"team_id":      {"description": "Required for a key; a certificate says it itself."},
		"key_id":       {"description": "Required for a key whose file is not named AuthKey_<key ID>.p8."},
		"environments": {"description": "sandbox, production, or both. None: all that it is good for."},
		"topics":       {"description": "For a key that is for some topics alone. None: all of the app."},
		"replaces":     {"description": "A credential of the app that is removed when this one is proven wherever that one is used."},
	},
	reflect.TypeFor[account.Standing](): {
		"proven_at":  {"description": "When the push service took it, to about an hour. Missing: never."},
		"reason":     {"description": "Why the push service refused it; missing once it was taken after that."},
		"refused_at": {"description": "When the push service refused it."},
	},
	reflect.TypeFor[account.Entry](): {
		"sequence": {"description": "Counts the entries, from 1, without gaps."},
		"time":     {"description": "When it was done."},
		"actor":    {"description": "Who did it: the ID of an API key, or herald."},
		"action":   {"description": "What was done, such as credential.upload."},
		"subject":  {"description": "What it was done to."},
		"detail":   {"description": "More. It holds no secret."},
	},
	reflect.TypeFor[audience.Registration](): {
		"device_tokens": {"description": "None is possible: the user may not have been asked yet.", "maxItems": audience.MaxDestinations},
		"person":        {"description": "The aliases of who uses it, by label, such as external_id.", "maxProperties": audience.MaxAliases},
		"tags":          {"description": "What messages can be sent to, in any order.", "maxItems": audience.MaxTags},
		"locale":        {"description": "A language tag (BCP 47), such as de-CH.", "maxLength": audience.MaxLocaleBytes},
		"time_zone":     {"description": "A name of the IANA database, such as Europe/Zurich."},
		"app_version":   {"description": "The version of the app.", "maxLength": audience.MaxAppVersionBytes},
		"sequence": {
			"description": "Orders the registrations of an installation: one with a lower number than the last is late on its way, and changes nothing. 0: it has none.",
		},
	},
	reflect.TypeFor[audience.RegisteredToken](): {
		"kind":        {"description": "What it is for. Missing: alert."},
		"name":        {"description": "The activity that it is for; only with the kind activity.", "maxLength": audience.MaxNameBytes},
		"environment": {"description": "The push service that it is of.", "enum": []string{"sandbox", "production", "development"}},
		"value":       {"description": "The device token, in hex."},
	},
}
