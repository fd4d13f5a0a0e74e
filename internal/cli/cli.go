package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Exit statuses of all commands.
const (
	OK     = 0 // done
	Failed = 1 // the work failed or was interrupted
	Usage  = 2 // called wrongly: nothing was started
)

// UsageError says that a command was called wrongly.
type UsageError struct{ reason string }

// Error returns the reason.
func (e *UsageError) Error() string { return e.reason }

// Usagef returns a *UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// NewFlagSet returns a flag set whose help, asked for with -h, goes to stdout: the text, then the options. The text says
// how the command is called, shows examples, and ends with a newline.
func NewFlagSet(name string, stdout io.Writer, text string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stdout)
	fs.Usage = func() {
		fmt.Fprint(stdout, text, "\nOptions:\n")
		fs.PrintDefaults()
	}
	return fs
}

// Parse sets the options of fs and returns the other arguments. Unlike fs.Parse it finds options after arguments too;
// after -- everything is an argument, and so is a single -. For -h it shows the help and returns flag.ErrHelp; what is
// wrong is a *UsageError.
func Parse(fs *flag.FlagSet, args []string) (positional []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return append(positional, args...), nil
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			positional = append(positional, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		option := fs.Lookup(name)
		if option == nil {
			if name == "h" || name == "help" {
				if fs.Usage != nil {
					fs.Usage()
				}
				return nil, flag.ErrHelp
			}
			return nil, Usagef("unknown option %s (-h shows the known ones)", arg)
		}
		if !hasValue {
			if b, ok := option.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
				value = "true"
			} else if len(args) == 0 {
				return nil, Usagef("option -%s needs a value", name)
			} else {
				value, args = args[0], args[1:]
			}
		}
		if err := fs.Set(name, value); err != nil {
			return nil, Usagef("option -%s: %s", name, explain(option, value, err))
		}
	}
	return positional, nil
}

// explain says what the value should have been, which "parse error" does not.
func explain(option *flag.Flag, value string, err error) string {
	outOfRange := strings.HasSuffix(err.Error(), "value out of range")
	if !outOfRange && !strings.HasSuffix(err.Error(), "parse error") && !strings.Contains(err.Error(), "invalid syntax") {
		return err.Error()
	}
	// A getter tells the type also where the usage text has a word of its own for the value.
	var want string
	if g, ok := option.Value.(flag.Getter); ok {
		switch g.Get().(type) {
		case int, int64:
			want = "a whole number"
		case uint, uint64:
			want = "a whole number, not negative"
		case float64:
			want = "a number"
		case bool:
			want = "true or false"
		case time.Duration:
			want = "a time with its unit, like 500ms, 30s or 10m"
		default:
			return err.Error()
		}
	}
	if outOfRange {
		return fmt.Sprintf("%s is out of range", value)
	}
	return fmt.Sprintf("%q is not %s", value, want)
}

// IsSet reports whether the option was given, whatever its value.
func IsSet(fs *flag.FlagSet, name string) bool {
	found := false
	fs.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// Exit turns the outcome of a command into its exit status, and an error into one line on stderr: nil and flag.ErrHelp are
// OK, a *UsageError is Usage, everything else Failed.
func Exit(stderr io.Writer, program string, err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return OK
	}
	message := err.Error()
	if errors.Is(err, context.Canceled) {
		message = "interrupted"
		if before, ok := strings.CutSuffix(err.Error(), ": "+context.Canceled.Error()); ok {
			message += ": " + before
		}
	}
	fmt.Fprintf(stderr, "%s: %s\n", program, strings.Join(strings.Fields(message), " "))
	var usage *UsageError
	if errors.As(err, &usage) {
		return Usage
	}
	return Failed
}

// sameSignal is the time after a signal within which another one is taken for the same: nobody presses Ctrl-C twice as fast.
const sameSignal = 100 * time.Millisecond

// Main runs a command on the arguments of the process and exits with its status. For --version alone it prints the version
// instead. The first Ctrl-C (or SIGTERM) cancels the context, the second ends the process at once, also where the process was
// started with these signals ignored. So does a terminal that is closed (SIGHUP) cancel the context, except under nohup. From then on
// output that nobody reads does not end the process: what reads it in a pipe may have been ended by the same signal.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	if isVersion(os.Args[1:]) {
		fmt.Println(VersionLine(strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2) // both are kept, however soon the second follows
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		first := time.Now()
		OutliveReaders()
		cancel()
		for sig := range signals {
			// A closed terminal may send SIGHUP twice, itself and through the shell, and timeout(1) sends what it sends to the process and
			// to its group.
			if sig != syscall.SIGHUP && time.Since(first) > sameSignal {
				die(sig)
			}
		}
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// OutliveReaders keeps the process alive where output is written that nobody reads any more; writing it then is an error. By default it ends the
// process, as filters in a pipeline should end.
func OutliveReaders() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not Ignore, which programs that are started would inherit
}

// die ends the process as the signal does by default, so that whoever started it sees what ended it.
func die(sig os.Signal) {
	signal.Reset(sig)
	if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(sig) == nil {
		<-time.After(time.Second) // a signal that was ignored when the process started is ignored again
	}
	number, _ := sig.(syscall.Signal)
	os.Exit(128 + int(number))
}
