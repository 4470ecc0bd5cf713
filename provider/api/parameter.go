package api

import (
	"maps"
	"reflect"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// parameter is one of the path, query or header.
type parameter struct {
	name, about string
	form        schema
	required    bool
}

// pathParameters are those that stand in paths.
var pathParameters = map[string]parameter{
	"app":          pathParameter[account.AppID]("app", "The app's own ID."),
	"credential":   pathParameter[account.CredentialID]("credential", "The credential."),
	"key":          pathParameter[account.KeyID]("key", "The ID of the API key: its beginning."),
	"installation": pathParameter[audience.InstallationID]("installation", "The installation, in the app's own words."),
	"webhook":      pathParameter[event.WebhookID]("webhook", "The webhook."),
	"label":        {name: "label", about: "Of what kind the alias is, such as external_id.", form: schema{"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}},
	"person":       {name: "person", about: "The alias of the person.", form: schema{"type": "string", "minLength": 1}},
	"environment":  pathParameter[apns.Environment]("environment", "The environment."),
	"message":      pathParameter[outbox.MessageID]("message", "The message."),
	"device_token": {name: "device_token", about: "The device token, in hex.", form: schema{"type": "string", "maxLength": 2 * apns.MaxDeviceTokenBytes}},
}

func pathParameter[T any](name, about string) parameter {
	form := maps.Clone(schemaOfText(reflect.TypeFor[T]()))
	delete(form, "description")
	return parameter{name: name, about: about, form: form}
}

// flagParameter is one of the query that is there or not.
func flagParameter(name, about string) parameter {
	return parameter{name: name, about: about, form: schema{"type": "boolean", "default": false}}
}

// locationHeader is the parameter of an answer that says where something is.
var locationHeader = parameter{name: "Location", about: "Where it is.", form: schema{"type": "string", "format": "uri-reference"}, required: true}
