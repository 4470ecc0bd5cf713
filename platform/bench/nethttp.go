package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"
)

// httpSetup says what the peer on net/http has.
type httpSetup struct {
	Certificate []byte // PEM, with the key
}

// serveHTTP is the peer on net/http. It does the least that a gateway does: it
// reads the body, and answers 200 with the apns-id.
func (p *part) serveHTTP(ctx context.Context, setup httpSetup) (err error) {
	pair, err := tls.X509KeyPair(setup.Certificate, setup.Certificate)
	if err != nil {
		return err
	}
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(answerEmpty), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(l, "", "") }()
	if err = p.answer(reply{Target: &target{Address: l.Addr().String()}}, nil); err == nil {
		stopping := context.AfterFunc(ctx, func() { _ = server.Close() })
		err = p.obey(nil)
		stopping()
	}
	err = errors.Join(err, server.Close())
	if s := <-served; !errors.Is(s, http.ErrServerClosed) {
		err = errors.Join(err, s)
	}
	return err
}

func answerEmpty(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("apns-id", r.Header.Get("apns-id"))
	w.WriteHeader(http.StatusOK)
}
