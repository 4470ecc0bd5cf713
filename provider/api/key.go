package api

import (
	"context"
	"net/http"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// Key is an API key, without its secret.
type Key struct {
	ID         account.KeyID   `json:"id" about:"The beginning of the key."`
	Kind       account.KeyKind `json:"kind"`
	Name       string          `json:"name,omitempty" about:"For people."`
	Scopes     []account.Scope `json:"scopes,omitempty" about:"What a secret key is for."`
	Apps       []account.AppID `json:"apps,omitempty" about:"The apps that it is for. None: all, and what is of no app."`
	Anonymous  bool            `json:"anonymous,omitempty" about:"It may not say to whom an installation belongs."`
	ExpiresAt  time.Time       `json:"expires_at,omitzero" about:"When it ends to be good. Missing: never."`
	CreatedAt  time.Time       `json:"created_at"`
	LastUsedAt time.Time       `json:"last_used_at,omitzero" about:"To the hour."`
	RevokedAt  time.Time       `json:"revoked_at,omitzero"`
}

func keyOf(k account.Key) Key {
	return Key{k.ID, k.Kind, k.Name, k.Scopes, k.Apps, k.Anonymous, k.ExpiresAt, k.CreatedAt, k.LastUsedAt, k.RevokedAt}
}

// newKey is a key when it is made.
type newKey struct {
	Key
	Secret string `json:"key" about:"The whole key. It is shown this once and not kept."`
}

func keyOperations() []operation {
	return []operation{
		{
			id: "listKeys", method: http.MethodGet, path: "/v1/keys", group: "keys",
			summary: "List the API keys", about: "By ID, revoked ones too.",
			scope: account.ScopeAdmin, query: pageParameters(),
			out: []outcome{gives[list[Key]](http.StatusOK, "A page of keys.", linkHeader)},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				p, err := q.page()
				if err != nil {
					return answer{}, err
				}
				var all []Key
				for _, k := range a.book.Keys(account.KeyID(p.after), p.limit+1) {
					all = append(all, keyOf(k))
				}
				all, next := cut(all, p.limit, func(k Key) string { return string(k.ID) })
				return pageOf(q, all, next)
			},
		},
		{
			id: "createKey", method: http.MethodPost, path: "/v1/keys", group: "keys",
			summary: "Make an API key", scope: account.ScopeAdmin,
			in:  takes[account.KeySpec](0),
			out: []outcome{gives[newKey](http.StatusCreated, "The key, which is shown this once.", locationHeader)},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				var s account.KeySpec
				if err := q.decode(&s); err != nil {
					return answer{}, err
				}
				k, whole, err := a.book.CreateKey(ctx, s)
				if err != nil {
					return answer{}, err
				}
				return created(address("v1", "keys", string(k.ID)), newKey{keyOf(k), whole.Reveal()})
			},
		},
		{
			id: "getKey", method: http.MethodGet, path: "/v1/keys/{key}", group: "keys",
			summary: "Show an API key", scope: account.ScopeAdmin,
			out: []outcome{gives[Key](http.StatusOK, "The key, without its secret.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				k, err := a.book.KeyOf(account.KeyID(q.path["key"]))
				if err != nil {
					return answer{}, err
				}
				return ok(keyOf(k))
			},
		},
		{
			id: "revokeKey", method: http.MethodDelete, path: "/v1/keys/{key}", group: "keys",
			summary: "Revoke an API key", about: "At once and for good. It stays in the list, until it is forgotten.",
			scope: account.ScopeAdmin,
			query: []parameter{flagParameter("forget", "Take one off the list that was revoked or has expired.")},
			out:   []outcome{nothing("It is revoked, or forgotten.")},
			run:   (*API).revokeKey,
		},
	}
}

func (a *API) revokeKey(ctx context.Context, q *request) (answer, error) {
	id := account.KeyID(q.path["key"])
	forget, err := q.flag("forget")
	if err != nil {
		return answer{}, err
	}
	if forget {
		err = a.book.DeleteKey(ctx, id)
	} else {
		_, err = a.book.RevokeKey(ctx, id)
	}
	if err != nil {
		return answer{}, err
	}
	return noContent()
}
