package conformance

import (
	"slices"
	"strings"
)

// The modes in which a case can be run: how the sender proves itself.
const (
	byToken       = "token"       // provider tokens
	byCertificate = "certificate" // a push certificate in TLS
)

// Case is one thing that a gateway has to do right. It stands for a connection
// of its own and the steps on it.
type Case struct {
	// Theme is the file that the case is in.
	Theme string `toml:"-"`
	// Name is what the case is about, unique in its theme. Where a case is run in
	// both modes, each has the mode at its end.
	Name string `toml:"name"`
	// Why is where the rule stands: a heading of docs/protocol, such as
	// "provider.md#headers", or a URL.
	Why string `toml:"why"`
	// Ours tells that the rule is Herald's: Apple does not say.
	Ours bool `toml:"ours"`
	// By has the modes; empty stands for that of the theme.
	By []string `toml:"by"`
	// Needs has features that must be there, by the names of their probes.
	Needs []string `toml:"needs"`
	// Alone tells that nothing else may run beside the case.
	Alone bool `toml:"alone"`
	// Connect says how to connect.
	Connect Connect `toml:"connect"`
	// Steps are taken in order. A case without any has one, which stands in the
	// case itself.
	Steps []Step `toml:"step"`
	Step
}

// Connect says how to connect to the gateway.
type Connect struct {
	// Certificate is the name of the certificate to present; empty for that
	// of the mode, "none" for none whatever the mode.
	Certificate string `toml:"certificate"`
	// At is the name of the address; empty for the gateway's.
	At string `toml:"at"`
	// ALPN has the protocols to offer, "none" for no offer; empty stands for h2.
	ALPN string `toml:"alpn"`
	// TLS is the one version to speak, such as "1.2"; empty for any.
	TLS string `toml:"tls"`
	// Want is what becomes of the attempt: empty for a connection, "refused"
	// for an end in TLS, at the latest when the first answer is due.
	Want string `toml:"want"`
	// Settings has the settings that the gateway's first SETTINGS must have.
	Settings map[string]uint32 `toml:"settings"`
}

// Step is a request with its answer, or one of the other things that can be
// done with a connection. A request is the good one of the mode (see Case.good)
// with the changes that the step names.
type Step struct {
	Method string            `toml:"method"`
	Path   string            `toml:"path"`
	To     string            `toml:"to"`   // name of the device token
	Set    map[string]string `toml:"set"`  // headers that have one value
	Add    [][]string        `toml:"add"`  // headers that come once more: name, value
	Drop   []string          `toml:"drop"` // headers that are left out
	Body   *string           `toml:"body"`
	Size   int               `toml:"size"` // of a body that is padded to so many bytes
	Token  *Token            `toml:"token"`

	Pieces   int    `toml:"pieces"`   // bytes of each DATA frame; zero for one frame
	Padding  int    `toml:"padding"`  // bytes of padding of the last DATA frame
	Trailers bool   `toml:"trailers"` // a second header block ends the request
	Blocks   int    `toml:"blocks"`   // bytes of the header block in HEADERS and each CONTINUATION
	HPACK    string `toml:"hpack"`    // "never indexed", "plain" or "resized"

	// Times is how often the request is sent; zero for once.
	Times int `toml:"times"`
	// Together has all be sent before the first answer is awaited.
	Together bool `toml:"together"`
	// Open leaves the request without its body, to be ended by a step with Finish.
	Open   bool `toml:"open"`
	Finish bool `toml:"finish"`
	// Want is the outcome: "accepted", a reason, a status, the code of a
	// stream's reset, "GOAWAY" and a code, "closed"; several with " or " between
	// them, or "not " and one.
	Want string `toml:"want"`
	// WantWithCertificate is Want in that mode, if it differs.
	WantWithCertificate string `toml:"want_with_certificate"`
	// Last is the wanted outcome of the last of several; empty for Want. Some is
	// one that at least one of them has, and all have that or Want.
	Last string `toml:"last"`
	Some string `toml:"some"`
	// Headers has regular expressions for headers of the answer.
	Headers map[string]string `toml:"headers"`
	// Absent has headers that the answer must not have.
	Absent []string `toml:"absent"`
	// Answer is a regular expression for the body of the answer.
	Answer string `toml:"answer"`
	// Form is what kind of answer it is: "push", which is the default,
	// "channel" for broadcasts and channels, or "any".
	Form string `toml:"form"`
	// Keep has names under which headers of the answer are kept for later steps.
	Keep map[string]string `toml:"keep"`
	// Settings are those that the gateway has told of when the step is over.
	Settings map[string]uint32 `toml:"settings"`
	// GoAway is a regular expression for the debug data of GOAWAY, and
	// LastStream is what it says was the last stream.
	GoAway     string  `toml:"goaway"`
	LastStream *uint32 `toml:"last_stream"`

	// Frames are sent as they are, instead of a request.
	Frames []Frame `toml:"frames"`
	// Legacy are notifications of the legacy interface, instead of a request.
	Legacy []Legacy `toml:"legacy"`
	// Read is what else is done instead of a request: "feedback" reads all
	// there is of the feedback service, and wants it "told" or "not told" of the
	// device token named by To, within so many attempts as Times says.
	Read string `toml:"read"`
	// Act is the name of something that the operator of the target does.
	Act string `toml:"act"`
	// Device takes the watched device "away" from the network, or "back".
	Device string `toml:"device"`
	// Received has the payloads that the watched device received since the last
	// step of the kind, and no others.
	Received *[]string `toml:"received"`
	// Reconnect goes on with a new connection, to the address At or else to that
	// of the case.
	Reconnect bool   `toml:"reconnect"`
	At        string `toml:"at"`

	// also has the changes of a second fault.
	also *Step
}

// Frame is an HTTP/2 frame.
type Frame struct {
	Type  uint8 `toml:"type"`
	Flags uint8 `toml:"flags"`
	// Stream is a number, "new" for one that was not used yet, or "last".
	Stream string `toml:"stream"`
	// Data is the payload in hex. Block stands for the header block of the step's
	// request instead, after Data.
	Data  string `toml:"data"`
	Block bool   `toml:"block"`
	// Length is a length in the frame's header that is not true.
	Length int `toml:"length"`
	// Times is how often the frame is sent; zero for once.
	Times int `toml:"times"`
}

// Token says how a provider token is made.
type Token struct {
	// Key is the name of the key; empty for the case's own.
	Key string `toml:"key"`
	// Sign is the name of another key that signs, and Team that of another key
	// whose team is the issuer.
	Sign string `toml:"sign"`
	Team string `toml:"team"`
	// Age is how long ago it was made, in seconds; negative for the future.
	Age int `toml:"age"`
	// Fresh is added to Age each time the request is sent.
	Fresh int `toml:"fresh"`
	// Header and Claims are templates of the two parts, in which ${kid}, ${iss} and
	// ${iat} stand for the values.
	Header string `toml:"header"`
	Claims string `toml:"claims"`
	// Encoding is "url", which is the default, or "standard", with padding.
	Encoding string `toml:"encoding"`
	// Signature is "raw", which is the default, or "der".
	Signature string `toml:"signature"`
	// Again makes it anew instead of taking the one that was made before.
	Again bool `toml:"again"`
}

// Probe finds out whether a gateway has a feature: it has, if the case passes.
type Probe struct {
	// About says what the feature is, for the report.
	About string `toml:"about"`
	Case
}

// id is the name by which a case is selected and reported.
func (c *Case) id() string { return c.Theme + "/" + c.Name }

// steps returns the steps of the case.
func (c *Case) steps() []Step {
	if len(c.Steps) > 0 {
		return c.Steps
	}
	return []Step{c.Step}
}

// mode is how the sender of a case that was loaded proves itself.
func (c *Case) mode() string { return c.By[0] }

// want returns the outcome that is wanted in a mode.
func (s *Step) want(mode string) string {
	if mode == byCertificate && s.WantWithCertificate != "" {
		return s.WantWithCertificate
	}
	return s.Want
}

// isRequest reports whether the step sends a request.
func (s *Step) isRequest() bool {
	return len(s.Frames) == 0 && len(s.Legacy) == 0 && s.Read == "" && s.Act == "" && s.Device == "" &&
		s.Received == nil && !s.Reconnect && !s.Finish
}

// isDelivery reports whether the step is to have something delivered.
func (s *Step) isDelivery(mode string) bool {
	for _, want := range []string{s.want(mode), s.Last, s.Some} {
		if slices.Contains(alternatives(want), accepted) || strings.HasPrefix(want, negation) {
			return true
		}
	}
	return len(s.Legacy) > 0 || s.Finish || s.Open
}

// accepted is the outcome of a push that the gateway takes on.
const accepted = "accepted"

// negation begins an outcome that is not wanted.
const negation = "not "

// alternatives returns the outcomes of which one is wanted.
func alternatives(want string) []string {
	if want == "" {
		return nil
	}
	return strings.Split(want, " or ")
}

// isWanted reports whether an outcome is what is wanted.
func isWanted(got, want string) bool {
	if unwanted, ok := strings.CutPrefix(want, negation); ok {
		return got != unwanted && got != "closed"
	}
	return slices.Contains(alternatives(want), got)
}
