//go:build integration

package page

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

var pictures = flag.String("pictures", "", "write what the browser shows into this `folder`")

var docs = flag.String("docs", "", "write the picture for the documents into this `file`")

// slowest is how long the browser may take for anything.
const slowest = 2 * time.Minute

// shop is at what time of the scenario tests look.
const shop = 9*time.Minute + 13500*time.Millisecond

// browser is a tab of Chromium with the page of a fake source.
type browser struct {
	*testing.T
	ctx     context.Context
	source  *fake
	server  *httptest.Server
	mutex   sync.Mutex
	posts   []string
	console []string
	asked   []string
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-browser", "google-chrome"} {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	return integration.Program(t, "chromium", "install Debian's package chromium")
}

// listen starts the server at an address.
func (b *browser) listen(address string) {
	b.Helper()
	require.NoError(b, b.server.Listener.Close())
	var err error
	b.server.Listener, err = new(net.ListenConfig).Listen(b.Context(), "tcp", address)
	require.NoError(b, err)
	b.server.Start()
}

// open opens the page in a new browser.
func open(t *testing.T, state *controller.State, o Options, width, height int64, features ...*emulation.MediaFeature) *browser {
	t.Helper()
	b := &browser{T: t, source: newFake(state)}
	p := New(b.source, o)
	p.history = past(state.Time.Sub(epoch))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = p.Run(ctx) })
	mux := http.NewServeMux()
	mux.Handle("/", p)
	for _, what := range []string{"pause", "resume"} {
		mux.HandleFunc("POST /v1/"+what, func(w http.ResponseWriter, r *http.Request) {
			b.mutex.Lock()
			b.posts = append(b.posts, r.URL.Path)
			b.mutex.Unlock()
			b.source.edit(func(s *controller.State) {
				s.Mode, s.ModeReason = controller.Paused, "asked for on the page"
				if what == "resume" {
					s.Mode, s.ModeReason = controller.Acting, ""
				}
			})
		})
	}
	b.server = httptest.NewUnstartedServer(Protect(mux, nil))
	addresses, err := loopback.FreeAddresses(1) // which no connection takes while the server is away
	require.NoError(t, err)
	b.listen(addresses[0])

	folder := t.TempDir()
	allocator, end := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(chromium(t)), chromedp.WSURLReadTimeout(slowest), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(folder), chromedp.CombinedOutput(io.Discard),
		chromedp.Env("TZ=Europe/Berlin", "LANG=en_GB.UTF-8", "HOME="+folder), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("lang", "en-GB"))
	var stop context.CancelFunc
	b.ctx, stop = chromedp.NewContext(allocator)
	t.Cleanup(func() {
		stop()
		end()
		cancel()
		group.Wait()
		b.server.Close()
	})
	require.NoError(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height))) // which starts the browser
	console := chromedp.Console(b.ctx)
	group.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			b.mutex.Lock()
			b.console = append(b.console, fmt.Sprintf("%s: %s", m.Type, m.Text))
			b.mutex.Unlock()
		}
	})
	require.NoError(t, chromedp.Listen(b.ctx, func(ev any) {
		if sent, ok := ev.(*network.EventRequestWillBeSent); ok {
			b.mutex.Lock()
			b.asked = append(b.asked, sent.Request.URL)
			b.mutex.Unlock()
		}
	}))
	if len(features) > 0 {
		b.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return chromedp.Void{}, err
		})
	}
	b.do(chromedp.Navigate(b.server.URL))
	b.until(`document.getElementById("functions-count").textContent !== ""`)
	return b
}

// clean checks that nothing was said on the console, such as a violation of the policy for contents, and that nobody else was asked for anything.
func (b *browser) clean() {
	b.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	require.Empty(b, b.console)
	require.NotEmpty(b, b.asked)
	for _, u := range b.asked {
		require.True(b, strings.HasPrefix(u, b.server.URL+"/") || strings.HasPrefix(u, "data:"), u)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slowest)
	defer cancel()
	require.NoError(b, chromedp.Do(ctx, steps...))
}

// until waits until an expression is true in the page.
func (b *browser) until(expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slowest)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(slowest)))
	require.NoError(b, err, expression)
}

func eval[T any](b *browser, expression string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slowest)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(b, err, expression)
	return value
}

func (b *browser) press(keys string) { b.Helper(); b.do(chromedp.KeyEvent(keys)) }

// search goes to the filter by its key, and types. The key itself is put into the field by the events that press makes, though no keyboard would.
func (b *browser) search(text string) {
	b.Helper()
	b.press("/")
	require.Equal(b, "filter", eval[string](b, `document.activeElement.id`))
	eval[any](b, `document.getElementById("filter").select()`)
	b.press(text)
}

// picture writes what is shown into the folder of pictures, if there is one.
func (b *browser) picture(name string, whole bool) {
	b.Helper()
	if *pictures == "" {
		return
	}
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	content, err := chromedp.Run(b.ctx, take)
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(filepath.Join(*pictures, name+".png"), content, 0o666))
}

// TestIntegrationPage checks what a person sees and does: lanes, plots, reasons by mouse and by keys, the filter, pause and resume.
func TestIntegrationPage(t *testing.T) {
	b := open(t, scenario(shop), Options{Interval: 20 * time.Millisecond}, 1280, 900)
	b.until(`document.querySelectorAll(".uplot canvas").length === 3`)
	require.Equal(t, "acting", eval[string](b, `document.getElementById("mode").textContent`))
	require.Regexp(t, `^at\s*13:0\d:\d\d\s*warm\s*\d+`, eval[string](b, `document.querySelector("#plot-starts .u-legend").innerText`), "the legend has the latest figures")
	require.Regexp(t, `at last: warm [\d.]+, late [\d.]+, cold [\d.]+`, eval[string](b, `document.querySelector("#plot-starts canvas").getAttribute("aria-label")`))
	b.do(chromedp.Click(chromedp.CSS("#plots-text summary")))
	b.until(`document.querySelectorAll("#plots-text tbody tr").length > 5`)
	b.do(chromedp.Click(chromedp.CSS("#plots-text summary")))

	// Requests in flight: bars that wait and run, in the pattern of their kind, and what is expected with its probability.
	lanes := eval[map[string]int](b, `Object.fromEntries(["article.trace", ".trace rect.run.warm", ".trace rect.wait.cold[fill='url(#hatch)']", ".trace rect.wait.late[fill='url(#dots)']",
		".trace rect.expected", ".trace line.median", ".trace line.now", ".trace.ended"].map(s => [s, document.querySelectorAll(s).length]))`)
	for what, n := range lanes {
		require.Positive(t, n, "no %s\n%v", what, lanes)
	}
	require.Contains(t, eval[string](b, `document.querySelector("#traces").textContent`), " %")
	require.Contains(t, eval[string](b, `document.querySelector(".trace .words").textContent`), "main warm, waited 4 ms")
	b.picture("light", true)

	// The second function has no model that is used: its row says why.
	require.Contains(t, eval[string](b, `document.querySelector("#functions").textContent`), "✗ miscalibrated: 61.0 predicted, 24 came")
	require.Contains(t, eval[string](b, `document.querySelector("#decisions td:nth-child(2)").textContent`), "13:09:1", "times are of the local zone")

	// A click opens the reason, which stays open while the state changes, and a second closes it.
	first := `document.querySelector("#decisions th button")`
	b.do(chromedp.Click(chromedp.CSS("#decisions th button")))
	b.until(`document.querySelector("#decisions tr.reason")`)
	text := eval[string](b, `document.querySelector("#decisions tr.reason").textContent`)
	require.Contains(t, text, "demand is likely enough")
	require.Contains(t, text, "expected gain")
	require.Equal(t, "true", eval[string](b, first+`.getAttribute("aria-expanded")`))
	b.source.edit(func(s *controller.State) {
		d := s.Decisions[0]
		d.ID, d.Outcome = d.ID+1, "dry"
		s.Decisions = append([]controller.DecisionState{d}, s.Decisions...)
	})
	b.until(first + `.closest("tr").cells[4].textContent === "dry"`)
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#decisions tr.reason").length`))
	require.Equal(t, "true", eval[string](b, `document.querySelectorAll("#decisions th button")[1].getAttribute("aria-expanded")`))

	// Keys: to the decisions, down, open, and to the functions; the filter, and out of it.
	b.press("d")
	require.True(t, eval[bool](b, `document.activeElement === `+first))
	b.press(kb.ArrowDown)
	b.press(kb.ArrowDown)
	b.press(kb.Enter)
	b.until(`document.querySelectorAll("#decisions tr.reason").length === 2`)
	require.True(t, eval[bool](b, `document.activeElement === document.querySelectorAll("#decisions th button")[2]`), "the focus has moved")
	b.picture("reason", false)
	b.press("f")
	require.Equal(t, "bank", eval[string](b, `document.activeElement.textContent`))
	b.press(kb.Enter)
	b.until(`document.querySelector("#functions tr.reason")`)
	b.search("thumb")
	b.until(`document.querySelectorAll("#functions th button").length === 1`)
	require.Contains(t, eval[string](b, `document.querySelector("#traces-more").textContent`), "None matches")
	b.press(kb.Escape)
	b.until(`document.querySelectorAll("#functions th button").length === 10`)
	require.Equal(t, "", eval[string](b, `document.getElementById("filter").value`))
	b.do(chromedp.Blur(chromedp.CSS("#filter")))
	b.press("?")
	b.until(`document.getElementById("help").open`)
	b.picture("help", false)
	b.press(kb.Escape)
	b.until(`!document.getElementById("help").open`)

	// The request's button narrows everything down to its decisions.
	b.do(chromedp.Click(chromedp.CSS(".trace h3 button")))
	b.until(`document.getElementById("decisions-count").textContent.includes("shown")`)
	require.Len(t, eval[string](b, `document.getElementById("filter").value`), 32)
	b.press(kb.Escape)

	// Pause and resume.
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.until(`document.getElementById("mode").textContent === "paused" && !document.getElementById("resume").hidden && document.getElementById("pause").hidden`)
	b.until(`document.getElementById("mode-reason").textContent.includes("asked for on the page")`)
	b.until(`document.getElementById("status").textContent.length > 0`)
	b.do(chromedp.Click(chromedp.CSS("#resume")))
	b.until(`document.getElementById("mode").textContent === "acting"`)
	b.mutex.Lock()
	require.Equal(t, []string{"/v1/pause", "/v1/resume"}, b.posts)
	b.mutex.Unlock()
	b.clean()
}

// TestIntegrationThemes checks that the page follows the system's theme and the person's choice, which is kept.
func TestIntegrationThemes(t *testing.T) {
	b := open(t, scenario(shop), Options{}, 1280, 900, &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "dark"}, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
	b.until(`document.querySelectorAll(".uplot canvas").length === 3`)
	paper := func() string { return eval[string](b, `getComputedStyle(document.body).backgroundColor`) }
	require.Equal(t, "rgb(20, 23, 26)", paper())
	require.Equal(t, "0s", eval[string](b, `getComputedStyle(document.querySelector(".trace")).transitionDuration`))
	b.picture("dark", true)
	b.press("m")
	require.Equal(t, "rgb(255, 255, 255)", paper())
	b.do(chromedp.Reload())
	b.until(`document.querySelectorAll(".uplot canvas").length === 3`)
	require.Equal(t, "rgb(255, 255, 255)", paper())
	require.Equal(t, "Theme: light", eval[string](b, `document.getElementById("theme").textContent`))
	b.press("m")
	require.Equal(t, "rgb(20, 23, 26)", paper())
	b.press("m")
	require.Equal(t, "Theme: system", eval[string](b, `document.getElementById("theme").textContent`))
	require.Equal(t, "rgb(20, 23, 26)", paper())
	b.clean()
}

// TestIntegrationNarrow checks that in a narrow window nothing is wider than it, and that words stand on what they belong to.
func TestIntegrationNarrow(t *testing.T) {
	b := open(t, scenario(shop), Options{}, 400, 800)
	b.until(`document.querySelectorAll(".uplot canvas").length === 3`)
	b.until(`[...document.querySelectorAll(".trace svg")].every(s => s.viewBox.baseVal.width <= 400)`)
	require.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 400)
	require.Empty(t, eval[[]string](b, `[...document.querySelectorAll("main *, header *")].filter(e => !e.closest(".scroll, .hidden, .skip, .u-wrap, .defs, dialog") && e.getBoundingClientRect().right > 401).map(e => e.outerHTML.slice(0, 120))`))
	b.picture("narrow", true)
	b.clean()
}

// TestIntegrationConnection checks that the page says that the connection is lost, stops what it cannot do, and goes on by itself.
func TestIntegrationConnection(t *testing.T) {
	b := open(t, scenario(shop), Options{Interval: 20 * time.Millisecond}, 900, 700)
	u, err := url.Parse(b.server.URL)
	require.NoError(t, err)
	b.server.CloseClientConnections()
	b.server.Close()
	b.until(`!document.getElementById("lost").hidden`)
	require.True(t, eval[bool](b, `document.getElementById("pause").disabled`))
	require.Contains(t, eval[string](b, `document.getElementById("lost").textContent`), "is lost since")
	b.picture("lost", false)

	again := New(b.source, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = again.Run(ctx) })
	b.source.edit(func(s *controller.State) { s.Mode, s.ModeReason = controller.DryRun, "the circuit is open" })
	b.server = httptest.NewUnstartedServer(again)
	b.listen(u.Host)
	t.Cleanup(func() { cancel(); group.Wait() })
	b.until(`document.getElementById("lost").hidden && document.getElementById("mode").textContent === "dry run"`)
	b.until(`!document.getElementById("pause").disabled`)
	require.Contains(t, eval[string](b, `document.getElementById("status").textContent`), "dry run")
}

// TestIntegrationThousands checks that the page stays usable with thousands of functions and containers, and never draws all of them.
func TestIntegrationThousands(t *testing.T) {
	s := scenario(shop)
	for i := range 5000 {
		name := fmt.Sprintf("function-%04d", i)
		s.Functions = append(s.Functions, controller.FunctionState{Name: name, MemoryMB: 128, Served: i%3 > 0, Reason: "too few traces", Idle: i % 40, Busy: i % 7})
		for j := range 2 {
			s.Containers = append(s.Containers, controller.ContainerState{ID: uint64(100000 + 2*i + j), Function: name, State: "idle", Since: epoch})
		}
	}
	for i := range 500 {
		tr := s.Traces[i%3]
		tr.Trace = fmt.Sprintf("%032x", i)
		s.Traces = append(s.Traces, tr)
	}
	s.InFlight = 10000
	b := open(t, s, Options{Interval: 20 * time.Millisecond}, 1280, 900)
	require.Equal(t, 100, eval[int](b, `document.querySelectorAll("#functions tbody tr").length`))
	require.Equal(t, 24, eval[int](b, `document.querySelectorAll(".trace").length`))
	require.Contains(t, eval[string](b, `document.getElementById("functions-count").textContent`), "100 of 5,010 shown")
	b.search("function-4321")
	b.until(`document.querySelectorAll("#functions tbody tr").length === 1`)
	b.do(chromedp.Click(chromedp.CSS("#functions th button")))
	b.until(`document.querySelector("#functions tr.reason").textContent.includes("container 108642")`)
	b.press(kb.Escape)
	b.picture("thousands", true)
	took, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](`new Promise(done => {
		const begun = performance.now();
		document.getElementById("sort").dispatchEvent(new Event("change"));
		requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
	})`, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	t.Logf("drawing takes %.0f ms", took)
	b.clean()
}

// TestIntegrationPicture takes the picture for the documents: with -docs it is written, and it is always small enough.
func TestIntegrationPicture(t *testing.T) {
	b := open(t, scenario(shop), Options{}, 1200, 1240)
	b.until(`document.querySelectorAll(".uplot canvas").length === 3`)
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	picture, err := png.Decode(bytes.NewReader(shot))
	require.NoError(t, err)
	require.Equal(t, image.Pt(1200, 1240), picture.Bounds().Size())
	var small bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, picture))
	require.Less(t, small.Len(), 200_000)
	if *docs != "" {
		require.NoError(t, os.WriteFile(*docs, small.Bytes(), 0o666))
	}
}

// TestIntegrationEmpty checks the page of a controller that has seen nothing yet, and that all kinds of odd values are shown as text.
func TestIntegrationEmpty(t *testing.T) {
	b := open(t, &controller.State{Mode: controller.DryRun}, Options{Interval: 20 * time.Millisecond}, 1000, 800)
	require.Equal(t, "None at the moment.", eval[string](b, `document.getElementById("traces-more").textContent`))
	require.Contains(t, eval[string](b, `document.getElementById("plot-starts").textContent`), "appears after some seconds")
	b.picture("empty", true)

	odd := `<img src=x onerror=alert(1)>"'&` + strings.Repeat("very-long-name", 20)
	at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	b.source.set(&controller.State{
		Mode: controller.Acting, ModeReason: odd, Policy: odd, Platform: odd,
		Functions:  []controller.FunctionState{{Name: odd, Application: odd, Version: odd, Reason: odd, Busy: 100000}},
		Traces:     []controller.TraceState{{Trace: odd, Application: odd, Begun: at, Invocations: []controller.InvocationState{{Function: odd, Arrived: at, Start: odd}}, Expected: []controller.ExpectedState{{Function: odd}}}, {}},
		Containers: []controller.ContainerState{{ID: 1, Function: odd, State: odd}},
		Decisions:  []controller.DecisionState{{ID: 1, Action: odd[:40], Function: odd, Rule: odd, Trace: odd, Outcome: odd}},
		Models:     []controller.ModelState{{Name: odd, Kind: odd, Functions: []string{odd}, Reason: odd}, {Name: odd}},
		Sources:    []controller.SourceState{{Name: odd, Error: odd}},
		Actuator:   controller.ActuatorState{Circuit: odd, Error: odd},
	})
	b.until(`document.querySelectorAll("#functions tbody tr").length === 1`)
	b.do(chromedp.Click(chromedp.CSS("#functions th button")), chromedp.Click(chromedp.CSS("#decisions th button")))
	b.until(`document.querySelectorAll("tr.reason").length === 2`)
	require.Equal(t, 0, eval[int](b, `document.querySelectorAll("img").length`))
	require.Contains(t, eval[string](b, `document.querySelector("#functions tr.reason").textContent`), odd)
	require.Equal(t, 2, eval[int](b, `document.querySelectorAll("#models tbody tr").length`))
	b.picture("odd", true)
	b.clean()
}

// past returns the samples of the scenario before a time.
func past(after time.Duration) (list []sample) {
	for t := time.Duration(0); t < after; t += 10 * time.Second {
		list = append(list, newSample(scenario(t)))
	}
	return list
}
