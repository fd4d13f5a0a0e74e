package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/sampler/openwhisk"
)

// configFile is read where it is.
const configFile = "sampler/config.yaml"

// where are the options that say where OpenWhisk and the rest is.
type where struct {
	config string
	names  []string
}

func newWhere(fs *flag.FlagSet) *where {
	w := &where{}
	for name, usage := range openwhisk.Flags() {
		w.names = append(w.names, name)
		if name == "insecure" {
			fs.Bool(name, false, usage)
		} else {
			fs.String(name, "", usage)
		}
	}
	w.names = append(w.names, "config")
	fs.StringVar(&w.config, "config", configFile, "`file` of settings like these, each key: value, with _ for -")
	return w
}

// settings looks for them everywhere.
func (w *where) settings(fs *flag.FlagSet) (openwhisk.Settings, error) {
	given := map[string]string{}
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains(w.names, f.Name) && f.Name != "config" {
			given[f.Name] = f.Value.String()
		}
	})
	for name, value := range given {
		if value == "" {
			return openwhisk.Settings{}, cli.Usagef("-%s: it is empty", name)
		}
	}
	settings, err := openwhisk.Find(openwhisk.Sources{Flags: given, Getenv: os.Getenv, Config: w.config, ConfigGiven: cli.IsSet(fs, "config")})
	if err != nil {
		return settings, cli.Usagef("%v", err)
	}
	return settings, nil
}

// onOpenWhisk is what the command line asks for on OpenWhisk.
type onOpenWhisk struct {
	*where
	options                          openwhisk.Options
	settle, patience                 float64 // s
	resume, discard, allowIncomplete bool
	names                            []string
}

func newOnOpenWhisk(fs *flag.FlagSet) *onOpenWhisk {
	w := &onOpenWhisk{where: newWhere(fs)}
	fs.StringVar(&w.options.Kind, "kind", "", "`kind` of the actions: go: with a version, or blackbox (without: the server's default of Go)")
	fs.StringVar(&w.options.Arch, "arch", "", "`architecture` of the server's machines (without: this machine's for an OpenWhisk on it, else amd64)")
	fs.IntVar(&w.options.MemoryMB, "memory", openwhisk.DefaultMemoryMB, "memory of a container in `MB`")
	fs.BoolVar(&w.options.Announce, "announce", false, "functions announce their start at once, with a span without duration")
	fs.Float64Var(&w.settle, "settle", openwhisk.DefaultSettle.Seconds(), "`seconds` in which nothing new must come before what is missing counts as lost")
	fs.Float64Var(&w.patience, "patience", openwhisk.DefaultPatience.Seconds(), "`seconds` for which a server that fails is tried again")
	fs.BoolVar(&w.resume, "resume", false, "go on where an earlier run was broken off, with its journal")
	fs.BoolVar(&w.discard, "discard", false, "throw the journal of an earlier run away, with what it has deployed, and start over")
	fs.BoolVar(&w.allowIncomplete, "allow-incomplete", false, "be content with fewer traces than requests")
	w.names = append(slices.Clone(w.where.names), "kind", "arch", "memory", "announce", "settle", "patience", "resume", "discard", "allow-incomplete")
	for _, name := range w.names {
		f := fs.Lookup(name)
		f.Usage = "on OpenWhisk: " + f.Usage
	}
	return w
}

// unused reports an option that has no meaning on the local platform.
func (w *onOpenWhisk) unused(fs *flag.FlagSet) error {
	for _, name := range w.names {
		if cli.IsSet(fs, name) {
			return cli.Usagef("-%s: only with -platform openwhisk", name)
		}
	}
	return nil
}

func (w *onOpenWhisk) check(fs *flag.FlagSet) (err error) {
	for _, v := range []struct {
		name    string
		seconds float64
		to      *time.Duration
	}{{"settle", w.settle, &w.options.Settle}, {"patience", w.patience, &w.options.Patience}} {
		const day = 24 * 3600
		if !(v.seconds > 0 && v.seconds <= day) {
			return cli.Usagef("-%s: must be positive and at most a day, and is %v s", v.name, v.seconds)
		}
		*v.to = max(time.Duration(v.seconds*float64(time.Second)), time.Millisecond)
	}
	kind, version, _ := strings.Cut(w.options.Kind, ":")
	switch {
	case w.options.Kind != "" && w.options.Kind != "blackbox" && (kind != "go" || version == "" || version == "default"):
		return cli.Usagef("-kind: must be go: with a version, or blackbox, not %q", w.options.Kind)
	case cli.IsSet(fs, "arch") && w.options.Arch == "" || strings.ContainsAny(w.options.Arch, "/\\ "):
		return cli.Usagef("-arch: %q is no architecture", w.options.Arch)
	case w.options.MemoryMB < 1:
		return cli.Usagef("-memory: must be positive, not %d", w.options.MemoryMB)
	case w.resume && w.discard:
		return cli.Usagef("-resume and -discard: only one of them")
	}
	w.options.Settings, err = w.settings(fs)
	return err
}

// Bounds of what is done after a Ctrl-C.
const cleanupTime = time.Minute

func (w *onOpenWhisk) sample(ctx context.Context, o order, output string, stdout, stderr io.Writer) (err error) {
	begin := time.Now()
	bar := progress.New(stderr, o.config.Requests, "traces")
	defer bar.Done()
	note := sending{total: o.config.Requests}
	w.options.App, w.options.Config = o.app, o.config
	w.options.OnMessage = bar.Print
	w.options.OnSend = func(sent int, left time.Duration) { bar.Add(0, note.set(sent, left)) }
	target, err := openwhisk.New(w.options)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	defer target.Close()
	journal := output + ".journal"
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		journal = openWhiskName(o) + ".journal" // nothing stands beside a pipe
	}
	if w.discard {
		if err := w.throwAway(ctx, target, journal); err != nil {
			return err
		}
	}
	err = target.Begin(ctx, journal, w.resume)
	if errors.Is(err, openwhisk.ErrJournalExists) {
		return cli.Usagef("%v: -resume goes on with it, -discard starts over", err)
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { bar.Print("interrupted; Ctrl-C again quits at once, and -resume goes on") })
	defer stop()
	result, sampled := target.Sample(ctx, func(complete int) { bar.Set(complete, note.get()) })

	// From here on nothing may be lost, interrupted or not.
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	traces := target.Complete()
	bar.Set(traces, "writing "+output)
	_, written := target.WriteDataset(output)
	if err := target.Remove(own); err != nil {
		bar.Print(fmt.Sprintf("package %s is left on OpenWhisk, sampler clean %s removes it: %v", target.Package(), target.Package(), err))
	}
	bar.Done()
	if result != nil {
		listIncomplete(stderr, result.Incomplete)
	}
	whole := written == nil && sampled == nil && (traces == o.config.Requests || w.allowIncomplete && traces > 0)
	nothing := result == nil && !w.resume // not even the deployment went well
	if whole || nothing {
		if err := target.Journal().Remove(); err != nil {
			return errors.Join(sampled, err)
		}
	} else if err := target.Journal().Close(); err != nil {
		return errors.Join(sampled, err)
	}
	if nothing {
		return sampled
	}
	got := fmt.Sprintf("%s has %d of %d traces, and -resume goes on (%s)", output, traces, o.config.Requests, journal)
	if traces == 0 {
		got = fmt.Sprintf("no trace is complete and nothing is written; -resume goes on (%s)", journal)
	}
	switch {
	case written != nil:
		return fmt.Errorf("%w; the %d traces that are complete are kept in %s, and -resume writes them", written, traces, journal)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", got, context.Canceled)
	case sampled != nil:
		return fmt.Errorf("%w; %s", sampled, got)
	case !whole:
		return fmt.Errorf("%s; -allow-incomplete is content with that", got)
	}
	return w.report(stdout, o, output, result, time.Since(begin))
}

// openWhiskName is what a dataset is called for which no name was given.
func openWhiskName(o order) string {
	return strings.TrimSuffix(sampler.FileName(o.app.Name, o.config), ".json") + "_openwhisk.json"
}

// throwAway removes an earlier run.
func (w *onOpenWhisk) throwAway(ctx context.Context, target *openwhisk.Target, journal string) error {
	if _, err := os.Stat(journal); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := target.Preflight(ctx); err != nil {
		return err
	}
	pack, err := openwhisk.DiscardJournal(journal)
	if err != nil || pack == "" {
		return err
	}
	return target.RemoveLeftover(ctx, pack)
}

// listIncomplete names what is missing, of the first requests.
func listIncomplete(stderr io.Writer, incomplete []*sampler.Incomplete) {
	const most = 20
	for i, one := range incomplete {
		if i == most {
			fmt.Fprintf(stderr, "… and %d more\n", len(incomplete)-most)
			return
		}
		fmt.Fprintf(stderr, "request %d: %v\n", one.Request, one)
	}
}

func (w *onOpenWhisk) report(stdout io.Writer, o order, file string, r *sampler.Result, took time.Duration) error {
	if o.json {
		return json.NewEncoder(stdout).Encode(struct {
			File            string  `json:"file"`
			Application     string  `json:"application"`
			Requests        int     `json:"requests"`
			Sequences       int     `json:"sequences"`
			Events          int     `json:"events"`
			ColdStarts      int     `json:"cold_starts"`
			Functions       int     `json:"functions"`
			Seed            uint64  `json:"seed"`
			LatenessSeconds float64 `json:"lateness_seconds"`
			Seconds         float64 `json:"seconds"`
		}{
			file, o.app.Name, o.config.Requests, r.Sequences, r.Events, r.ColdStarts, len(o.app.Functions), o.config.Seed,
			r.Lateness.Seconds(), took.Seconds(),
		})
	}
	_, err := fmt.Fprintf(stdout, "%s: %d traces of %s, %d invocations, %.1f %% cold starts; %v on OpenWhisk, requests at most %v late\n",
		file, r.Sequences, o.app.Name, r.Events, 100*float64(r.ColdStarts)/float64(r.Events), took.Round(time.Second),
		r.Lateness.Round(time.Millisecond))
	return err
}
