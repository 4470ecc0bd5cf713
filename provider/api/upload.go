package api

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"reflect"
	"slices"
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

const (
	mediaForm = "multipart/form-data"
	mediaAny  = "*/*"
)

// maxUpload bounds an upload: the file in base64 and the rest.
const maxUpload = account.MaxFileBytes/3*4 + smallBody

// uploadFields are the members of account.Upload that are texts, but for the password.
var uploadFields = []parameter{
	{name: "file_name", about: "The name of the file. That of a .p8 has the key ID.", form: schema{"type": "string"}},
	{name: "team_id", about: "Required for a key.", form: schemaOfText(reflect.TypeFor[apns.TeamID]())},
	{name: "key_id", about: "Required for a key whose file is not named AuthKey_<key ID>.p8.", form: schemaOfText(reflect.TypeFor[apns.KeyID]())},
	{name: "environments", about: "sandbox, production, or both with a comma. None: all that it is good for.", form: schema{"type": "string"}},
	{name: "topics", about: "The topics of a key that is for some topics alone, with commas.", form: schema{"type": "string"}},
	{name: "replaces", about: "A credential that is removed when this one is proven wherever that one is used.", form: schemaOfText(reflect.TypeFor[account.CredentialID]())},
}

// uploadParameters are those of an upload of the file itself.
func uploadParameters() []parameter {
	return slices.Concat(uploadFields, []parameter{{name: "password", about: "Always refused: addresses are logged.", form: schema{"not": schema{}}}})
}

// uploadInput is the body of an upload, in its three forms.
func uploadInput() input {
	in := takes[account.Upload](maxUpload)
	properties := schema{
		"file":     schema{"type": "string", "contentMediaType": "application/octet-stream"},
		"password": schema{"type": "string", "description": "Opens the file. It is not kept. A line end behind it is left out."},
	}
	for _, p := range uploadFields {
		s := schema{"description": p.about}
		maps.Copy(s, p.form)
		properties[p.name] = s
	}
	in.contents = append(in.contents,
		content{media: mediaForm, form: schema{"type": "object", "required": []string{"file"}, "properties": properties, "additionalProperties": false}},
		content{media: mediaAny, form: schema{"type": "string", "contentMediaType": "application/octet-stream"}},
	)
	return in
}

// upload reads the body of an upload.
func (q *request) upload() (u account.Upload, err error) {
	switch q.content.media {
	case mediaJSON:
		err = q.decode(&u)
	case mediaForm:
		u, err = q.uploadForm()
	default:
		u, err = q.uploadFile()
	}
	if err == nil && q.content.media != mediaAny && len(q.given) > 0 {
		err = wrongParameter(firstName(q.given), "unknown", "the query is for the file itself as body; here it goes into the body")
	}
	return u, err
}

// uploadFault returns the error of an upload with its faults where they are: if the
// body is the file itself, the rest is in the query.
func (q *request) uploadFault(err error) error {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok || q.content.media != mediaAny {
		return err
	}
	p := invalidProblem(invalid)
	for n := range p.Errors {
		f := &p.Errors[n]
		name, _, _ := strings.Cut(strings.TrimPrefix(*f.Pointer, "/"), "/")
		switch name {
		case "file", "":
			f.Pointer = new(string)
		case "password":
			f.Pointer, f.Detail = new(string), f.Detail+": send it with the file, as a form"
		default:
			f.Pointer, f.Parameter = nil, name
		}
	}
	return p
}

// firstName returns the first name in order.
func firstName(m map[string][]string) string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return slices.Min(names)
}

// uploadFile reads an upload that is the file itself.
func (q *request) uploadFile() (u account.Upload, err error) {
	if q.given.Has("password") {
		return u, wrongParameter("password", "malformed",
			"a password goes in a form: -F file=@… -F password=…; this one may be in logs now, so take another")
	}
	if bytes.HasPrefix(bytes.TrimSpace(q.body), []byte("{")) {
		return u, newProblem(CodeMediaType, "a JSON document goes with Content-Type: application/json")
	}
	for name, values := range q.given {
		setUpload(&u, name, values[0])
	}
	u.File = q.body
	return u, nil
}

// uploadForm reads an upload that is a form.
func (q *request) uploadForm() (u account.Upload, err error) {
	var faults audience.Faults
	form := multipart.NewReader(bytes.NewReader(q.body), q.params["boundary"])
	seen := map[string]bool{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return u, faults.Err()
		}
		if err != nil {
			return u, newProblem(CodeBody, "not a form: %v", err)
		}
		value, err := io.ReadAll(part) // of a body that is bounded
		if err != nil {
			return u, newProblem(CodeBody, "not a form: %v", err)
		}
		name := part.FormName()
		isList := name == "environments" || name == "topics"
		switch {
		case seen[name] && !isList:
			faults.Add("/"+escape(name), audience.Duplicate, "it is there twice")
		case name == "file":
			u.File = value
			if u.FileName == "" {
				u.FileName = part.FileName()
			}
		case name == "password":
			u.Password = strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r") // of a file: -F 'password=<FILE'
		case !setUpload(&u, name, string(value)):
			faults.Add("/"+escape(name), audience.Unknown, "there is no such field; there are file, password, "+fieldNames())
		}
		if seen[name] = true; len(seen)+len(faults) > maxFaults {
			return u, faults.Err()
		}
	}
}

// setUpload sets a field of an upload that is a text, and reports whether there is
// one of that name. Lists have commas.
func setUpload(u *account.Upload, name, value string) bool {
	switch name {
	case "file_name":
		u.FileName = value
	case "team_id":
		u.TeamID = apns.TeamID(value)
	case "key_id":
		u.KeyID = apns.KeyID(value)
	case "environments":
		u.Environments = append(u.Environments, strings.Split(value, ",")...)
	case "topics":
		for topic := range strings.SplitSeq(value, ",") {
			u.Topics = append(u.Topics, apns.Topic(topic))
		}
	case "replaces":
		u.Replaces = account.CredentialID(value)
	default:
		return false
	}
	return true
}

func fieldNames() string {
	var names []string
	for _, p := range uploadFields {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
