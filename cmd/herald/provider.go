package main

import (
	"context"
	"errors"

	"github.com/heraldpush/herald/platform/folder"
)

// providerCmd is the provider: an app team's push server.
type providerCmd struct {
	Serve providerServeCmd `cmd:"" help:"Run the push server for good; its folder is made at the first start."`
	App   providerAppCmd   `cmd:"" help:"Apps: add, list."`
	Key   providerKeyCmd   `cmd:"" help:"API keys: add, list, revoke."`
}

// Help says more than the line in the list of verbs.
func (providerCmd) Help() string {
	return `The verbs are calls of the REST API of the provider that runs on a folder (--dir),
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
	at, err := a.open()
	if err == nil {
		err = f(ctx, at)
	}
	return withProviderRemedy(err)
}

// again returns the flags that name the same provider in another command line.
func (a providerAt) again() string {
	switch {
	case a.URL != "":
		return " --url " + shellWord(a.URL)
	case a.Dir != defaultProviderDir:
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
