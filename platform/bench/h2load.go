package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// measureH2load has h2load send a round to a server. Unlike with the load of our
// own, opening the connections is part of it.
func (r *run) measureH2load(ctx context.Context, s *server, sc scenario) (sample, error) {
	program, err := exec.LookPath("h2load")
	if err != nil {
		return sample{}, errors.New("h2load is not installed (on Debian: nghttp2-client)")
	}
	plan := r.plan(s, sc)
	args, err := r.h2loadArgs(&plan)
	if err != nil {
		return sample{}, err
	}
	log := filepath.Join(r.dir, "h2load.log")
	if plan.Rate > 0 {
		args = append(args, "--rps", strconv.Itoa(max(1, plan.Rate/plan.Connections)), "--log-file", log)
	}
	return s.use(func() (load.Result, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		var out strings.Builder
		cmd.Stdout = &out
		c, err := start("h2load", cmd, r.senderCore, false)
		if err != nil {
			return load.Result{}, err
		}
		if err := c.wait(ctx); err != nil {
			return load.Result{}, err
		}
		result, err := parseH2load(out.String(), plan.Pushes)
		if err == nil && plan.Rate > 0 {
			err = quantiles(log, &result)
			err = errors.Join(err, os.Remove(log))
		}
		return result, err
	})
}

// h2loadArgs returns the arguments, and writes the files that they name. The
// provider token among them is of a gateway that ends with this run.
func (r *run) h2loadArgs(p *load.Plan) ([]string, error) {
	body, uris := filepath.Join(r.dir, "body.json"), filepath.Join(r.dir, "uris")
	var list strings.Builder
	for _, path := range p.Paths {
		list.WriteString("https://" + p.Address + path + "\n")
	}
	if err := errors.Join(os.WriteFile(body, p.Push.Payload, 0o600), os.WriteFile(uris, []byte(list.String()), 0o600)); err != nil {
		return nil, err
	}
	args := []string{
		"-n", strconv.FormatInt(p.Pushes, 10), "-c", strconv.Itoa(p.Connections), "-m", strconv.Itoa(p.Streams), "-t", "1",
		"--tls13-ciphers=TLS_AES_128_GCM_SHA256", "-d", body, "-i", uris,
	}
	for _, h := range [][2]string{
		{"authorization", p.Push.Authorization},
		{"apns-topic", p.Push.Topic},
		{"apns-push-type", p.Push.PushType},
		{"apns-priority", p.Push.Priority},
		{"apns-expiration", p.Push.Expiration},
		{"apns-id", "5f0c1a9e-3b5d-4e63-9f0a-6d0f4f6f4b11"},
	} {
		args = append(args, "-H", h[0]+": "+h[1])
	}
	return args, nil
}

var (
	h2loadFinished = regexp.MustCompile(`finished in ([0-9.]+(?:us|ms|s|m)),`)
	h2loadStatus   = regexp.MustCompile(`status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2loadCipher   = regexp.MustCompile(`Cipher: (\S+)`)
)

// parseH2load reads what h2load printed. It is an error if not all pushes were
// answered with status 200.
func parseH2load(out string, pushes int64) (r load.Result, err error) {
	finished, status := h2loadFinished.FindStringSubmatch(out), h2loadStatus.FindStringSubmatch(out)
	if finished == nil || status == nil {
		return r, fmt.Errorf("cannot read what h2load printed: %.500q", out)
	}
	if r.Wall, err = time.ParseDuration(finished[1]); err != nil {
		return r, fmt.Errorf("h2load: %w", err)
	}
	if r.Accepted, err = strconv.ParseInt(status[1], 10, 64); err != nil {
		return r, fmt.Errorf("h2load: %w", err)
	}
	if r.Accepted != pushes || r.Wall <= 0 {
		return r, fmt.Errorf("h2load had %d pushes accepted of %d: %s", r.Accepted, pushes, status[0])
	}
	if cipher := h2loadCipher.FindStringSubmatch(out); cipher != nil {
		r.Cipher = cipher[1]
	}
	r.Sent = pushes
	return r, nil
}

// quantiles reads the latencies from h2load's log: a line for each push, whose
// third column is microseconds.
func quantiles(log string, r *load.Result) (err error) {
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var all []time.Duration
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		columns := strings.Split(lines.Text(), "\t")
		if len(columns) < 3 {
			return fmt.Errorf("h2load's log: %q", lines.Text())
		}
		us, err := strconv.ParseInt(columns[2], 10, 64)
		if err != nil {
			return fmt.Errorf("h2load's log: %w", err)
		}
		all = append(all, time.Duration(us)*time.Microsecond)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("h2load's log is empty")
	}
	slices.Sort(all)
	at := func(part float64) time.Duration { return all[int(part*float64(len(all)-1))] }
	r.P50, r.P99, r.P999 = at(0.5), at(0.99), at(0.999)
	return nil
}
