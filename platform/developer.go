package platform

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// Developer is what a team has in its hands after it has been to the portal:
// everything that its provider needs to send to one app.
type Developer struct {
	Team  portal.Team
	Topic apns.Topic
	// Identity is the push certificate, for both environments, with its key.
	Identity credential.Identity
	// KeyID names the key in P8, the file as the portal gave it out.
	KeyID apns.KeyID
	P8    []byte
}

// Develop does what a developer does once before the first push: creates a
// team, registers an App ID that can broadcast, sends the portal a certificate
// signing request made with key, and has it create a signing key.
func (p *Platform) Develop(ctx context.Context, team string, app apns.Topic, key crypto.Signer) (Developer, error) {
	var d Developer
	var err error
	if d.Team, err = p.Portal.CreateTeam(ctx, team); err != nil {
		return d, err
	}
	if _, err = p.Portal.RegisterApp(ctx, d.Team.ID, app, team); err != nil {
		return d, err
	}
	if _, err = p.Portal.SetBroadcast(ctx, app, true); err != nil {
		return d, err
	}
	d.Topic = app
	if d.Identity, err = p.RequestCertificate(ctx, app, key); err != nil {
		return d, err
	}
	d.KeyID, d.P8, err = p.RequestKey(ctx, d.Team.ID)
	return d, err
}

// RequestCertificate makes a certificate signing request with a key and has
// the portal issue a push certificate for an app, good in both environments.
func (p *Platform) RequestCertificate(ctx context.Context, app apns.Topic, key crypto.Signer) (credential.Identity, error) {
	csr, err := credential.NewRequest(key, credential.RequestSubject{
		Email: "developer@example.com", CommonName: "Push " + string(app), Country: "US",
	})
	if err != nil {
		return credential.Identity{}, err
	}
	issued, err := p.Portal.IssueCertificate(ctx, app, credential.PushUniversal, csr)
	if err != nil {
		return credential.Identity{}, err
	}
	cert, err := x509.ParseCertificate(issued.DER)
	if err != nil {
		return credential.Identity{}, fmt.Errorf("certificate from the portal: %w", err)
	}
	return credential.Identity{Certificate: cert, Chain: []*x509.Certificate{p.Portal.ProviderIssuer()}, Key: key}, nil
}

// RequestKey has the portal create a signing key for a team.
func (p *Platform) RequestKey(ctx context.Context, team apns.TeamID) (apns.KeyID, []byte, error) {
	k, p8, err := p.Portal.CreateKey(ctx, portal.KeySpec{Team: team, Name: "Push key"})
	return k.ID, p8, err
}
