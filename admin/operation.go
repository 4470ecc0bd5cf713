package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/trace"
)

// Row is a line of the table of operations.
type Row struct {
	// Method is GET for what changes nothing, else POST; PUT and DELETE where
	// doing it twice is the same as once.
	Method string
	// Path may name members of the request, such as
	// "/v1/portal/keys/{id}/revoke".
	Path string
	// About says what it does.
	About string
}

// Operation is one thing that can be done. In and Out are JSON objects.
type Operation[In, Out any] struct {
	Row
	statuses map[portal.Code]int // where they differ from the common ones
	run      func(context.Context, *portal.Portal, In) (Out, error)
	// runFaults and runRooms are in place of run for what is not the portal's
	// alone.
	runFaults func(context.Context, *faults.Simulator, In) (Out, error)
	runRooms  func(context.Context, Rooms, In) (Out, error)
}

// Rooms are what operations are carried out on.
type Rooms struct {
	// Portal is who may send. Required.
	Portal *portal.Portal
	// Faults are faults on demand. Nil means that there are none.
	Faults *faults.Simulator
	// Trace is what happened. Nil means that nothing is kept of it.
	Trace *trace.Recorder
}

// None is what an operation takes that needs nothing.
type None struct{}

// operation is an Operation without its types, for the table.
type operation interface {
	row() Row
	// serve carries it out with the members of an In and returns an Out.
	serve(ctx context.Context, r Rooms, in members) (any, error)
	// local is serve into out, an *Out.
	local(ctx context.Context, r Rooms, in members, out any) error
}

// operations are all but Backup, whose answer is no JSON.
var operations = []operation{
	GetAuthority, GetCRL,
	ListTeams, CreateTeam,
	ListApps, GetApp, RegisterApp, SetBroadcast,
	ListCertificates, GetCertificate, IssueCertificate, RevokeCertificate,
	ListKeys, CreateKey, RevokeKey,
	ListDevices, ActivateDevice, RevokeDevice,
	ListEnrolments, CreateEnrolment, RevokeEnrolment,
	ListAudit,
	GetFaults, PutFaults, DeleteFaults,
	GetTrace,
}

// Table returns the whole API.
func Table() []Row {
	var t []Row
	for _, o := range operations {
		t = append(t, o.row())
	}
	return append(t, backupRow)
}

// Target is where operations are carried out: see Local and Remote.
type Target interface {
	call(ctx context.Context, o operation, in members, out any) error
	backup(ctx context.Context, in BackupRequest, w io.Writer) error
}

// Call carries out o at t. Its error is a *Problem if the platform refuses,
// besides those of the Target.
func (o *Operation[In, Out]) Call(ctx context.Context, t Target, in In) (out Out, err error) {
	m, err := membersOf(in)
	if err != nil {
		return out, err
	}
	for _, name := range o.pathNames() {
		if v, ok := m.text(name); !ok || v == "" {
			return out, newProblem(http.StatusBadRequest, CodeArgument, "", "%s is missing", name)
		}
	}
	err = t.call(ctx, o, m, &out)
	return out, err
}

func (o *Operation[In, Out]) row() Row { return o.Row }

func (o *Operation[In, Out]) serve(ctx context.Context, r Rooms, m members) (any, error) {
	var in In
	if err := m.into(&in); err != nil {
		return nil, newProblem(http.StatusBadRequest, CodeArgument, "", "%s", describeJSON(err))
	}
	out, err := o.at(ctx, r, in)
	if err != nil {
		return nil, asProblem(err, o.statuses)
	}
	return out, nil
}

// at carries out o on the room that it is for.
func (o *Operation[In, Out]) at(ctx context.Context, r Rooms, in In) (out Out, _ error) {
	switch {
	case o.runRooms != nil:
		return o.runRooms(ctx, r, in)
	case o.runFaults == nil:
		return o.run(ctx, r.Portal, in)
	case r.Faults == nil:
		return out, noFaults()
	}
	return o.runFaults(ctx, r.Faults, in)
}

func (o *Operation[In, Out]) local(ctx context.Context, r Rooms, m members, out any) error {
	res, err := o.serve(ctx, r, m)
	if err != nil {
		return err
	}
	to, isOut := out.(*Out)
	v, isResult := res.(Out)
	if !isOut || !isResult {
		return fmt.Errorf("operation %s gives %T, not %T", o.Path, res, out)
	}
	*to = v
	return nil
}

// pathNames returns the names in the braces of the path.
func (r Row) pathNames() (names []string) {
	for part := range strings.SplitSeq(r.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// members are the members of a JSON object.
type members map[string]json.RawMessage

func membersOf(v any) (m members, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return m, nil
}

// text returns a member that is a string.
func (m members) text(name string) (s string, ok bool) {
	return s, json.Unmarshal(m[name], &s) == nil
}

func (m members) setText(name, s string) error {
	b, err := json.Marshal(s)
	m[name] = b
	return err
}

// into writes m into a struct, which must have a field for each member.
func (m members) into(v any) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return decodeStrictly(b, v)
}

// decodeStrictly reads one JSON value that has no member v lacks.
func decodeStrictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// describeJSON says what is wrong with a request, and repeats no value of it.
func describeJSON(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s takes no %s", t.Field, t.Value)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("the body is not JSON at byte %d", s.Offset)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// Local returns the portal in this process as a Target. Errors that are no
// *Problem are the store's.
func Local(p *portal.Portal) Target { return LocalRooms(Rooms{Portal: p}) }

// LocalRooms is Local for all that there is in this process.
func LocalRooms(r Rooms) Target { return local{r} }

type local struct{ rooms Rooms }

func (l local) call(ctx context.Context, o operation, in members, out any) error {
	return o.local(ctx, l.rooms, in, out)
}
