package rest

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// TestReplay replays the requests that were recorded on real OpenWhisk servers, each server's on a platform of its own, and compares the answers.
// Stand-ins replace the recorded actions. Its log has the numbers of exchanges.
func TestReplay(t *testing.T) {
	var mu sync.Mutex
	total, equal := 0, 0
	left := map[string]int{}
	t.Run("sessions", func(t *testing.T) {
		for _, s := range sessions {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				p := newReplay(t, s)
				for _, name := range s.prepare {
					for _, e := range transcript(t, name) {
						p.play(&e)
					}
				}
				for _, name := range s.transcripts {
					all := transcript(t, name)
					if first := sentAtOnce[s.name+"/"+name]; first != nil {
						again := slices.Clone(all)
						for i, from := range first {
							again[i] = all[from]
						}
						all = again
					}
					for _, e := range all {
						reason, differences := p.exchange(&e)
						mu.Lock()
						total++
						if reason != "" {
							left[reason]++
						} else if len(differences) == 0 {
							equal++
						}
						mu.Unlock()
						if len(differences) > 0 {
							t.Errorf("%s[%d] %s %s\n  %s", name, e.index, e.Request.Method, e.Request.Path, strings.Join(differences, "\n  "))
						}
					}
				}
			})
		}
	})
	sum := 0
	for reason, n := range left {
		t.Logf("%d left out: %s", n, reason)
		sum += n
	}
	t.Logf("%d exchanges: %d replayed and equal, %d different, %d left out", total, equal, total-equal-sum, sum)
}

// replay is a platform, and the values there that correspond to recorded ones.
type replay struct {
	*client
	session session
	runtime *holding
	open    []func(e *exchange) bool // called after each exchange; release what is held, and return true when done
	pending map[string]bool          // ids of the activations here whose records are not stored yet
	hurried atomic.Bool              // invocations are held for longer than the client waits

	ids     map[string]string // by recorded activation id: the id here
	starts  map[int64]int64   // by recorded start of an activation: the start here
	updated map[string]any    // by recorded update time of an entity: the time here
}

// A recorded second of waiting takes 10 ms here.
const faster = 100

func newReplay(t *testing.T, s session) *replay {
	runtime := &holding{Runtime: realContainers(t), gates: map[string]chan struct{}{}, closed: make(chan struct{})}
	p := &replay{session: s, runtime: runtime, pending: map[string]bool{}, ids: map[string]string{}, starts: map[int64]int64{}, updated: map[string]any{}}
	minute := time.Now()
	p.client = serve(t, Options{
		now: func() time.Time { return minute },
		timer: func(d time.Duration) *time.Timer {
			if p.hurried.Load() {
				d /= faster
			}
			return time.NewTimer(d)
		},
		Runtime: runtime, Limits: s.limits, MemoryMB: s.memoryMB, Origin: "*", InstantRecords: true,
		Identities: []Identity{
			{"guest", GuestKey},
			{"whisk.system", "789c46b1-71f6-4ed5-8c54-816aa4f8c502:abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"},
		},
	})
	return p
}

// exchange replays e, unless it is left out, and returns the differences of the answer.
func (p *replay) exchange(e *exchange) (leftOut string, differences []string) {
	if reason := whyLeftOut(e); reason != "" {
		for _, r := range unseen[e.transcript][e.index] {
			if len(p.open) == 0 {
				p.settle()
			}
			p.do(r[0], under+r[1], strings.Replace(r[2], "Code", standIn("1165884"), 1))
			clear(p.updated)
		}
		p.open = slices.DeleteFunc(p.open, func(done func(*exchange) bool) bool { return done(e) })
		return reason, nil
	}
	return "", p.play(e)
}

func (p *replay) play(e *exchange) []string {
	path := e.Request.Path
	invokes := e.Request.Method == http.MethodPost && (strings.Contains(path, "/actions/") || strings.Contains(path, "/triggers/")) || strings.HasPrefix(path, webPath)
	if len(p.open) == 0 && (invokes || strings.Contains(path, "/activations")) {
		p.settle()
	}
	id := ""
	if want := e.Response.Headers["X-Request-Id"]; want != "" && len(want) != 32 {
		id = want
	}
	isHeld := false
	for _, h := range held {
		if h.transcript == e.transcript && h.first <= e.index && e.index <= h.last {
			id = fmt.Sprintf("%s-%d", e.transcript, e.index)
			release := p.runtime.hold(h.part + " " + id)
			isHeld = true
			p.open = append(p.open, func(e *exchange) bool {
				if e.index >= h.until {
					release()
				}
				return e.index >= h.until
			})
		}
	}
	p.hurried.Store(isHeld)
	c, err := p.send(e, id)
	if err != nil {
		return []string{err.Error()}
	}
	own := c.answer.Header.Get("X-Openwhisk-Activation-Id")
	if own != "" && !isHeld {
		p.pending[own] = true
	}
	c.compare()
	p.open = slices.DeleteFunc(p.open, func(done func(*exchange) bool) bool { return done(e) })
	return c.differences
}

// settle waits until nothing runs and all records are stored, and then for the next millisecond.
func (p *replay) settle() {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Microsecond) {
		for id := range p.pending {
			if p.server.activations.get("guest", id) != nil {
				delete(p.pending, id)
			}
		}
		if len(p.pending) == 0 && p.server.backend.working.Load() == 0 && len(p.server.engine.InFlight()) == 0 {
			break
		}
		if time.Now().After(deadline) {
			p.tb.Fatalf("still running: %v, %d at work, %v", p.pending, p.server.backend.working.Load(), p.server.engine.InFlight())
		}
	}
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
		time.Sleep(50 * time.Microsecond)
	}
}

var (
	hexID   = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	encoded = regexp.MustCompile(`^Basic base64\((.*)\)$`)
	timeArg = regexp.MustCompile(`\b(since|upto)=(\d{13})\b`)
)

// translate replaces recorded values by the corresponding ones here.
func (p *replay) translate(path string) string {
	path = hexID.ReplaceAllStringFunc(path, func(id string) string {
		if own, ok := p.ids[id]; ok {
			return own
		}
		return id
	})
	return timeArg.ReplaceAllStringFunc(path, func(arg string) string {
		m := timeArg.FindStringSubmatch(arg)
		t, _ := strconv.ParseInt(m[2], 10, 64)
		nearest := int64(-1)
		for recorded := range p.starts {
			if recorded <= t && recorded > nearest {
				nearest = recorded
			}
		}
		if nearest < 0 {
			return arg
		}
		return fmt.Sprintf("%s=%d", m[1], p.starts[nearest]+t-nearest)
	})
}

func (p *replay) send(e *exchange, id string) (*comparison, error) {
	body, ok := sentAs[e.transcript][e.index]
	if !ok {
		body = p.body(e)
	}
	r, err := http.NewRequest(e.Request.Method, p.server.URL()+p.translate(e.Request.Path), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "")
	if strings.HasPrefix(e.Request.Path, webPath) {
		r.Header.Set("User-Agent", "Go-http-client/1.1")
		r.Header.Set("Accept-Encoding", "identity")
	}
	if name, value, ok := strings.Cut(sentHeaders[e.transcript][e.index], ": "); ok {
		r.Header.Set(name, value)
	}
	for name, value := range e.Request.Headers {
		if value == "GUEST" {
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(GuestKey))
		} else if m := encoded.FindStringSubmatch(value); m != nil {
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(m[1]))
		}
		r.Header.Set(name, value)
	}
	if key, ok := sentKeys[e.transcript][e.index]; ok {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(key)))
	}
	if id != "" {
		r.Header.Set("X-Request-Id", id)
	}
	answer, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	return &comparison{replay: p, e: e, answer: answer, body: b, sentID: id}, nil
}

// body returns the body to send for a recorded one, with shortened texts at their full length and the code of the stand-ins.
func (p *replay) body(e *exchange) string {
	raw := string(e.Request.Body)
	if raw == "" || raw == "null" {
		if e.Request.Method == http.MethodPut {
			return "{}" // the recorder took an empty object for no body, which is refused
		}
		return ""
	}
	if raw[0] == '"' { // not JSON
		s, err := strconv.Unquote(raw)
		if err != nil {
			p.tb.Fatal(err)
		}
		return lengthen(s)
	}
	return lengthen(raw)
}

var (
	short     = regexp.MustCompile(`(?:UEsDB[0-9A-Za-z+/]*|x{40}|y{40}|a{40}|A{40})\.\.\.<\d+ chars>`)
	shortCode = regexp.MustCompile(`^UEsDB.*\.\.\.<(\d+) chars>$`)
	shortRun  = regexp.MustCompile(`\.\.\.<(\d+) chars>$`)
	shortText = regexp.MustCompile(`^((?s).{40})\.\.\.<(\d+) chars>$`)
)

// lengthen restores the length of texts that the recording has shortened, and replaces code by that of a stand-in.
func lengthen(s string) string {
	if !strings.Contains(s, "...<") {
		return s
	}
	s = short.ReplaceAllStringFunc(s, func(m string) string {
		if code := shortCode.FindStringSubmatch(m); code != nil {
			return standIn(code[1])
		}
		n, _ := strconv.Atoi(shortRun.FindStringSubmatch(m)[1])
		return strings.Repeat(m[:1], n)
	})
	if m := shortText.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[2])
		s = m[1] + strings.Repeat(m[1][39:], n-40)
	}
	return s
}

// standIn returns the code of the stand-in for recorded code of this length.
func standIn(length string) string {
	code := goScript
	if length == "1173324" || length == "1165884" { // for a blackbox, and once for go:1.20, by mistake
		code = noEnvScript
	}
	text, err := code()
	if err != nil {
		panic(err)
	}
	return text
}

// holding is a Runtime whose containers wait while their gates are closed.
type holding struct {
	container.Runtime
	mu     sync.Mutex
	gates  map[string]chan struct{} // by part and request id
	closed chan struct{}
}

// hold closes a gate until the returned function is called.
func (h *holding) hold(gate string) (release func()) {
	c := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gates[gate] = c
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.gates, gate)
		close(c)
	}
}

func (h *holding) wait(gate string, gone <-chan struct{}) {
	h.mu.Lock()
	c := h.gates[gate]
	h.mu.Unlock()
	if c == nil {
		return
	}
	select {
	case <-c:
	case <-gone:
	case <-h.closed:
	}
}

func (h *holding) Start(ctx context.Context, memoryMB int) (container.Container, error) {
	c, err := h.Runtime.Start(ctx, memoryMB)
	if err != nil {
		return nil, err
	}
	return &heldContainer{Container: c, runtime: h, gone: make(chan struct{})}, nil
}

func (h *holding) Close() error {
	close(h.closed)
	return h.Runtime.Close()
}

type heldContainer struct {
	container.Container
	runtime *holding
	request string
	gone    chan struct{}
	once    sync.Once
}

func (c *heldContainer) Run(ctx context.Context, inv container.Invocation, timeout time.Duration) container.Outcome {
	c.request = inv.TransactionID
	c.runtime.wait("run "+c.request, c.gone)
	return c.Container.Run(ctx, inv, timeout)
}

func (c *heldContainer) Logs(id string) []container.Line {
	c.runtime.wait("logs "+c.request, c.gone)
	return c.Container.Logs(id)
}

func (c *heldContainer) Remove() {
	c.once.Do(func() { close(c.gone) })
	c.Container.Remove()
}

func (p *replay) host() string {
	u, _ := url.Parse(p.server.URL())
	return u.Host
}
