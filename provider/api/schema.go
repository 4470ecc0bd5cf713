package api

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// schema is a JSON Schema (draft 2020-12), as OpenAPI 3.1 has it.
type schema map[string]any

var appIDType = reflect.TypeFor[account.AppID]()

// texts have the schemas of what is a string in JSON and means something.
var texts = map[reflect.Type]schema{
	timeType: {"type": "string", "format": "date-time"},

	reflect.TypeFor[apns.Environment](): enum("Which of the two push services.", apns.Sandbox, apns.Production),
	reflect.TypeFor[apns.Topic]():       {"type": "string", "minLength": 1, "examples": []string{"com.example.shop"}},
	reflect.TypeFor[apns.TeamID]():      {"type": "string", "pattern": "^[A-Z0-9]{10}$"},
	reflect.TypeFor[apns.KeyID]():       {"type": "string", "pattern": "^[A-Z0-9]{10}$"},

	reflect.TypeFor[account.AppID](): {
		"type": "string", "minLength": 1, "maxLength": account.MaxAppIDBytes, "pattern": "^[a-z0-9._-]+$",
		"description": "The app's own ID, such as shop.",
	},
	reflect.TypeFor[account.CredentialID](): {"type": "string", "pattern": "^cred_[a-z2-7]{20}$"},
	reflect.TypeFor[account.KeyID]():        {"type": "string", "pattern": "^[ps]k_[a-z2-7]{16}$"},
	reflect.TypeFor[account.CredentialKind](): enum("A push certificate, or a key that signs provider tokens.",
		account.PushCertificate, account.ProviderKey),
	reflect.TypeFor[account.KeyKind](): enum("Publishable keys may register installations of one app, and nothing else.",
		account.Publishable, account.SecretKey),
	reflect.TypeFor[verdict](): enum("Whether the push service takes it.", account.Taken, account.Refused, account.Unclear),
	reflect.TypeFor[account.Scope](): enum("What a key is for.",
		account.ScopeSend, account.ScopeDevices, account.ScopeRead, account.ScopeAdmin),

	reflect.TypeFor[hexToken](): {"type": "string", "pattern": "^([0-9a-f]{2})+$", "description": "A device token, in hex."},

	reflect.TypeFor[audience.InstallationID](): {
		"type": "string", "minLength": 1, "maxLength": audience.MaxInstallationIDBytes, "pattern": "^[A-Za-z0-9._~:@-]+$",
		"description": "The installation, in the app's own words: most often a UUID that it makes at its first launch.",
	},
	reflect.TypeFor[audience.Kind](): enum("What a device token is for.",
		audience.KindAlert, audience.KindVoIP, audience.KindComplication, audience.KindLocation, audience.KindFileProvider,
		audience.KindPushToTalk, audience.KindWidgets, audience.KindControls, audience.KindPushToStart, audience.KindActivity),

	reflect.TypeFor[outbox.MessageID](): {"type": "string", "pattern": "^msg_[0-9A-HJKMNP-TV-Z]{26}$", "description": "The ID of a message."},

	reflect.TypeFor[event.ID]():        {"type": "string", "pattern": "^evt_[a-z2-7]{26}$"},
	reflect.TypeFor[event.WebhookID](): {"type": "string", "pattern": "^wh_[a-z2-7]{20}$"},
	// New ones may come, so it is no enum.
	reflect.TypeFor[event.Kind]():  {"type": "string", "pattern": `^[a-z_]+\.[a-z_]+$`, "examples": []event.Kind{event.MessageDone}},
	reflect.TypeFor[event.State](): enum("Whether events are posted there.", event.Active, event.Paused),

	reflect.TypeFor[Code](): codeSchema(),
}

// enum is the schema of one of some words.
func enum[T any](about string, all ...T) schema {
	words := make([]string, 0, len(all))
	for _, w := range all {
		words = append(words, fmt.Sprint(w))
	}
	return schema{"type": "string", "enum": words, "description": about}
}

// codeSchema is the schema of a Code. New ones may come, so it is no enum.
func codeSchema() schema {
	return schema{"type": "string", "pattern": "^[a-z_]+$"}
}

// schemaOfText returns the schema of a type that is a string in JSON.
func schemaOfText(t reflect.Type) schema {
	if s := texts[t]; s != nil {
		return s
	}
	return schema{"type": "string"}
}

// schemas gathers those of types that have a name, as components of the document.
type schemas struct {
	components map[string]schema
	types      map[string]reflect.Type
}

// of returns the schema of a type as it stands in a place: a reference, if it has a
// name. The error is a mistake in the types.
func (all *schemas) of(t reflect.Type) (schema, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		return all.of(t.Elem())
	case t == anyType:
		return schema{}, nil
	case t == rawType:
		return schema{"type": "object"}, nil
	case texts[t] != nil, reflect.PointerTo(t).Implements(textType), t.Kind() == reflect.String:
		return maps.Clone(schemaOfText(t)), nil
	case t == reflect.TypeFor[[]byte]():
		return schema{"type": "string", "contentEncoding": "base64"}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return schema{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}, nil
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}, nil
	case reflect.Slice:
		items, err := all.of(t.Elem())
		return schema{"type": "array", "items": items}, err
	case reflect.Map:
		values, err := all.of(t.Elem())
		return schema{"type": "object", "additionalProperties": values}, err
	case reflect.Struct:
		return all.named(t)
	default:
		return nil, fmt.Errorf("API: no schema for %v", t)
	}
}

// named returns a reference to the schema of a struct; the schema itself, if it is
// generic and so has no name of its own.
func (all *schemas) named(t reflect.Type) (schema, error) {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if strings.Contains(name, "[") {
		return all.object(t)
	}
	if other, ok := all.types[name]; ok && other != t {
		return nil, fmt.Errorf("API: %v and %v have the same name", t, other)
	}
	if all.types[name] == nil {
		all.types[name] = t // before its members, which may be of it
		s, err := all.object(t)
		if err != nil {
			return nil, err
		}
		all.components[name] = s
	}
	return schema{"$ref": "#/components/schemas/" + name}, nil
}

func (all *schemas) object(t reflect.Type) (schema, error) {
	properties, required := schema{}, []string{}
	for _, f := range fieldsOf(t) {
		s, err := all.of(f.typ)
		if err != nil {
			return nil, fmt.Errorf("%w, in %v", err, t)
		}
		if f.about != "" {
			s["description"] = f.about
		}
		maps.Copy(s, members[t][f.name])
		properties[f.name] = s
		if !f.optional {
			required = append(required, f.name)
		}
	}
	s := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s, nil
}

// closed makes a component refuse members that it has not, as requests do. Answers may
// get more with time, and say so by saying nothing.
func (all *schemas) closed(s schema) {
	ref, _ := s["$ref"].(string)
	if component := all.components[strings.TrimPrefix(ref, "#/components/schemas/")]; component != nil {
		s = component
	}
	properties, isObject := s["properties"].(schema)
	if isObject && s["additionalProperties"] == nil {
		s["additionalProperties"] = false
		for _, p := range properties {
			if p, ok := p.(schema); ok {
				all.closed(p)
			}
		}
	}
	if items, ok := s["items"].(schema); ok {
		all.closed(items)
	}
}
