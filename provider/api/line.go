package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// The one-line door takes a text for a person:
//
//	curl -d "Deploy finished" -H "Authorization: Bearer sk_…" https://push.example.com/to/u42

const (
	// defaultLabel is that of the alias where none is named.
	defaultLabel = "external_id"
	mediaText    = "text/plain"
)

// The headers of a line.
const (
	headerTitle    = "Title"
	headerSubtitle = "Subtitle"
	headerPriority = "Priority"
	headerSound    = "Sound"
	headerThread   = "Thread"
)

func lineOperations() []operation {
	text := schema{"type": "string"}
	line := operation{
		id: "sendLine", method: http.MethodPost, path: "/to/{person}", group: "doors",
		summary: "Send a text to a person",
		about: "The body is the text, whatever its Content-Type. It goes to all devices of the person, in both environments. " +
			"The answer is one line for people, and JSON where the request accepts `application/json`.\n\n" +
			"The app is that of the key, or the only one, or the one in `app`.",
		scope: account.ScopeSend, door: doorSend, app: (*API).lineApp,
		query: []parameter{{name: "app", about: "The app.", form: text}},
		header: []parameter{
			{name: headerTitle, about: "The title.", form: text},
			{name: headerSubtitle, about: "The line below it.", form: text},
			{name: headerPriority, about: "min or low: into the list without a sound; default: shown with a sound; high or max: even where the user is not to be disturbed. Or 1 to 5.", form: text},
			{name: headerSound, about: "A sound file of the app; none for silence.", form: text},
			{name: headerThread, about: "Groups it with others.", form: text},
			idempotencyParameter,
		},
		in: input{contents: []content{{media: mediaText, form: text}, {media: "*/*", form: text}}, optional: true},
		out: []outcome{{
			status: http.StatusAccepted, about: "It was taken in.",
			content: content{media: mediaText, form: text}, also: content{media: mediaJSON, holds: reflect.TypeFor[Message]()},
			header: []parameter{locationHeader, replayedHeader},
		}},
		refuse:  refuseLine,
		refusal: &outcome{about: "It was refused; nothing was done.", content: content{media: mediaText, form: text}, also: content{media: mediaProblem, holds: reflect.TypeFor[Problem]()}},
		run:     (*API).sendLine,
	}
	to := line
	to.id, to.path, to.summary = "sendLineTo", "/to/{label}/{person}", "Send a text to a person by another alias"
	to.about = "As `/to/{person}`, where the alias is not an `external_id`."
	return []operation{line, to}
}

// lineApp returns the app that a line is for.
func (a *API) lineApp(q *request) (account.AppID, error) {
	if app := q.URL.Query().Get("app"); app != "" {
		return account.AppID(app), nil
	}
	if len(q.key.Apps) == 1 {
		return q.key.Apps[0], nil
	}
	if all := a.book.Apps("", 2); len(q.key.Apps) == 0 && len(all) == 1 {
		return all[0].ID, nil
	}
	return "", wrongParameter("app", "required", "this key is for more than one app: name it with ?app=")
}

func (a *API) sendLine(ctx context.Context, q *request) (answer, error) {
	alias := audience.Alias{Label: cmp.Or(q.path["label"], defaultLabel), ID: q.path["person"]}
	m := messageRequest{To: recipientsRequest{People: []map[string]string{{alias.Label: alias.ID}}}}
	if err := q.readLine(&m); err != nil {
		return answer{}, err
	}
	now := time.Now()
	o, err := m.order(now)
	if err != nil {
		return answer{}, lineProblem(err, alias)
	}
	o.Once, err = q.once(func() ([]byte, error) {
		same := digest("line", []byte(alias.Label), []byte(alias.ID), o.Notification.Payload, []byte{byte(o.Notification.Priority)})
		return same[:], nil
	}, now)
	if err != nil {
		return answer{}, err
	}
	sent, err := a.server.Send(ctx, q.app.ID, o)
	if err != nil {
		return answer{}, lineProblem(m.point(err), alias)
	}
	doc := submittedOf(q.app.ID, sent.Message)
	said := answer{status: http.StatusAccepted, body: doc, header: replayed(http.Header{"Location": {doc.Links["self"]}}, sent.Repeated)}
	if !acceptsJSON(q.Request) {
		said.media = mediaText
		said.body = fmt.Appendf(nil, "%s to %s of %s\n", doc.ID, devices(doc.Counts.Targeted), alias.ID)
	}
	return said, nil
}

func devices(n int) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

// readLine fills in what a line says.
func (q *request) readLine(m *messageRequest) error {
	if !utf8.Valid(q.body) {
		return newProblem(CodeBody, "the text is not UTF-8")
	}
	var err error
	c := &contentRequest{Body: strings.TrimRight(string(q.body), "\r\n"), Sound: payload.DefaultSound}
	m.Content = c
	for _, h := range [...]struct {
		name string
		to   *string
	}{{headerTitle, &c.Title}, {headerSubtitle, &c.Subtitle}, {headerThread, &m.APNS.ThreadID}} {
		if *h.to, err = q.headerText(h.name); err != nil {
			return err
		}
	}
	if c.Body == "" && c.Title == "" {
		return newProblem(CodeBody, "there is no text: it is the body of the request")
	}
	if m.APNS.InterruptionLevel, err = lineLevel(q.Header.Get(headerPriority)); err != nil {
		return err
	}
	if m.APNS.InterruptionLevel == apns.InterruptionPassive {
		c.Sound = ""
		m.APNS.Priority = new(int(apns.PriorityConserve))
	}
	switch sound, err := q.headerText(headerSound); {
	case err != nil:
		return err
	case strings.EqualFold(sound, "none"):
		c.Sound = ""
	case sound != "":
		c.Sound = sound
	}
	return nil
}

// lineLevel returns the interruption level that a priority stands for.
func lineLevel(priority string) (apns.InterruptionLevel, error) {
	switch strings.ToLower(priority) {
	case "1", "min", "2", "low":
		return apns.InterruptionPassive, nil
	case "", "3", "default":
		return "", nil
	case "4", "high", "5", "max", "urgent":
		return apns.InterruptionTimeSensitive, nil
	}
	return "", wrongParameter(headerPriority, "unknown", "min, low, default, high or max; or 1 to 5")
}

// headerText returns a text in a header: UTF-8 as it is, or as RFC 2047 writes it.
func (q *request) headerText(name string) (string, error) {
	s, err := new(mime.WordDecoder).DecodeHeader(q.Header.Get(name))
	if err != nil || !utf8.ValidString(s) {
		return "", wrongParameter(name, "malformed", "neither UTF-8 nor as RFC 2047 has it")
	}
	return s, nil
}

// lineProblem returns an error of a message as that of a line.
func lineProblem(err error, to audience.Alias) error {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok {
		return unsendable(err)
	}
	p := newProblem(CodeInvalid, "%v", &audience.InvalidError{Faults: unpointed(invalid.Faults)})
	for _, f := range invalid.Faults {
		if f.Pointer == "/to/people/0" && f.Code == audience.Unknown {
			return newProblem(CodeNotFound, "no device of %s %s: the app registers it with that alias", to.Label, to.ID)
		}
		said := ProblemFault{Code: string(f.Code), Detail: f.Detail, OverBy: f.OverBy}
		if said.Parameter = lineParameters[f.Pointer]; said.Parameter == "" && strings.HasPrefix(f.Pointer, "/to/") {
			said.Parameter = "person"
		}
		p.Errors = append(p.Errors, said)
	}
	return p
}

// lineParameters say where in a line stands what a message has at a pointer.
var lineParameters = map[string]string{
	"/content/title": headerTitle, "/content/subtitle": headerSubtitle, "/apns/thread_id": headerThread, "/content/sound": headerSound,
}

// unpointed returns faults without their pointers, as a line has no JSON.
func unpointed(all []audience.Fault) []audience.Fault {
	bare := make([]audience.Fault, 0, len(all))
	for _, f := range all {
		f.Pointer = ""
		bare = append(bare, f)
	}
	return bare
}

// acceptsJSON reports whether who asks wants JSON.
func acceptsJSON(r *http.Request) bool {
	for accepted := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, _, err := mime.ParseMediaType(accepted)
		if err == nil && (media == mediaJSON || media == mediaProblem) {
			return true
		}
	}
	return false
}

// refuseLine renders a problem of a line: a line, too, unless JSON is wanted.
func refuseLine(p *Problem, r *http.Request, requestID string) (rendered, error) {
	if acceptsJSON(r) {
		return p.answer(requestID)
	}
	return rendered{status: p.Status, header: p.header, media: mediaText, body: fmt.Appendf(nil, "not sent: %s\n", cmp.Or(p.Detail, p.Title))}, nil
}
