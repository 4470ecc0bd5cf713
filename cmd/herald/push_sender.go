package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform/dev"
)

// pushSender says which gateway, and who sends.
type pushSender struct {
	Sandbox    bool   `xor:"env" help:"Apple's sandbox, for apps from Xcode; with --host, what that gateway is."`
	Production bool   `xor:"env" help:"Production, for apps from TestFlight and the App Store."`
	Host       string `xor:"host" placeholder:"HOST:PORT" help:"Another gateway than Apple's."`
	Dev        string `xor:"host" placeholder:"DIR" help:"A running herald dev, its folder or dev.json: gateway, credential, and without device tokens its virtual device."`
	CA         string `name:"ca" placeholder:"FILE" help:"Authority to trust for the gateway's certificate, PEM. Without it, the system's."`
	ServerName string `placeholder:"NAME" help:"Name that the gateway's certificate has to carry. Without it, the host of --host."`
	Proxy      string `placeholder:"URL" help:"Proxy to go through: http, https, socks5 or socks5h; none for none. Without it, HTTPS_PROXY."`

	Cert     string `xor:"credential" placeholder:"FILE" help:"Push certificate with its key: .p12, ck.pem."`
	Key      string `xor:"credential" placeholder:"FILE" help:"Provider key, .p8."`
	Identity int    `placeholder:"N" help:"Which one, if the file of --cert holds several."`
	keyIDs
	passwordFlags
}

// sending is what all pushes of a run have in common.
type sending struct {
	config     apnsclient.Config
	gateway    string           // for people
	credential string           // for people
	topic      apns.Topic       // to take where none is given, without a suffix; may be empty
	device     apns.DeviceToken // to take where none is given; may be empty
}

// sender returns what the flags say of gateway and credential.
func (c pushCmd) sender(ctx context.Context, s streams) (with sending, err error) {
	if c.Dev != "" {
		if with, err = c.takeDev(); err != nil {
			return with, err
		}
		if c.Cert == "" && c.Key == "" {
			v, err := readDevValues(c.Dev)
			if err != nil {
				return with, err
			}
			c.Key, c.KeyID, c.Team = v[dev.KeyKey], apns.KeyID(v[dev.KeyKeyID]), apns.TeamID(v[dev.KeyTeamID])
		}
	} else if with, err = c.takeGateway(); err != nil {
		return with, err
	}
	if with.config.Proxy, err = c.proxy(with.config.Host); err != nil {
		return with, err
	}
	return with, c.identify(ctx, s, &with)
}

// environment returns the environment that is asked for, or the default.
func (c pushSender) environment(otherwise apns.Environment) apns.Environment {
	switch {
	case c.Sandbox:
		return apns.Sandbox
	case c.Production:
		return apns.Production
	}
	return otherwise
}

// takeGateway is for Apple's gateway, or one that is named.
func (c pushSender) takeGateway() (with sending, err error) {
	e := c.environment(0)
	if e == 0 {
		return with, withHint(usageError("--sandbox or --production?"),
			"device tokens are of one of them: those of apps from Xcode are of the sandbox, those of apps from TestFlight and the App Store of production.")
	}
	with.config = apnsclient.Config{Environment: e, Host: c.Host, ServerName: c.ServerName}
	with.gateway = c.Host
	if c.Host == "" {
		with.gateway = "Apple's"
	}
	with.config.Roots, err = readRoots(c.CA)
	return with, err
}

// takeDev is for a running herald dev.
func (c pushSender) takeDev() (with sending, err error) {
	if c.CA != "" || c.ServerName != "" {
		return with, usageError("--dev knows the gateway's certificate: it takes neither --ca nor --server-name")
	}
	v, err := readDevValues(c.Dev)
	if err != nil {
		return with, err
	}
	with.topic = apns.Topic(v[dev.KeyTopic])
	with.config = apnsclient.Config{Environment: c.environment(apns.Sandbox), Host: v[dev.KeyGatewaySandbox], ServerName: v[dev.KeyServerName]}
	if with.config.Environment == apns.Production {
		with.config.Host = v[dev.KeyGatewayProduction]
	} else if with.device, err = apns.ParseDeviceToken(v[dev.KeyDeviceToken]); err != nil {
		return with, unreadable(fmt.Errorf("%s: %w", plain(c.Dev), err))
	}
	with.gateway = with.config.Host + " of herald dev"
	with.config.Roots, err = readRoots(v[dev.KeyCA])
	return with, err
}

// proxy returns the proxy to go through to a gateway, nil for none. None of the
// errors repeats the URL, which may hold a password.
func (c pushSender) proxy(host string) (*url.URL, error) {
	switch c.Proxy {
	case "none":
		return nil, nil //nolint:nilnil // as asked for
	case "":
		u, err := apnsclient.ProxyFromEnvironment(cmp.Or(host, "api.push.apple.com"))
		if err != nil {
			return nil, withHint(usageError("HTTPS_PROXY holds no URL of a proxy"), "such as http://proxy.example.com:3128.")
		}
		return u, nil
	}
	u, err := url.Parse(c.Proxy)
	if err != nil || u.Host == "" {
		return nil, withHint(usageError("--proxy: this is no URL"), "such as http://proxy.example.com:3128 or socks5h://127.0.0.1:1080.")
	}
	if _, secret := u.User.Password(); secret {
		return nil, withHint(usageError("--proxy holds a password, and others can read a command line"), "give the URL in HTTPS_PROXY.")
	}
	return u, nil
}

// identify reads the credential.
func (c pushCmd) identify(ctx context.Context, s streams, with *sending) error {
	file := cmp.Or(c.Cert, c.Key)
	if file == "" {
		return withHint(usageError("who sends?"), "--key FILE is a provider key (.p8), --cert FILE a push certificate with its key (.p12 or ck.pem).")
	}
	in, err := readInput(file)
	if err != nil {
		return err
	}
	p := c.open(ctx)
	f := inspect(in, p)
	wanted := wantedFlags{Topic: c.Topic, Env: with.config.Environment}
	if f.isProviderKey() {
		if c.KeyID = cmp.Or(c.KeyID, f.report.Objects[0].KeyID); c.KeyID == "" {
			return withHint(usageError("the name of %s holds no key ID: --key-id KEYID gives it", f.report.Name), "it stands beside the key in the portal.")
		}
		if c.Team == "" {
			return withHint(usageError("%s is a provider key: --team is needed with it", f.report.Name), "it stands on the membership page of the developer account.")
		}
	}
	v := judge(f, c.options(wanted), c.Identity)
	p.explain(v.Problems)
	if err := tell(s, v.Problems); err != nil {
		return err
	}
	if f.isProviderKey() {
		return c.takeKey(f, with)
	}
	return c.takeCertificate(f, with)
}

func (c pushCmd) takeKey(f *inspected, with *sending) error {
	signer, err := f.providerKey()
	if err != nil {
		return err
	}
	with.credential = fmt.Sprintf("provider key %s of team %s", c.KeyID, c.Team)
	with.config.ProviderTokens, err = newTokens(c.Team, c.KeyID, signer)
	return err
}

func (c pushCmd) takeCertificate(f *inspected, with *sending) error {
	id, _, err := credential.Assemble(f.File, credential.File{}, credential.AssembleOptions{
		Password: f.password, Number: c.Identity, Topic: c.Topic, Environment: with.config.Environment,
	})
	if err != nil {
		return asProblem(err)
	}
	push, err := credential.ParsePushCertificate(id.Certificate)
	if err != nil {
		return err
	}
	presented := id.TLS()
	with.config.Certificate = &presented
	with.credential = fmt.Sprintf("certificate %q", id.Certificate.Subject.CommonName)
	with.topic = cmp.Or(push.DefaultTopic, push.Topics[0])
	return nil
}
