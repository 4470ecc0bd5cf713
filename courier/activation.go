package courier

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/wire"
)

// stopTimeout is how long a request that is being answered may take when the
// door closes: the enrolment code is used up, and the certificate not sent yet.
const stopTimeout = time.Second

// serveActivation serves the activation door on the connections of l until
// ctx ends.
func (c *Courier) serveActivation(ctx context.Context, running *sync.WaitGroup, l *handoff) {
	server := &http.Server{
		Handler: c.activation, ReadTimeout: connectTimeout, WriteTimeout: connectTimeout + storeTimeout,
		IdleTimeout: connectTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(c.cfg.Logger.Handler(), slog.LevelDebug),
		// It is the last that the server does with a connection.
		ConnState: func(conn net.Conn, state http.ConnState) {
			if p, ok := conn.(*peeked); ok && state == http.StateClosed {
				close(p.done)
			}
		},
	}
	running.Go(func() { _ = server.Serve(l) }) // ends by Shutdown
	running.Go(func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = server.Shutdown(last) // the rest is closed by those who gave it
		_ = l.Close()
	})
}

// activation is the door where a device gets its certificate for an enrolment
// code and a certificate signing request (docs/protocol/courier.md#activation).
type activation struct {
	cfg    Config
	nonces nonces // of proofs
}

func newActivation(cfg Config) http.Handler {
	a := &activation{cfg: cfg}
	mux := http.NewServeMux()
	for path, serve := range map[string]http.HandlerFunc{ActivationPath: a.activate, RenewalPath: a.renew, ErasurePath: a.erase} {
		mux.HandleFunc("POST "+path, serve)
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", http.MethodPost)
			a.refuse(w, r, wire.Problem{Title: "Method not allowed", Status: http.StatusMethodNotAllowed, Detail: "It is a POST."})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, wire.Problem{Title: "Not found", Status: http.StatusNotFound, Detail: "Devices are activated at " + ActivationPath + "."})
	})
	return mux
}

func (a *activation) activate(w http.ResponseWriter, r *http.Request) {
	var req wire.ActivationRequest
	if !a.readBody(w, r, &req, "enrolment_code and certificate_signing_request") {
		return
	}
	var former apns.DeviceID
	if req.Former != nil {
		var problem *wire.Problem
		if former, problem = a.formerDevice(*req.Former, wire.ProofFormer, req.CSR); problem != nil {
			a.refuse(w, r, *problem)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	issued, err := a.cfg.Portal.ActivateDevice(ctx, req.EnrolmentCode, []byte(req.CSR))
	if errors.Is(err, portal.ErrEnrolmentCode) {
		a.refuse(w, r, wire.Problem{Title: "Enrolment code refused", Status: http.StatusForbidden, Detail: "The enrolment code is unknown, used up or expired. Ask for a new one."})
		return
	}
	if err != nil {
		a.failed(ctx, w, r, "activation", err)
		return
	}
	// The code is used up, so nothing may keep the device from its certificate
	// now. If the registry fails, it is asked again at the first Connect.
	if _, err := a.cfg.Registry.EnterDevice(ctx, issued.Device); err != nil {
		a.cfg.Logger.ErrorContext(ctx, "activated device was not entered", slog.Any("error", err), slog.String("device", string(issued.Device)))
	}
	if former != "" && former != issued.Device {
		if err := a.end(ctx, former); err != nil {
			a.cfg.Logger.ErrorContext(ctx, "former device was not ended", slog.Any("error", err), slog.String("device", string(former)))
		}
	}
	a.cfg.Logger.InfoContext(ctx, "device activated", slog.String("device", string(issued.Device)))
	a.answer(w, r, "application/json", http.StatusOK, wire.ActivationResponse{
		DeviceID:    issued.Device,
		Certificate: string(issued.ChainPEM),
	})
}

func (a *activation) refuse(w http.ResponseWriter, r *http.Request, p wire.Problem) {
	a.answer(w, r, "application/problem+json", p.Status, p)
}

func (a *activation) answer(w http.ResponseWriter, r *http.Request, contentType string, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.cfg.Logger.DebugContext(r.Context(), "activation answer was not read", slog.Any("error", err))
	}
}
