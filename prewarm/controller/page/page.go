package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// Source is where the page has the state from. It is safe for concurrent use.
type Source interface {
	// Snapshot returns the state as it is now, which the caller does not change, and which does not change any more.
	Snapshot() *controller.State
	// Subscribe returns a channel that holds a value once something has changed since the last one was taken, and what ends that.
	Subscribe() (changes <-chan struct{}, cancel func())
}

// Options are what can be set.
type Options struct {
	// Interval is the least time between two events; 0 is 250 ms.
	Interval time.Duration
	// Sample is the time between two of the totals that are kept for the plots; 0 is 10 s. Some hundred are kept.
	Sample time.Duration
	// Clients is how many may follow the events at once; 0 is 16.
	Clients int
}

// Page serves the page. Its events need Run.
type Page struct {
	source  Source
	o       Options
	hub     hub
	mux     *http.ServeMux
	metrics http.Handler
	history []sample // from before Run
	// patience is how long a client may take to take an event.
	patience time.Duration
}

// New returns a page of what source has.
func New(source Source, o Options) *Page {
	if o.Interval <= 0 {
		o.Interval = 250 * time.Millisecond
	}
	if o.Sample <= 0 {
		o.Sample = 10 * time.Second
	}
	if o.Clients <= 0 {
		o.Clients = 16
	}
	p := &Page{source: source, o: o, mux: http.NewServeMux(), metrics: metricsHandler(source), patience: patience}
	p.hub.init(o.Clients)
	p.mux.HandleFunc("GET /{$}", p.serveHTML)
	for name, a := range assets {
		p.mux.Handle("GET /assets/"+name, a)
	}
	p.mux.HandleFunc("GET /v1/state", p.serveState)
	p.mux.HandleFunc("GET /v1/events", p.serveEvents)
	p.mux.Handle("GET /metrics", p.metrics)
	return p
}

// ServeHTTP serves the page and what belongs to it.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	p.mux.ServeHTTP(w, r)
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number,
	"pauses": func(m controller.Mode) bool { return m == controller.Paused },
}).Parse(pageText))

// number writes a number for people: whole, or with one digit after the point if it is small.
func number(x float64) string {
	if x > -100 && x < 100 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func (p *Page) serveHTML(w http.ResponseWriter, r *http.Request) {
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, p.source.Snapshot()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text.Bytes())
}

func (p *Page) serveState(w http.ResponseWriter, r *http.Request) {
	text, err := json.Marshal(p.source.Snapshot())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(text, '\n'))
}

//go:embed assets
var assetFiles embed.FS

// assets are the files that the page needs, by name.
var assets = readAssets()

// asset is a file that never changes while the program runs.
type asset struct {
	name, kind, tag string
	content         []byte
}

func readAssets() map[string]asset {
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	m := map[string]asset{}
	err := fs.WalkDir(assetFiles, "assets", func(file string, d fs.DirEntry, err error) error {
		kind := kinds[path.Ext(file)]
		if err != nil || kind == "" {
			return err
		}
		content, err := assetFiles.ReadFile(file)
		sum := sha256.Sum256(content)
		name := strings.TrimPrefix(file, "assets/")
		m[name] = asset{name, kind, `"` + hex.EncodeToString(sum[:12]) + `"`, content}
		return err
	})
	if err != nil {
		panic(err) // of files that are part of the program
	}
	return m
}

// ServeHTTP serves the file; browsers keep it and ask whether it is still the same.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
