package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/acquire"
	"github.com/tppfaas/tppfaas/rightsize/controller"
	"github.com/tppfaas/tppfaas/rightsize/gateway"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

var runCommand = cli.Command{
	Name: "run", Arguments: "-function NAME -prometheus ADDRESS -gateway ADDRESS|-file FILE [-act]", Summary: "keep limits as they should be: acquire, forecast, recommend, apply, again and again",
	Help: `Usage: rightsize run -function NAME[,NAME…] -prometheus ADDRESS|-pods ADDRESS|-process PROGRAM -gateway ADDRESS|-file FILE [-act] [options]

Every -interval it takes what the functions used, asks a recommender what they should be given, and says so; with -act it applies that: through
the gateway of OpenFaaS, which starts new containers, or in a file (stack.yml, or a manifest of Kubernetes) that something else deploys. It ends
with Ctrl-C.

It changes nothing on usage that is missing or older than -max-age, nothing by more than × 4 or / 2 at once, and nothing more often than -max-changes
a day, of which the last is kept for raising. It lowers nothing before usage is known for -min-history, nor within -hold after a container was
killed for its memory: after it restarted with memory near its limit, or as kube-state-metrics in Prometheus say. -journal has the samples, kills
and changes, so that this holds after a restart, or a kill of this program, too. What fails is a line, and is tried again.

Examples:
  rightsize run -function qrcode -prometheus http://127.0.0.1:9090 -gateway http://127.0.0.1:8080 -gateway-password-file password
  rightsize run -function qrcode,resize -prometheus http://127.0.0.1:9090 -gateway http://127.0.0.1:8080 -gateway-password-file password -act
  rightsize run -function qrcode -process qrcode -file stack.yml -interval 10s -min-history 1h -act -listen 127.0.0.1:8090
  curl http://127.0.0.1:8090/healthz                                     200 while it works, 503 otherwise; /status says what it did last
`,
	Values: map[string][]string{"recommender": recommenderKinds()},
	Define: runRun,
}

// runOptions are what the line says.
type runOptions struct {
	source      acquireOptions
	functions   string
	file        controller.File
	gateway     gateway.Options
	password    string
	recommender string
	settings    recommend.Options
	floors      struct{ memory, cpu string }
	limitRange  string
	controller  controller.Options
	listen      string
	rounds      int
	asJSON      bool
}

// runRun is the subcommand run.
func runRun(fs *flag.FlagSet) cli.Run {
	o := &runOptions{source: acquireOptions{fs: fs}}
	o.source.access.define(fs)
	fs.StringVar(&o.functions, "function", "", "`names` of the functions, with commas between them")
	fs.StringVar(&o.source.prometheus, "prometheus", "", "`address` of a Prometheus that has the usage")
	fs.StringVar(&o.source.pods, "pods", "", "`address` of a Kubernetes API server, or kubectl proxy, whose Metrics API has it")
	fs.StringVar(&o.source.process, "process", "", "`numbers` of processes of this machine, or a regular expression for the name of their program")
	fs.StringVar(&o.source.namespace, "namespace", "openfaas-fn", "`name` of the functions' namespace")
	fs.StringVar(&o.source.container, "container", "", "`name` of the functions' container (without: the function's, or the only one)")
	fs.StringVar(&o.source.memoryQuery, "memory-query", acquire.DefaultMemoryQuery, "-prometheus: `PromQL` for the memory in bytes")
	fs.StringVar(&o.source.cpuQuery, "cpu-query", acquire.DefaultCPUQuery, "-prometheus: `PromQL` for the CPU in cores")
	fs.DurationVar(&o.source.rateWindow, "rate-window", 5*time.Minute, "-prometheus: `time` over which the rate of a counter is taken")
	fs.DurationVar(&o.source.request.Step, "step", 0, "`time` between two samples (without: 15s, or -interval if that is shorter)")
	fs.StringVar(&o.file.Path, "file", "", "the `file` that limits are written to: stack.yml, or a manifest of Kubernetes")
	fs.StringVar(&o.gateway.Address, "gateway", "", "`address` of the gateway of OpenFaaS through which limits are set (without scheme: https)")
	fs.StringVar(&o.gateway.User, "gateway-user", "admin", "`user` of the gateway")
	fs.StringVar(&o.password, "gateway-password-file", "", "`file` with the password of the gateway (without: no authentication)")
	fs.StringVar(&o.recommender, "recommender", "forecast", "`which` recommender: "+recommenderNames())
	fs.StringVar(&o.floors.memory, "min-memory", "", "the least `quantity` of memory that is recommended (without: the recommender's own)")
	fs.StringVar(&o.floors.cpu, "min-cpu", "", "the least `quantity` of CPU that is recommended (without: the recommender's own)")
	fs.StringVar(&o.limitRange, "limit-range", "", "`file` with the LimitRange of the namespace, which is kept to")
	fs.BoolVar(&o.controller.Act, "act", false, "apply what is recommended; without it, only say so")
	fs.StringVar(&o.controller.Journal, "journal", "rightsize.journal", "the `file` that has what must outlive this process")
	fs.DurationVar(&o.controller.Interval, "interval", time.Minute, "`time` between two looks at the functions")
	fs.DurationVar(&o.controller.Timeout, "timeout", time.Minute, "`time` that a request for usage or limits, or a change, may take")
	fs.DurationVar(&o.controller.History, "history", 14*24*time.Hour, "`time` for which usage is remembered, and which Prometheus is asked for at first")
	fs.DurationVar(&o.controller.MinHistory, "min-history", 24*time.Hour, "`time` for which usage must be known before anything is lowered")
	fs.DurationVar(&o.controller.MaxAge, "max-age", 0, "`age` of the newest usage from which on nothing is changed (without: three intervals, at least 2m)")
	fs.IntVar(&o.controller.MaxChanges, "max-changes", recommend.RestartChanges, "how often limits of a function are changed in 24 h at most")
	fs.DurationVar(&o.controller.Hold, "hold", 6*time.Hour, "`time` after a kill in which nothing is lowered")
	fs.StringVar(&o.listen, "listen", "", "`address` at which /healthz and /status are served")
	fs.IntVar(&o.rounds, "rounds", 0, "end after so many looks at the functions (0: with Ctrl-C); the status is 1 if the last one failed")
	fs.BoolVar(&o.asJSON, "json", false, "print what happens as JSON objects, one a line")
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		if err := o.check(args); err != nil {
			return err
		}
		return o.run(ctx, stdout, stderr)
	}
}

// check completes the options, and says what is wrong with them.
func (o *runOptions) check(args []string) error {
	sources := slices.DeleteFunc([]string{o.source.prometheus, o.source.pods, o.source.process}, func(s string) bool { return s == "" })
	c := &o.controller
	switch {
	case len(args) > 0:
		return cli.Usagef("%q is left over on the line", args[0])
	case o.functions == "":
		return cli.Usagef("-function is missing: the names of the functions")
	case len(sources) != 1:
		return cli.Usagef("where is the usage from? Give one of -prometheus, -pods and -process")
	case o.source.pods != "" && !strings.HasPrefix(o.source.pods, "http://") && !strings.HasPrefix(o.source.pods, "https://"):
		return cli.Usagef("-pods: %q is no address of a server", o.source.pods)
	case (o.file.Path == "") == (o.gateway.Address == ""):
		return cli.Usagef("where are limits to be set? Give one of -gateway and -file")
	case c.Interval <= 0 || c.Timeout <= 0 || c.History <= 0 || c.Hold <= 0 || c.MinHistory <= 0 || c.MaxAge < 0 || o.source.rateWindow <= 0 || o.source.request.Step < 0:
		return cli.Usagef("times must be positive")
	case c.MaxChanges < 1:
		return cli.Usagef("-max-changes: at least 1")
	case o.rounds < 0:
		return cli.Usagef("-rounds must not be negative")
	case c.Journal == "":
		return cli.Usagef("-journal is missing")
	}
	for _, f := range strings.Split(o.functions, ",") {
		if f = strings.TrimSpace(f); f == "" || slices.Contains(c.Functions, f) {
			return cli.Usagef("-function: %q is empty or named twice", f)
		}
		c.Functions = append(c.Functions, f)
	}
	if o.source.process != "" && len(c.Functions) > 1 {
		return cli.Usagef("-process: these are the processes of one function, and there are %d", len(c.Functions))
	}
	for _, floor := range []struct {
		name, text string
		to         *float64
	}{{"-min-memory", o.floors.memory, &o.settings.MemoryFloor}, {"-min-cpu", o.floors.cpu, &o.settings.CPUFloor}} {
		if floor.text == "" {
			continue
		}
		var err error
		if *floor.to, err = rightsize.ParseQuantity(floor.text); err != nil {
			return cli.Usagef("%s: %v", floor.name, err)
		}
	}
	if err := checkRecommender(o.recommender); err != nil {
		return err
	}
	if o.limitRange != "" {
		allowed, err := readLimitRange(o.limitRange)
		if err != nil {
			return err
		}
		c.Round = func(l recommend.Limits) recommend.Limits {
			l, _ = allowed.Apply(recommend.Round(l))
			return l
		}
	}
	if o.source.request.Step == 0 {
		o.source.request.Step = min(acquire.DefaultStep, c.Interval)
	}
	o.settings.MaxChanges = c.MaxChanges
	c.Recommender = func() (recommend.Recommender, error) { return recommend.New(o.recommender, o.settings) }
	o.source.timeout = c.Timeout
	return nil
}

// readLimitRange reads the file of -limit-range.
func readLimitRange(path string) (recommend.LimitRange, error) {
	f, err := os.Open(path)
	if err != nil {
		return recommend.LimitRange{}, fmt.Errorf("-limit-range: %w", err)
	}
	defer f.Close()
	l, err := recommend.ReadLimitRange(f)
	if err != nil {
		return l, fmt.Errorf("-limit-range: %s: %w", path, err)
	}
	return l, nil
}

// repeatEvery is after what time something is said again that is as it was; -json says it each time.
const repeatEvery = time.Hour

// isSame reports whether two events tell the same, but for how long ago something was.
func isSame(a, b controller.Event) bool {
	return a.Kind == b.Kind && a.From == b.From && a.To == b.To && (a.Kind != controller.Failed || a.Text == b.Text)
}

// run looks after the functions.
func (o *runOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	source, err := o.source.source()
	if err != nil {
		return cli.Usagef("%v", err)
	}
	defer source.close()
	if source.live {
		live := controller.NewLive(source.Source, o.source.request.Step)
		defer live.Close()
		o.controller.Source = live
	} else {
		o.controller.Source = controller.Pull{Source: source.Source, Step: o.source.request.Step}
	}
	if o.file.Path != "" {
		o.file.Container = o.source.container
		o.file.OnBackup = func(name string) { fmt.Fprintf(stderr, "%s is how %s was\n", name, o.file.Path) }
		o.controller.Applier = o.file
	} else {
		if o.password != "" {
			text, err := os.ReadFile(o.password)
			if err != nil {
				return fmt.Errorf("-gateway-password-file: %w", err)
			}
			o.gateway.Password = strings.TrimSpace(string(text))
		} else {
			o.gateway.User = ""
		}
		o.gateway.Namespace, o.gateway.Timeout, o.gateway.Patience = o.source.namespace, o.controller.Timeout, o.controller.Timeout
		g, err := gateway.New(o.gateway)
		if err != nil {
			return cli.Usagef("-gateway: %v", err)
		}
		defer g.Close()
		o.controller.Applier = controller.Gateway{Gateway: g}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failure error
	events := 0
	told := map[string]controller.Event{}
	failed := map[string]bool{} // in the last look
	o.controller.OnEvent = func(e controller.Event) {
		failed[e.Function] = e.Kind == controller.Failed
		last, again := told[e.Function]
		switch {
		case o.asJSON:
			failure = json.NewEncoder(stdout).Encode(e)
		case !again || !isSame(last, e) || e.Time.Sub(last.Time) >= repeatEvery:
			told[e.Function] = e
			_, failure = fmt.Fprintf(stdout, "%s %s\n", e.Time.UTC().Format("2006-01-02 15:04:05"), e)
		}
		if events++; failure != nil || o.rounds > 0 && events == o.rounds*len(o.controller.Functions) {
			cancel()
		}
	}
	c, err := controller.New(o.controller)
	if err != nil {
		return err
	}
	stop, err := o.serve(ctx, c, stderr)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	if !o.controller.Act {
		fmt.Fprintln(stderr, "nothing is changed: -act does")
	}
	err = c.Run(ctx)
	stop()
	if o.rounds > 0 && err == nil && failure == nil {
		for _, name := range o.controller.Functions {
			if failed[name] {
				failure = fmt.Errorf("%s: the last look failed", name)
			}
		}
	}
	return errors.Join(err, c.Close(), failure)
}

// serve serves /healthz and /status until stop is called.
func (o *runOptions) serve(ctx context.Context, c *controller.Controller, stderr io.Writer) (stop func(), err error) {
	if o.listen == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !c.Status().Healthy {
			http.Error(w, "the last looks at the functions failed, or are long ago", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(c.Status()) // who asked may be gone
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	fmt.Fprintf(stderr, "http://%s/healthz and /status\n", listener.Addr())
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}
