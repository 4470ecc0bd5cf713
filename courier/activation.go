package courier

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

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
type activation struct{ cfg Config }

func newActivation(cfg Config) http.Handler {
	a := activation{cfg}
	mux := http.NewServeMux()
	mux.Handle("POST "+ActivationPath, a)
	mux.HandleFunc(ActivationPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		a.refuse(w, r, wire.Problem{Title: "Method not allowed", Status: http.StatusMethodNotAllowed, Detail: "Activation is a POST."})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, wire.Problem{Title: "Not found", Status: http.StatusNotFound, Detail: "Devices are activated at " + ActivationPath + "."})
	})
	return mux
}

func (a activation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req wire.ActivationRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxActivationBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		a.refuse(w, r, wire.Problem{Title: "Request too large", Status: http.StatusRequestEntityTooLarge, Detail: "The body may have 64 KiB."})
		return
	}
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		a.refuse(w, r, wire.Problem{Title: "Bad request", Status: http.StatusBadRequest, Detail: "The body must be a JSON object with enrolment_code and certificate_signing_request."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	issued, err := a.cfg.Portal.ActivateDevice(ctx, req.EnrolmentCode, []byte(req.CSR))
	refused, isRefusal := errors.AsType[*portal.Refusal](err)
	switch {
	case errors.Is(err, portal.ErrEnrolmentCode):
		a.refuse(w, r, wire.Problem{Title: "Enrolment code refused", Status: http.StatusForbidden, Detail: "The enrolment code is unknown, used up or expired. Ask for a new one."})
		return
	case isRefusal:
		a.refuse(w, r, wire.Problem{Title: "Request refused", Status: http.StatusBadRequest, Detail: refused.Error()})
		return
	case err != nil:
		a.cfg.Logger.ErrorContext(ctx, "activation failed", slog.Any("error", err))
		a.refuse(w, r, wire.Problem{Title: "Internal error", Status: http.StatusInternalServerError, Detail: "The fault is on the service's side; try again later."})
		return
	}
	// The code is used up, so nothing may keep the device from its certificate
	// now. If the registry fails, it is asked again at the first Connect.
	if _, err := a.cfg.Registry.EnterDevice(ctx, issued.Device); err != nil {
		a.cfg.Logger.ErrorContext(ctx, "activated device was not entered", slog.Any("error", err), slog.String("device", string(issued.Device)))
	}
	a.cfg.Logger.InfoContext(ctx, "device activated", slog.String("device", string(issued.Device)))
	a.answer(w, r, "application/json", http.StatusOK, wire.ActivationResponse{
		DeviceID:    issued.Device,
		Certificate: string(issued.ChainPEM),
	})
}

func (a activation) refuse(w http.ResponseWriter, r *http.Request, p wire.Problem) {
	a.answer(w, r, "application/problem+json", p.Status, p)
}

func (a activation) answer(w http.ResponseWriter, r *http.Request, contentType string, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.cfg.Logger.DebugContext(r.Context(), "activation answer was not read", slog.Any("error", err))
	}
}
