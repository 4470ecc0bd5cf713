package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
)

// Credential is what notifications of an app go out with, without its private key.
type Credential struct {
	ID           account.CredentialID   `json:"id"`
	Kind         account.CredentialKind `json:"kind"`
	Name         string                 `json:"name" about:"The common name of a certificate, or \"key\" and its ID."`
	TeamID       apns.TeamID            `json:"team_id,omitempty"`
	KeyID        apns.KeyID             `json:"key_id,omitempty"`
	Fingerprint  string                 `json:"fingerprint" about:"SHA-256 of the public key, in hex."`
	Environments []apns.Environment     `json:"environments" about:"Where it is used."`
	Topics       []apns.Topic           `json:"topics,omitempty" about:"What it is used for. None: all of the app."`
	NotBefore    time.Time              `json:"not_before,omitzero"`
	NotAfter     time.Time              `json:"not_after,omitzero" about:"When it expires. A key does not."`
	CreatedAt    time.Time              `json:"created_at"`
	Replaces     account.CredentialID   `json:"replaces,omitempty" about:"The credential whose place it takes when it is proven wherever that one is used."`
	Standings    []account.Standing     `json:"standings,omitempty" about:"What the push service's answers have made of it."`
	// Findings are there only in the answer to what checked it.
	Findings []Finding `json:"findings,omitempty" about:"What the push service said just now, where it was asked."`
}

// Finding is what the push service of an environment says to a credential.
type Finding struct {
	Environment apns.Environment `json:"environment"`
	Verdict     verdict          `json:"verdict"`
	Reason      apns.Reason      `json:"reason,omitempty" about:"The reason of one that was refused."`
	Detail      string           `json:"detail,omitempty" about:"Why it is unclear."`
}

// verdict is an account.Verdict in words.
type verdict string

func credentialOf(c account.Credential, findings []account.Finding) Credential {
	shown := Credential{
		ID: c.ID, Kind: c.Kind, Name: c.Name, TeamID: c.TeamID, KeyID: c.KeyID, Fingerprint: c.Fingerprint,
		Environments: c.Environments, Topics: c.Topics, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		CreatedAt: c.CreatedAt, Replaces: c.Replaces, Standings: c.Standings,
	}
	for _, f := range findings {
		said := Finding{Environment: f.Environment, Verdict: verdict(f.Verdict.String()), Reason: f.Reason}
		if f.Err != nil {
			said.Detail = f.Err.Error()
		}
		shown.Findings = append(shown.Findings, said)
	}
	return shown
}

func credentialOperations() []operation {
	const path = "/v1/apps/{app}/credentials"
	return []operation{
		{
			id: "listCredentials", method: http.MethodGet, path: path, group: "credentials",
			summary: "List the credentials of an app", about: "All of them, the oldest first.", scope: account.ScopeRead,
			out: []outcome{gives[list[Credential]](http.StatusOK, "The credentials.")},
			run: func(a *API, _ context.Context, q *request) (answer, error) {
				var all []Credential
				for _, c := range a.book.Credentials(q.app.ID) {
					all = append(all, credentialOf(c, nil))
				}
				return pageOf(q, all, "")
			},
		},
		{
			id: "uploadCredential", method: http.MethodPost, path: path, group: "credentials",
			summary: "Upload a credential",
			about: "A push certificate (.p12 or .pem) or a key (.p8): as a form, such as `curl -F file=@AuthKey_2X9R4HXF34.p8 -F team_id=ABCDE12345`; " +
				"as JSON with the file in base64; or as the file itself, with the other fields in the query. A password goes in a form or in JSON, never in an address. " +
				"The push service is asked at once whether it takes it, see `findings`; the credential is kept also if it does not.",
			scope: account.ScopeAdmin, query: uploadParameters(), in: uploadInput(),
			out: []outcome{gives[Credential](http.StatusCreated, "It is kept, and was checked.", locationHeader)},
			run: (*API).uploadCredential,
		},
		{
			id: "getCredential", method: http.MethodGet, path: path + "/{credential}", group: "credentials",
			summary: "Show a credential", scope: account.ScopeRead,
			out: []outcome{gives[Credential](http.StatusOK, "The credential, without its private key.")},
			run: func(a *API, _ context.Context, q *request) (answer, error) {
				c, err := a.book.Credential(q.app.ID, account.CredentialID(q.path["credential"]))
				if err != nil {
					return answer{}, err
				}
				return ok(credentialOf(c, nil))
			},
		},
		{
			id: "checkCredential", method: http.MethodPost, path: path + "/{credential}:check", group: "credentials",
			summary: "Check a credential", about: "Asks the push service whether it takes the credential, with a push to a device token that is made up.",
			scope: account.ScopeAdmin,
			out:   []outcome{gives[Credential](http.StatusOK, "The credential, with what was found.")},
			run:   (*API).checkCredential,
		},
		{
			id: "deleteCredential", method: http.MethodDelete, path: path + "/{credential}", group: "credentials",
			summary: "Delete a credential", scope: account.ScopeAdmin,
			query: []parameter{flagParameter("force", "Delete it also if it is the only one that is proven for something.")},
			out:   []outcome{nothing("It is deleted, with its private key.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				force, err := q.flag("force")
				if err != nil {
					return answer{}, err
				}
				if err := a.book.DeleteCredential(ctx, q.app.ID, account.CredentialID(q.path["credential"]), force); err != nil {
					return answer{}, err
				}
				return noContent()
			},
		},
	}
}

func (a *API) uploadCredential(ctx context.Context, q *request) (answer, error) {
	u, err := q.upload()
	if err != nil {
		return answer{}, err
	}
	c, err := a.book.Upload(ctx, q.app.ID, u)
	if err != nil {
		return answer{}, q.uploadFault(err)
	}
	findings, err := a.book.Check(ctx, q.app.ID, c.ID)
	if err != nil && !errors.Is(err, account.ErrNoChecker) {
		// It is kept, and that is what is to be said; it can be checked again.
		a.log.WarnContext(ctx, "an uploaded credential was not checked", slog.String("request", q.id), slog.String("credential", string(c.ID)), errorAttr(err))
	}
	if now, err := a.book.Credential(q.app.ID, c.ID); err == nil { // else it was deleted meanwhile
		c = now
	}
	return created(address("v1", "apps", string(q.app.ID), "credentials", string(c.ID)), credentialOf(c, findings))
}

func (a *API) checkCredential(ctx context.Context, q *request) (answer, error) {
	id := account.CredentialID(q.path["credential"])
	findings, err := a.book.Check(ctx, q.app.ID, id)
	if err != nil {
		return answer{}, err
	}
	c, err := a.book.Credential(q.app.ID, id)
	if err != nil {
		return answer{}, err
	}
	return ok(credentialOf(c, findings))
}
