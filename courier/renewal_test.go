package courier_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/wire"
)

// TestRenewalRefused asks with each part of a proof wrong.
func TestRenewalRefused(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, time.Hour)
		must(t, err)
		key := newECKey(t)
		request := string(requestPEM(newRequest(t, key)))
		c := s.web(nil)
		a := s.ask(c, http.MethodPost, courier.ActivationPath, activationBody(t, code, []byte(request)))
		var own wire.ActivationResponse
		must(t, json.Unmarshal(a.body, &own))
		prove := func(key *ecdsa.PrivateKey, nonce wire.Nonce, purpose wire.ProofPurpose, over string) wire.DeviceProof {
			t.Helper()
			p, err := wire.NewDeviceProof(own.Certificate, key, nonce, purpose, over)
			must(t, err)
			return p
		}
		body := func(p wire.DeviceProof) []byte {
			t.Helper()
			b, err := json.Marshal(wire.RenewalRequest{DeviceProof: p, CSR: request})
			must(t, err)
			return b
		}
		now := func() wire.Nonce { return wire.NewProofNonce(time.Now()) }
		good := prove(key, now(), wire.ProofRenewal, request)
		stranger := good
		stranger.Certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.portal.Root().Raw}))
		late := prove(key, wire.NewProofNonce(time.Now().Add(-16*time.Minute)), wire.ProofRenewal, request)
		for _, tt := range []struct {
			name   string
			body   []byte
			status int
		}{
			{"nothing", nil, 400},
			{"no certificate", body(wire.DeviceProof{}), 400},
			{"not a device's certificate", body(stranger), 403},
			{"another key", body(prove(newECKey(t), now(), wire.ProofRenewal, request)), 403},
			{"another purpose", body(prove(key, now(), wire.ProofErasure, request)), 403},
			{"another request", body(prove(key, now(), wire.ProofRenewal, "")), 403},
			{"wrong clock", body(late), 422},
		} {
			c := s.web(nil)
			if p := wantProblem(t, tt.name, s.ask(c, http.MethodPost, courier.RenewalPath, tt.body), tt.status); tt.status == 422 && p.Title != wire.ClockProblem {
				t.Errorf("%s: got title %q, want %q", tt.name, p.Title, wire.ClockProblem)
			}
		}
		if a := s.ask(s.web(nil), http.MethodPost, courier.RenewalPath, body(good)); a.status != 200 {
			t.Errorf("good one: got %d, %s", a.status, a.body)
		}
		wantProblem(t, "the same proof again", s.ask(s.web(nil), http.MethodPost, courier.RenewalPath, body(good)), 403)
		wantProblem(t, "GET", s.ask(s.web(nil), http.MethodGet, courier.RenewalPath, nil), 405)

		// A renewal's proof erases nothing.
		erasure, err := json.Marshal(wire.ErasureRequest{DeviceProof: prove(key, now(), wire.ProofRenewal, "")})
		must(t, err)
		wantProblem(t, "erasure by another proof", s.ask(s.web(nil), http.MethodPost, courier.ErasurePath, erasure), 403)
		for range 2 { // twice changes nothing
			erasure, err := json.Marshal(wire.ErasureRequest{DeviceProof: prove(key, now(), wire.ProofErasure, "")})
			must(t, err)
			if a := s.ask(s.web(nil), http.MethodPost, courier.ErasurePath, erasure); a.status != 204 || len(a.body) != 0 {
				t.Errorf("erasure: got %d, %s", a.status, a.body)
			}
		}
		wantProblem(t, "renewal after it", s.ask(s.web(nil), http.MethodPost, courier.RenewalPath, body(prove(key, now(), wire.ProofRenewal, request))), 403)
	})
}
