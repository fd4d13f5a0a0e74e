// Invoke measures how fast an OpenWhisk takes and answers invocations over its REST API; invoke -h shows how.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

const usage = `Usage: invoke [options]

Measures how fast an OpenWhisk takes and answers invocations over its REST API, with a Go action that does nothing: several clients that
each send the next request when the last one is answered. OW_APIHOST and OW_AUTH name the platform, by default sampler platform on this
machine; it must have no throttles. It deploys an action of its own, and removes it.

Examples:
  sampler platform -per-minute 0 -concurrent 0 &
  invoke                                one client, blocking, for five seconds
  invoke -clients 4                     four
  invoke -clients 4 -nonblocking        and wait at the end until all activations are stored
  invoke -cold 20                       the first invocation of 20 actions, one after the other
`

func main() {
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "invoke", run(ctx, args, stdout))
	})
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	fs := cli.NewFlagSet("invoke", stdout, usage)
	clients := fs.Int("clients", 1, "`clients` that send at the same time")
	span := fs.Duration("for", 5*time.Second, "how `long` to send")
	nonblocking := fs.Bool("nonblocking", false, "send without waiting for results")
	cold := fs.Int("cold", 0, "measure the first invocation of this many `actions` instead")
	kind := fs.String("kind", "go:1.20", "the `kind` of the action")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("unexpected argument %q", rest[0])
	}
	if *clients < 1 || *span <= 0 || *cold < 0 {
		return cli.Usagef("-clients and -for must be positive, -cold must not be negative")
	}
	zip, err := noop(ctx, *kind)
	if err != nil {
		return err
	}
	p, err := newPlatform(*clients, *kind, zip)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove(context.WithoutCancel(ctx))) }()
	if *cold > 0 {
		return p.cold(ctx, stdout, *cold)
	}
	return p.warm(ctx, stdout, *clients, *span, *nonblocking)
}

// noop builds the action and zips it.
func noop(ctx context.Context, kind string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "tppfaas-noop-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "noop")
	c := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", file, "github.com/tppfaas/tppfaas/bench/invoke/noop")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	executable, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return action.Zip(executable, kind)
}

// platform is an OpenWhisk, with the actions that were deployed.
type platform struct {
	base, auth string
	kind, code string
	http       http.Client
	deployed   []string
}

func newPlatform(clients int, kind string, zip []byte) (*platform, error) {
	p := &platform{base: os.Getenv("OW_APIHOST"), auth: os.Getenv("OW_AUTH"), kind: kind, code: base64.StdEncoding.EncodeToString(zip)}
	if p.base == "" {
		p.base = "http://127.0.0.1:3233"
	}
	if p.auth == "" {
		var err error
		if p.auth, _, err = whisk.ReadLocalKey(); err != nil {
			return nil, fmt.Errorf("%w; OW_AUTH, UUID:KEY, does without the file", err)
		}
	}
	p.base = strings.TrimSuffix(p.base, "/") + "/api/v1/namespaces/_/"
	p.http.Transport = &http.Transport{MaxIdleConnsPerHost: clients + 1}
	return p, nil
}

// call sends a request and reads the answer, which must have the wanted status.
func (p *platform) call(ctx context.Context, status int, method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	user, password, _ := strings.Cut(p.auth, ":")
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != status {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	return text, err
}

func (p *platform) deploy(ctx context.Context, name string) error {
	body, err := json.Marshal(map[string]any{"exec": map[string]any{"kind": p.kind, "code": p.code, "binary": true}})
	if err == nil {
		_, err = p.call(ctx, http.StatusOK, http.MethodPut, "actions/"+name+"?overwrite=true", body)
	}
	if err == nil {
		p.deployed = append(p.deployed, name)
	}
	return err
}

func (p *platform) remove(ctx context.Context) error {
	var errs []error
	for _, name := range p.deployed {
		_, err := p.call(ctx, http.StatusOK, http.MethodDelete, "actions/"+name, nil)
		errs = append(errs, err)
	}
	p.http.CloseIdleConnections()
	return errors.Join(errs...)
}

func (p *platform) warm(ctx context.Context, stdout io.Writer, clients int, span time.Duration, nonblocking bool) error {
	const name = "tppfaas-bench-noop"
	if err := p.deploy(ctx, name); err != nil {
		return err
	}
	path, status := "actions/"+name+"?blocking=true&result=true", http.StatusOK
	// Each client's container is to be warm.
	if err := p.send(ctx, clients, 20*clients, time.Minute, path, status, func(time.Duration, []byte) {}); err != nil {
		return err
	}
	if nonblocking {
		path, status = "actions/"+name, http.StatusAccepted
	}
	var mu sync.Mutex
	var took []time.Duration
	var last string
	begin := time.Now()
	err := p.send(ctx, clients, 0, span, path, status, func(d time.Duration, answer []byte) {
		mu.Lock()
		defer mu.Unlock()
		took = append(took, d)
		if nonblocking {
			last = string(answer)
		}
	})
	if err != nil {
		return err
	}
	elapsed := time.Since(begin)
	what := "blocking"
	if nonblocking {
		what = "not blocking"
		var a struct{ ActivationID string }
		if err := json.Unmarshal([]byte(last), &a); err != nil {
			return err
		}
		// The last one is stored when all before it have run, but for those that run beside it.
		for ; ; time.Sleep(time.Millisecond) {
			if _, err := p.call(ctx, http.StatusOK, http.MethodGet, "activations/"+a.ActivationID, nil); err == nil {
				break
			} else if ctx.Err() != nil {
				return err
			}
		}
	}
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	_, err = fmt.Fprintf(stdout, "%d clients, %s: %.0f invocations a second over %.1f s, an answer in %.2f ms (median), %.2f (90 %%), %.2f (99 %%)",
		clients, what, float64(len(took))/elapsed.Seconds(), elapsed.Seconds(), at(0.5), at(0.9), at(0.99))
	if nonblocking {
		_, err = fmt.Fprintf(stdout, "; the last one stored %.2f s after its sending", time.Since(begin.Add(elapsed)).Seconds())
	}
	fmt.Fprintln(stdout)
	return err
}

// send has clients send requests until n are answered (0: no bound) or the time is over.
func (p *platform) send(ctx context.Context, clients, n int, span time.Duration, path string, status int, answered func(time.Duration, []byte)) error {
	errs := make([]error, clients)
	var sent atomic.Int64
	var wait sync.WaitGroup
	end := time.Now().Add(span)
	for i := range clients {
		wait.Go(func() {
			for errs[i] == nil && time.Now().Before(end) && (n == 0 || sent.Add(1) <= int64(n)) {
				begin := time.Now()
				var answer []byte
				if answer, errs[i] = p.call(ctx, status, http.MethodPost, path, []byte("{}")); errs[i] == nil {
					answered(time.Since(begin), answer)
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (p *platform) cold(ctx context.Context, stdout io.Writer, n int) error {
	var whole, waits, inits []float64
	for i := range n {
		name := fmt.Sprintf("tppfaas-bench-cold-%d", i)
		if err := p.deploy(ctx, name); err != nil {
			return err
		}
		begin := time.Now()
		text, err := p.call(ctx, http.StatusOK, http.MethodPost, "actions/"+name+"?blocking=true", []byte("{}"))
		if err != nil {
			return err
		}
		whole = append(whole, float64(time.Since(begin).Microseconds())/1000)
		var record struct {
			Annotations []struct {
				Key   string
				Value any
			}
		}
		if err := json.Unmarshal(text, &record); err != nil {
			return err
		}
		for _, a := range record.Annotations {
			switch v, _ := a.Value.(float64); a.Key {
			case "waitTime":
				waits = append(waits, v)
			case "initTime":
				inits = append(inits, v)
			}
		}
	}
	for _, l := range [][]float64{whole, waits, inits} {
		slices.Sort(l)
	}
	if len(inits) == 0 {
		return errors.New("none of the starts was cold")
	}
	_, err := fmt.Fprintf(stdout, "%d first invocations, %d of them cold: an answer in %.1f ms (median; %.1f to %.1f), waitTime %.0f ms, initTime %.0f ms\n",
		n, len(inits), whole[n/2], whole[0], whole[n-1], waits[n/2], inits[len(inits)/2])
	return err
}
