package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
)

// providerKeyCmd is about API keys.
type providerKeyCmd struct {
	Add    providerKeyAddCmd    `cmd:"" help:"Make an API key, which is shown this once."`
	List   providerKeyListCmd   `cmd:"" help:"List the API keys."`
	Revoke providerKeyRevokeCmd `cmd:"" help:"Revoke an API key, at once and for good."`
}

// providerKeyAddCmd makes a key.
type providerKeyAddCmd struct {
	Scope       []account.Scope `placeholder:"SCOPE" help:"What it is for: send, devices, read or admin; may be repeated."`
	Publishable bool            `help:"A key for the app itself: it registers installations of one app, and is no secret."`
	Anonymous   bool            `help:"With --publishable: it may not say to whom an installation belongs."`
	App         []account.AppID `placeholder:"APP" help:"App that it is for; may be repeated. Without it, all."`
	Name        string          `help:"Its name, for people."`
	Expires     time.Duration   `placeholder:"TIME" help:"How long it is good, such as 720h. Without it, until it is revoked."`
	Out         string          `placeholder:"FILE" help:"Write the key there, mode 0600, and do not print it."`
	providerAt
}

// newAPIKey is a key as it is shown when it is made.
type newAPIKey struct {
	api.Key
	Secret string `json:"key,omitempty"`
	File   string `json:"file,omitempty"`
}

// Run implements the verb.
func (c providerKeyAddCmd) Run(ctx context.Context, s streams) error {
	spec := account.KeySpec{Kind: account.SecretKey, Name: c.Name, Scopes: c.Scope, Apps: c.App, Anonymous: c.Anonymous}
	switch {
	case c.Publishable && len(c.Scope) > 0:
		return usageError("--publishable: such a key has no --scope")
	case !c.Publishable && len(c.Scope) == 0:
		return withHint(usageError("what is it for?"), "--scope send, devices, read or admin; or --publishable for the app itself, which registers its installation.")
	case !c.Publishable && c.Anonymous:
		return usageError("--anonymous is for a --publishable key")
	case c.Expires < 0:
		return usageError("--expires %v is negative", c.Expires)
	case c.Publishable:
		spec.Kind = account.Publishable
	}
	if c.Expires > 0 {
		spec.ExpiresAt = time.Now().Add(c.Expires)
	}
	return c.do(ctx, func(ctx context.Context, at *providerAPI) (err error) {
		var file *newFile
		if c.Out != "" { // before the provider has done anything
			if file, err = newSecretFile(c.Out); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.discard()) }()
		}
		var made newAPIKey
		if err := at.call(ctx, http.MethodPost, endpoint("v1", "keys"), spec, &made); err != nil {
			return err
		}
		if file != nil {
			if err := file.keepAll([]byte(made.Secret + "\n")); err != nil {
				return withHint(err, "the key is lost: herald provider key revoke %s%s", made.ID, c.again())
			}
			made.Secret, made.File = "", c.Out
		}
		return c.print(s, made, func(w io.Writer) error {
			if made.File != "" {
				_, err := fmt.Fprintf(w, "Wrote %s (mode 0600) with the key %s. It is not shown again.\n", plain(made.File), made.ID)
				return err
			}
			_, err := fmt.Fprintf(w, "%s\nThis is the whole key. It is not shown again.\n", plain(made.Secret))
			return err
		})
	})
}

// providerKeyListCmd lists keys.
type providerKeyListCmd struct{ providerAt }

// Run implements the verb.
func (c providerKeyListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		keys, err := listAll[api.Key](ctx, at, endpoint("v1", "keys"), maxShown)
		if err != nil {
			return err
		}
		return c.print(s, keys, func(w io.Writer) error {
			rows := [][]string{{"KEY", "SCOPES", "APPS", "NAME", "MADE", "USED", "STATE"}}
			for _, k := range keys {
				rows = append(rows, keyRow(k))
			}
			return table(w, rows...)
		})
	})
}

func keyRow(k api.Key) []string {
	scopes, apps, used, state := joined(k.Scopes), "all", "never", "good"
	if k.Kind == account.Publishable {
		scopes = "publishable"
	}
	if k.Anonymous {
		scopes = "publishable, anonymous"
	}
	if len(k.Apps) > 0 {
		apps = joined(k.Apps)
	}
	if !k.LastUsedAt.IsZero() {
		used = minute(k.LastUsedAt)
	}
	switch {
	case !k.RevokedAt.IsZero():
		state = "revoked " + day(k.RevokedAt)
	case !k.ExpiresAt.IsZero():
		state = "until " + expires(k.ExpiresAt)
	}
	return []string{string(k.ID), scopes, apps, k.Name, day(k.CreatedAt), used, state}
}

// joined writes a list of words.
func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, " ")
}

// providerKeyRevokeCmd revokes a key.
type providerKeyRevokeCmd struct {
	Key account.KeyID `arg:"" help:"Its ID: sk_ or pk_ and 16 letters and digits."`
	providerAt
}

// Run implements the verb.
func (c providerKeyRevokeCmd) Run(ctx context.Context, s streams) error {
	id, _, whole := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(string(c.Key), "sk_"), "pk_"), "_")
	if whole {
		return withHint(usageError("this is the whole key, and others can read a command line"), "its ID is enough: the part before the second _, with %d characters.", len(id)+len("sk_"))
	}
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		if err := at.call(ctx, http.MethodDelete, endpoint("v1", "keys", string(c.Key)), nil, nil); err != nil {
			return err
		}
		return c.print(s, map[string]account.KeyID{"revoked": c.Key}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Key %s is revoked.\n", plain(string(c.Key)))
			return err
		})
	})
}
