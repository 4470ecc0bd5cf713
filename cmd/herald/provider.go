package main

import (
	"cmp"
	"context"
	"errors"
	"os"

	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
)

// providerCmd is the provider: an app team's push server.
type providerCmd struct {
	Serve        providerServeCmd        `cmd:"" help:"Run the push server for good; its folder is made at the first start."`
	App          providerAppCmd          `cmd:"" help:"Apps: add, list."`
	Credential   providerCredentialCmd   `cmd:"" help:"Push certificates and keys: add, list, check, delete."`
	Installation providerInstallationCmd `cmd:"" help:"Installations of an app: add, list, show, delete."`
	Send         providerSendCmd         `cmd:"" help:"Send a message: to installations, people, a tag, everybody or device tokens."`
	Message      providerMessageCmd      `cmd:"" help:"Messages: list, show, pause, resume, cancel, failures."`
	Webhook      providerWebhookCmd      `cmd:"" help:"Webhooks: add, list, show, test, pause, resume, replay, rotate, delete."`
	Key          providerKeyCmd          `cmd:"" help:"API keys: add, list, revoke."`
	Backup       providerBackupCmd       `cmd:"" help:"Write everything the provider has into one encrypted file."`
	Restore      providerRestoreCmd      `cmd:"" help:"Make a folder from a backup."`
}

// Help says more than the line in the list of verbs.
func (providerCmd) Help() string {
	return `From nothing to a first push, with a key from Apple's developer portal:

  herald provider serve
  herald provider app add shop com.example.shop
  herald provider credential add AuthKey_2X9R4HXF34.p8 --team ABCDE12345
  herald provider installation add phone 740f4707… --sandbox
  herald provider send --to phone --title Hello --wait

The verbs are calls of the REST API of the provider that runs on a folder (--dir),
or of one elsewhere (--url), whose API key is read from --key-file or
HERALD_KEY. docs/provider.md tells more.

Exit status: 0 done, 1 something is wrong, 2 usage, 3 a file or password cannot
be read, 4 the provider refuses.`
}

// providerAt are the flags that say which provider.
type providerAt struct {
	printFlags
	Dir     string `default:"herald-provider" env:"HERALD_PROVIDER" placeholder:"DIR" help:"Folder of the provider that runs on this machine. Default: ${default}, or HERALD_PROVIDER."`
	URL     string `name:"url" placeholder:"URL" help:"A provider elsewhere, such as https://push.example.com, in place of --dir."`
	KeyFile string `placeholder:"FILE" help:"File with the API key. Without it HERALD_KEY, or the key in the folder."`
	CA      string `name:"ca" placeholder:"FILE" help:"Authority to trust for an https --url, PEM. Without it, the system's."`
}

// do calls f with the API.
func (a providerAt) do(ctx context.Context, f func(context.Context, *providerAPI) error) error {
	at, err := a.api()
	if err == nil {
		err = f(ctx, at)
	}
	return withProviderRemedy(err)
}

// doFor calls f with the API, and the app that is meant: the one given, or the only
// one.
func (a providerAt) doFor(ctx context.Context, given account.AppID, f func(context.Context, *providerAPI, account.AppID) error) error {
	return a.do(ctx, func(ctx context.Context, at *providerAPI) error {
		if given != "" {
			return f(ctx, at, given)
		}
		apps, err := listAll[api.App](ctx, at, endpoint("v1", "apps"), maxShown)
		switch {
		case err != nil:
			return err
		case len(apps) == 0:
			return withHint(errors.New("there is no app yet"), "herald provider app add ID BUNDLEID enters one.")
		case len(apps) > 1:
			return withHint(usageError("there are %s, and --app says which", count(len(apps), "app", "apps")), "herald provider app list shows them.")
		}
		return f(ctx, at, apps[0].ID)
	})
}

// again returns the flags that name the same provider in another command line.
func (a providerAt) again() string {
	switch {
	case a.URL != "":
		return " --url " + shellWord(a.URL)
	case a.Dir != cmp.Or(os.Getenv("HERALD_PROVIDER"), defaultProviderDir):
		return " --dir " + shellWord(a.Dir)
	}
	return ""
}

// defaultProviderDir is the folder where none is named.
const defaultProviderDir = "herald-provider"

// withProviderRemedy adds to an error what can be done about it, if that is known.
func withProviderRemedy(err error) error {
	if f, ok := errors.AsType[*folder.Error](err); ok && f.Remedy != "" {
		return withHint(err, "%s", f.Remedy)
	}
	if _, ok := errors.AsType[*unreachableError](err); ok {
		return withHint(err, "see whether it runs there, and whether --url is its address.")
	}
	return err
}
