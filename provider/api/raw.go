package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/wire"
)

// The raw door takes pushes in Apple's own form, so that any library for APNs can be
// pointed at a provider. What it answers is Apple's, too, but that 200 says that the
// push is durable here; what the push service makes of it is told by the message.

// headerMessage has the ID of the message that a push has become.
const headerMessage = "Herald-Message"

// pushRefusal is what is said of a push that is refused.
type pushRefusal struct {
	Reason    string `json:"reason" about:"In one word, as Apple has it."`
	Timestamp int64  `json:"timestamp,omitempty" about:"With 410, when the device token was found to be no longer valid, in milliseconds since the epoch."`
}

var (
	pushIDHeader      = parameter{name: "apns-id", about: "The name of the notification, that of the request if it has one.", form: schema{"type": "string"}, required: true}
	pushMessageHeader = parameter{name: headerMessage, about: "The message that the push has become.", form: schema{"type": "string"}, required: true}
)

func rawOperations() []operation {
	push := operation{
		id: "push", method: http.MethodPost, path: "/3/device/{device_token}", group: "doors",
		summary: "Push in Apple's form",
		about: "The headers, the body and the answers are those of Apple's push service, so that a library for APNs needs no more than another address. " +
			"With 200 the push is durable.\n\n" +
			"`authorization` has an API key with the scope `send`, or a provider token that was signed with a key of the app. `Herald-Key` has the API key " +
			"where the library writes `authorization` itself. The app follows from `apns-topic`.\n\n" +
			"The environment is the one in the path, or in `Herald-Environment`; else the sandbox for a host whose name has the label `sandbox` or " +
			"`development`, and production for any other.\n\n" +
			"Pushes with one `apns-id` that say the same to the same device token are one push, for 24 hours.",
		header: []parameter{
			{name: "apns-topic", about: "The app's bundle ID, with the suffix of the push type.", form: schema{"type": "string"}, required: true},
			{name: "apns-push-type", form: schema{"type": "string"}},
			{name: "apns-id", about: "A UUID.", form: schema{"type": "string", "format": "uuid"}},
			{name: "apns-expiration", about: "Seconds since the epoch; 0: not stored.", form: schema{"type": "string", "pattern": "^[0-9]+$"}},
			{name: "apns-priority", form: schema{"type": "string", "enum": []string{"10", "5", "1"}}},
			{name: "apns-collapse-id", form: schema{"type": "string", "maxLength": apns.MaxCollapseIDBytes}},
			{name: headerAPIKey, about: "An API key, in place of authorization.", form: schema{"type": "string"}},
			{name: headerEnvironment, about: "sandbox or production.", form: schema{"type": "string"}},
		},
		in:     input{contents: []content{{media: mediaJSON, form: schema{"type": "object"}}}, isLeft: true},
		out:    []outcome{{status: http.StatusOK, about: "It is durable here.", header: []parameter{pushIDHeader, pushMessageHeader}}},
		refuse: refusePush,
		refusal: &outcome{
			about:   "It was refused, for one of Apple's reasons.",
			content: content{media: mediaJSON, holds: reflect.TypeFor[pushRefusal]()}, header: []parameter{pushIDHeader},
		},
		run: (*API).push,
	}
	to := push
	to.id, to.path, to.summary = "pushTo", "/{environment}"+push.path, "Push in Apple's form, to an environment"
	to.about = "As `/3/device/{device_token}`, for a library that takes an address with a path: `/sandbox` or `/production`."
	all := []operation{push, to}
	for _, op := range []operation{push, to} { // and those without a device token
		op.isHidden, op.out = true, nil
		base, id := strings.TrimSuffix(op.path, "/{device_token}"), op.id
		op.path, op.id = base, id+"Nowhere"
		all = append(all, op)
		op.path, op.id = base+"/", id+"Nothing"
		all = append(all, op)
	}
	return all
}

// push is what a request of the raw door says, as far as it was looked at.
type rawPush struct {
	environment apns.Environment
	id          apns.NotificationID // that of every answer
	given       bool                // the ID is the sender's
}

func (a *API) push(ctx context.Context, q *request) (answer, error) {
	p := rawPush{id: apns.NotificationID(apns.NewUUID())}
	m, header, err := a.takePush(ctx, q, &p)
	if err == nil {
		header.Set("Apns-Id", string(p.id))
		header.Set(headerMessage, m.String())
		return answer{status: http.StatusOK, header: header}, nil
	}
	why := a.rejection(ctx, q, err)
	out, err := renderRejection(why, p.id)
	maps.Copy(out.header, header)
	return answer{status: out.status, header: out.header, media: out.media, body: out.body}, err
}

// takePush makes a push a message, whose ID it returns, and fills in p as far as it
// comes. The error may be an *apns.Rejection, the first in the order of
// docs/protocol/provider.md#order.
func (a *API) takePush(ctx context.Context, q *request, p *rawPush) (outbox.MessageID, http.Header, error) {
	header, now := http.Header{}, time.Now()
	var isKnown bool
	if p.environment, isKnown = environmentOf(q.path["environment"], q.Header, q.Host); !isKnown {
		return outbox.MessageID{}, header, apns.Reject(apns.BadPath, "neither sandbox nor production")
	}
	id, idErr := pushID(q.Header)
	if id != "" {
		p.id, p.given = id, true
	}
	switch {
	case q.path["device_token"] == "":
		return outbox.MessageID{}, header, apns.Reject(apns.MissingDeviceToken, "")
	case repeated(q.Header):
		return outbox.MessageID{}, header, apns.Reject(apns.DuplicateHeaders, "")
	case idErr != nil:
		return outbox.MessageID{}, header, idErr
	}
	sender, err := a.admitPush(ctx, q.Header, p.environment, now)
	if err != nil {
		return outbox.MessageID{}, header, err
	}
	ctx = account.WithActor(ctx, string(sender.actor))
	if err := a.rates.take(sender.actor, doorSend, now, header); err != nil {
		return outbox.MessageID{}, header, err
	}
	if q.app, err = a.pushApp(sender, q.Header, p.environment); err != nil {
		return outbox.MessageID{}, header, err
	}
	body, err := io.ReadAll(io.LimitReader(q.Body, int64(maxPushBytes)+1))
	if err != nil {
		return outbox.MessageID{}, header, newProblem(CodeBody, "the body did not arrive")
	}
	o, err := p.order(q, body, now)
	if err != nil {
		return outbox.MessageID{}, header, err
	}
	if err := a.checkGone(ctx, q.app.ID, o.To.DeviceTokens[0]); err != nil {
		return outbox.MessageID{}, header, err
	}
	sent, err := a.server.Send(ctx, q.app.ID, o)
	if errors.Is(err, outbox.ErrOtherRequest) {
		// The ID is used again for something else, which Apple does not mind.
		o.Once = outbox.Once{}
		sent, err = a.server.Send(ctx, q.app.ID, o)
	}
	if err == nil && !p.given {
		p.id = outbox.NotificationID(sent.Message.ID, p.environment, o.To.DeviceTokens[0].DeviceToken)
	}
	return sent.Message.ID, header, err
}

// order returns the order that a push is. Who sends it was recognised.
func (p *rawPush) order(q *request, body []byte, now time.Time) (o provider.Order, err error) {
	topic, err := pushTopic(q.Header)
	if err != nil {
		return o, err
	}
	if o.Notification, err = readPush(q.Header, topic, body); err != nil {
		return o, err
	}
	t, err := apns.ParseDeviceToken(q.path["device_token"])
	if err != nil {
		return o, apns.Reject(apns.BadDeviceToken, err.Error())
	}
	o.To.DeviceTokens = []outbox.Addressee{{Environment: p.environment, DeviceToken: t}}
	// Whoever pushes one by one is not more in a hurry than others.
	lane := outbox.Ordinary
	o.Lane = &lane
	if p.given {
		n := &o.Notification
		n.ID = p.id
		o.Once = outbox.Once{
			Key: digest("apns-id", []byte(q.app.ID), []byte{byte(p.environment)}, []byte(t), []byte(strings.ToLower(string(p.id)))),
			// Who tries again may count the expiration from then.
			Fingerprint: digest("push", []byte(n.Topic), []byte(n.PushType), []byte(n.CollapseID), n.Payload),
			Until:       now.Add(rememberOnce),
		}
	}
	return o, nil
}

// checkGone refuses a push to a device token of which the push service has said that
// it is no longer valid, and that no app has registered since.
func (a *API) checkGone(ctx context.Context, app account.AppID, to outbox.Addressee) error {
	d, err := a.server.DeviceToken(ctx, app, to.Environment, to.DeviceToken)
	switch {
	case errors.Is(err, audience.ErrNotFound):
		return nil
	case err != nil:
		return err
	case d.Standing.State != audience.Gone:
		return nil
	}
	why := apns.Reject(d.Standing.Reason, "known to be gone")
	if why.Status == http.StatusGone {
		why.Since = d.Standing.ReasonAt
	}
	return why
}

// pushSender is who sends a push: the holder of an API key, or of the key that signed
// a provider token.
type pushSender struct {
	actor account.KeyID
	key   *account.Key         // nil for the latter
	by    []account.Credential // of the key that signed
}

// admitPush recognises who sends a push. The error may be an *apns.Rejection.
func (a *API) admitPush(ctx context.Context, h http.Header, e apns.Environment, now time.Time) (pushSender, error) {
	text := h.Get(headerAPIKey)
	if text == "" {
		var err error
		if text, err = bearer(h); err != nil {
			return pushSender{}, err
		}
		if strings.Count(text, ".") == 2 {
			return a.admitProviderToken(ctx, text, e, now)
		}
	}
	k, err := a.book.Authenticate(ctx, text)
	switch {
	case errors.Is(err, account.ErrKey):
		return pushSender{}, apns.Reject(apns.InvalidProviderToken, "neither an API key nor a provider token")
	case err != nil:
		return pushSender{}, err
	case !slices.Contains(k.Scopes, account.ScopeSend) && !slices.Contains(k.Scopes, account.ScopeAdmin):
		return pushSender{}, apns.Reject(apns.Forbidden, "the API key lacks the scope send")
	}
	return pushSender{actor: k.ID, key: &k}, nil
}

// The times of a provider token (docs/protocol/provider.md#provider-tokens).
const (
	maxTokenAge  = account.ProviderTokenLife
	maxTokenSkew = time.Hour
)

// admitProviderToken recognises who signed a provider token. It takes what the push
// service takes, from those whose key an app has: they could push without us.
func (a *API) admitProviderToken(ctx context.Context, text string, e apns.Environment, now time.Time) (pushSender, error) {
	issuedAt, by, err := a.book.Signed(ctx, text)
	switch {
	case errors.Is(err, account.ErrProviderToken):
		return pushSender{}, apns.Reject(apns.InvalidProviderToken, err.Error())
	case err != nil:
		return pushSender{}, err
	case len(by) == 0:
		return pushSender{}, apns.Reject(apns.InvalidProviderToken, "signed with the key of no app")
	}
	actor := account.KeyID(by[0].ID)
	by = slices.DeleteFunc(by, func(c account.Credential) bool { return !slices.Contains(c.Environments, e) })
	age := now.Sub(issuedAt)
	switch {
	case len(by) == 0:
		return pushSender{}, apns.Reject(apns.BadEnvironmentKeyInToken, "")
	case age > maxTokenAge:
		return pushSender{}, apns.Reject(apns.ExpiredProviderToken, "")
	case age < -maxTokenSkew:
		return pushSender{}, apns.Reject(apns.InvalidProviderToken, "made in the future")
	}
	return pushSender{actor: actor, by: by}, nil
}

// pushApp returns the app that a push of a sender is for. The error is an
// *apns.Rejection.
func (a *API) pushApp(s pushSender, h http.Header, e apns.Environment) (account.App, error) {
	topic, err := pushTopic(h)
	if err != nil {
		return account.App{}, err
	}
	app, err := a.book.AppOfTopic(topic)
	if err != nil {
		return app, apns.Reject(apns.TopicDisallowed, "no app has this topic")
	}
	if s.key != nil && s.key.Allows(account.ScopeSend, app.ID) ||
		slices.ContainsFunc(s.by, func(c account.Credential) bool { return c.App == app.ID && c.Reaches(e, topic) }) {
		return app, nil
	}
	return app, apns.Reject(apns.TopicDisallowed, "the key is not for this app")
}

// invalidReasons say for what a push is refused by where an order is wrong.
var invalidReasons = map[string]apns.Reason{
	"/apns/collapse_id": apns.BadCollapseID, "/apns/push_type": apns.InvalidPushType, "/apns/priority": apns.BadPriority,
	"/apns/topic": apns.BadTopic, "/apns/id": apns.BadMessageID, "/payload": apns.PayloadEmpty,
}

// rejection returns the rejection that an error comes to. What is our fault is logged.
func (a *API) rejection(ctx context.Context, q *request, err error) *apns.Rejection {
	if r, ok := errors.AsType[*apns.Rejection](err); ok {
		return r
	}
	if invalid, ok := errors.AsType[*audience.InvalidError](err); ok {
		for _, f := range invalid.Faults {
			if r, ok := invalidReasons[f.Pointer]; ok {
				return apns.Reject(r, f.Detail)
			}
		}
	}
	switch {
	case errors.Is(err, provider.ErrNoCredential), errors.Is(err, account.ErrNotFound):
		return apns.Reject(apns.TopicDisallowed, err.Error())
	case errors.Is(err, outbox.ErrClosed):
		return apns.Reject(apns.Shutdown, "")
	}
	if p := asProblem(err); p != nil && p.Code != CodeInvalid && p.Code != CodeConflict {
		return rejectionOf(p)
	}
	a.log.ErrorContext(ctx, "request failed", slog.String("request", q.id), slog.String("operation", q.op.id), errorAttr(err))
	return apns.Reject(apns.InternalServerError, "")
}

// rejectionOf returns the rejection that is the next to a problem.
func rejectionOf(p *Problem) *apns.Rejection {
	reason := apns.BadPath
	switch p.Status {
	case http.StatusMethodNotAllowed:
		reason = apns.MethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		reason = apns.PayloadTooLarge
	case http.StatusTooManyRequests:
		reason = apns.TooManyRequests
	case http.StatusServiceUnavailable:
		reason = apns.ServiceUnavailable
	case http.StatusInternalServerError:
		reason = apns.InternalServerError
	}
	r := apns.Reject(reason, p.Detail)
	if s, err := strconv.Atoi(p.header.Get("Retry-After")); err == nil {
		r.RetryAfter = time.Duration(s) * time.Second
	}
	return r
}

// refusePush renders a problem that a push met before it was looked at.
func refusePush(p *Problem, _ *http.Request, _ string) (rendered, error) {
	return renderRejection(rejectionOf(p), apns.NotificationID(apns.NewUUID()))
}

// renderRejection returns a rejection as Apple has it
// (docs/protocol/provider.md#answers).
func renderRejection(r *apns.Rejection, id apns.NotificationID) (rendered, error) {
	h := http.Header{"Apns-Id": {string(id)}}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int64((r.RetryAfter+time.Second-1)/time.Second)))
	}
	return rendered{status: r.Status, header: h, media: mediaJSON, body: wire.AppendRejection(nil, r)}, nil
}
