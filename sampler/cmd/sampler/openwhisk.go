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
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/sampler/openwhisk"
)

// configFile is read if it exists.
const configFile = "sampler/config.yaml"

// serverFlags are the options that say where OpenWhisk, the collector and Zipkin are.
type serverFlags struct {
	config string
	names  []string // of the options
}

func newServerFlags(fs *flag.FlagSet) *serverFlags {
	s := &serverFlags{}
	for name, usage := range openwhisk.Flags() {
		s.names = append(s.names, name)
		if name == "insecure" {
			fs.Bool(name, false, usage)
		} else {
			fs.String(name, "", usage)
		}
	}
	s.names = append(s.names, "config")
	fs.StringVar(&s.config, "config", configFile, "`file` of settings like these, each key: value, with _ for -")
	return s
}

// settings looks for the settings in all sources; see [openwhisk.Find].
func (s *serverFlags) settings(fs *flag.FlagSet) (openwhisk.Settings, error) {
	given := map[string]string{}
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains(s.names, f.Name) && f.Name != "config" {
			given[f.Name] = f.Value.String()
		}
	})
	for name, value := range given {
		if value == "" {
			return openwhisk.Settings{}, cli.Usagef("-%s: it is empty", name)
		}
	}
	settings, err := openwhisk.Find(openwhisk.Sources{Flags: given, Getenv: os.Getenv, Config: s.config, ConfigGiven: cli.IsSet(fs, "config")})
	if err != nil {
		return settings, cli.Usagef("%v", err)
	}
	return settings, nil
}

// openWhiskOptions are the options of a sampling on OpenWhisk.
type openWhiskOptions struct {
	*serverFlags
	target                           openwhisk.Options
	settle, patience                 float64 // s
	resume, discard, allowIncomplete bool
	names                            []string // of the options, those of serverFlags too
}

func newOpenWhiskOptions(fs *flag.FlagSet) *openWhiskOptions {
	o := &openWhiskOptions{serverFlags: newServerFlags(fs)}
	fs.StringVar(&o.target.Kind, "kind", "", "`kind` of the actions: go: with a version, or blackbox (without: the server's default of Go)")
	fs.StringVar(&o.target.Arch, "arch", "", "`architecture` of the server's machines (without: this machine's for an OpenWhisk on it, else amd64)")
	fs.IntVar(&o.target.MemoryMB, "memory", openwhisk.DefaultMemoryMB, "memory of a container in `MB`")
	fs.BoolVar(&o.target.Announce, "announce", false, "functions and sampler announce each invocation as they make it, and functions each start, with a span without duration")
	fs.Float64Var(&o.settle, "settle", openwhisk.DefaultSettle.Seconds(), "`seconds` in which nothing new must come before what is missing counts as lost")
	fs.Float64Var(&o.patience, "patience", openwhisk.DefaultPatience.Seconds(), "`seconds` for which a server that fails is tried again")
	fs.BoolVar(&o.resume, "resume", false, "go on where an earlier run was broken off, with its journal")
	fs.BoolVar(&o.discard, "discard", false, "throw the journal of an earlier run away, with what it has deployed, and start over")
	fs.BoolVar(&o.allowIncomplete, "allow-incomplete", false, "be content with fewer traces than requests")
	o.names = append(slices.Clone(o.serverFlags.names), "kind", "arch", "memory", "announce", "settle", "patience", "resume", "discard", "allow-incomplete")
	for _, name := range o.names {
		f := fs.Lookup(name)
		f.Usage = "on OpenWhisk: " + f.Usage
	}
	return o
}

// checkUnset reports an option that is set, for the local platform, where they have no meaning.
func (o *openWhiskOptions) checkUnset(fs *flag.FlagSet) error {
	for _, name := range o.names {
		if cli.IsSet(fs, name) {
			return cli.Usagef("-%s: only with -platform openwhisk", name)
		}
	}
	return nil
}

// check checks the options, and completes them with the settings from all sources.
func (o *openWhiskOptions) check(fs *flag.FlagSet) (err error) {
	for _, v := range []struct {
		name    string
		seconds float64
		to      *time.Duration
	}{{"settle", o.settle, &o.target.Settle}, {"patience", o.patience, &o.target.Patience}} {
		const day = 24 * 3600
		if !(v.seconds > 0 && v.seconds <= day) {
			return cli.Usagef("-%s: must be positive and at most a day, and is %v s", v.name, v.seconds)
		}
		*v.to = max(time.Duration(v.seconds*float64(time.Second)), time.Millisecond)
	}
	kind, version, _ := strings.Cut(o.target.Kind, ":")
	switch {
	case o.target.Kind != "" && o.target.Kind != "blackbox" && (kind != "go" || version == "" || version == "default"):
		return cli.Usagef("-kind: must be go: with a version, or blackbox, not %q", o.target.Kind)
	case cli.IsSet(fs, "arch") && o.target.Arch == "" || strings.ContainsAny(o.target.Arch, "/\\ "):
		return cli.Usagef("-arch: %q is no architecture", o.target.Arch)
	case o.target.MemoryMB < 1:
		return cli.Usagef("-memory: must be positive, not %d", o.target.MemoryMB)
	case o.resume && o.discard:
		return cli.Usagef("-resume and -discard: only one of them")
	}
	o.target.Settings, err = o.settings(fs)
	return err
}

// removalTime bounds the removal of what was deployed, and interruptedRemovalTime that after a Ctrl-C, when somebody waits for the end.
const (
	removalTime            = time.Minute
	interruptedRemovalTime = 10 * time.Second
)

// sampleOpenWhisk samples on OpenWhisk, in real time. It writes what is complete also when it is interrupted.
func sampleOpenWhisk(ctx context.Context, o options, output string, stdout, stderr io.Writer) error {
	cli.OutliveReaders() // messages that nobody reads any more are no reason to leave deployed functions behind
	w := o.openWhisk
	begin := time.Now()
	bar := progress.New(stderr, o.config.Requests, "traces")
	defer bar.Done()
	note := sendNote{total: o.config.Requests}
	w.target.App, w.target.Config = o.app, o.config
	w.target.OnMessage = bar.Print
	var begun atomic.Bool // there is something that -resume can go on with
	begun.Store(w.resume)
	w.target.OnSend = func(sent int, left time.Duration) {
		begun.Store(true)
		bar.Expect(time.Now().Add(left))
		bar.Add(0, note.set(sent, left))
	}
	target, err := openwhisk.New(w.target)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	defer target.Close()
	journal := output + ".journal"
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		journal = o.openWhiskName() + ".journal" // nothing can stand beside a pipe
	}
	if w.discard {
		if err := discardEarlierRun(ctx, target, journal); err != nil {
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
	stop := context.AfterFunc(ctx, func() {
		text := "interrupted; Ctrl-C again quits at once"
		if begun.Load() {
			text += ", and -resume goes on"
		} else {
			text += ", and leaves what is deployed, which sampler clean lists"
		}
		bar.Print(text)
	})
	defer stop()
	result, sampled := target.Sample(ctx, func(complete int) { bar.Set(complete, note.get()) })

	// From here on nothing may be lost, interrupted or not.
	traces := target.Complete()
	bar.Set(traces, "writing "+output)
	_, written := target.WriteDataset(output)
	bar.Set(traces, "removing package "+target.Package())
	if err := removeInTime(ctx, target); err != nil {
		bar.Print(fmt.Sprintf("package %s is left on OpenWhisk, or a part of it; sampler clean %s removes it: %v", target.Package(), target.Package(), err))
	}
	bar.Done()
	if result != nil {
		listIncomplete(stderr, result.Incomplete)
	}
	whole := written == nil && sampled == nil && (traces == o.config.Requests || w.allowIncomplete && traces > 0)
	nothing := result == nil && !w.resume // not even the deployment went well
	if whole || nothing {
		err = target.Journal().Remove()
	} else {
		err = target.Journal().Close()
	}
	switch {
	case err != nil:
		return errors.Join(sampled, err)
	case nothing:
		return sampled
	case written != nil:
		return notWritten(written, traces, target.InMemory(), journal)
	case whole && ctx.Err() == nil:
		return reportOpenWhisk(stdout, o, output, result, time.Since(begin))
	}
	got := fmt.Sprintf("%s has %d of %d traces, and -resume goes on (%s)", output, traces, o.config.Requests, journal)
	switch {
	case whole: // interrupted while what was deployed was being removed
		got = fmt.Sprintf("%s has %d of %d traces, and needs no -resume", output, traces, o.config.Requests)
	case traces == 0:
		got = fmt.Sprintf("no trace is complete and nothing is written; -resume goes on (%s)", journal)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", got, context.Canceled)
	case sampled != nil:
		return fmt.Errorf("%w; %s", sampled, got)
	case traces == 0: // which nothing is content with
		return errors.New(got)
	}
	return fmt.Errorf("%s; -allow-incomplete is content with that", got)
}

// notWritten says what becomes of complete traces whose dataset could not be written, of which some are in memory alone.
func notWritten(err error, traces, inMemory int, journal string) error {
	if inMemory > 0 {
		return fmt.Errorf("%w; of the %d traces that are complete %d are not in %s, which could not be written either: -resume asks Zipkin for them again", err, traces, inMemory, journal)
	}
	return fmt.Errorf("%w; the %d traces that are complete are kept in %s, and -resume writes them", err, traces, journal)
}

// removeInTime removes what was deployed, also when ctx is done, and then soon.
func removeInTime(ctx context.Context, target *openwhisk.Target) error {
	removal, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(interruptedRemovalTime, cancel) })()
	err := target.Remove(removal)
	if err != nil && removal.Err() != nil {
		return errors.New("OpenWhisk has not answered in time")
	}
	return err
}

// discardEarlierRun removes the journal of an earlier run, and what that run has deployed.
func discardEarlierRun(ctx context.Context, target *openwhisk.Target, journal string) error {
	if _, err := os.Stat(journal); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := target.Preflight(ctx); err != nil {
		return err
	}
	return openwhisk.DiscardJournal(journal, func(pack string) error { return target.RemoveLeftover(ctx, pack) })
}

// listIncomplete prints what is missing of the first requests whose traces are incomplete.
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

// reportOpenWhisk prints what was sampled.
func reportOpenWhisk(stdout io.Writer, o options, file string, r *sampler.Result, took time.Duration) error {
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
