package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Run does the work of a command once its options are parsed; args are the arguments beside the options. What it returns becomes
// one line on stderr and the exit status, see Exit.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Command describes a command: dispatch, help, completion and the reference are derived from it.
type Command struct {
	// Name is the word that calls the command.
	Name string
	// Arguments shows what stands behind the name, such as "DATASET -o MODEL".
	Arguments string
	// Summary says in a line what the command does.
	Summary string
	// Help is what -h shows before the options: how the command is called, and examples. It ends with a newline.
	Help string
	// Define declares the options on a flag set and returns what runs once they are parsed. A program that does nothing without a
	// subcommand has none.
	Define func(fs *flag.FlagSet) Run
	// Values lists, by the name of an option, the values that the option takes where these are few; under "" those of the arguments.
	// Completion offers them; to check the value is up to the command.
	Values map[string][]string
}

// Program is a command that users start, with its subcommands.
type Program struct {
	Command
	Commands []Command
}

// Main runs the program on the arguments of the process and exits with its status, as the function Main does.
func (p *Program) Main() { Main(p.Run) }

// Run runs the program and returns its exit status.
func (p *Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		for _, c := range p.all() {
			if c.Name == args[0] {
				return Exit(stderr, p.Name+" "+c.Name, c.run(ctx, args[1:], stdout, stderr, c.Help))
			}
		}
	}
	if p.Define != nil {
		return Exit(stderr, p.Name, p.run(ctx, args, stdout, stderr, p.help()))
	}
	if len(args) == 0 {
		return Exit(stderr, p.Name, Usagef("a command is missing: %s (-h explains them)", p.names()))
	}
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		_, err := io.WriteString(stdout, p.help())
		return Exit(stderr, p.Name, err)
	}
	return Exit(stderr, p.Name, Usagef("unknown command %q: it is %s (-h explains them)", args[0], p.names()))
}

// all returns the subcommands with the one that every program has.
func (p *Program) all() []Command {
	return append(slices.Clip(p.Commands), p.completion())
}

// names lists the subcommands for a sentence.
func (p *Program) names() string {
	var names []string
	for _, c := range p.Commands {
		names = append(names, c.Name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// help returns the help of the program with a list of its subcommands.
func (p *Program) help() string {
	var b strings.Builder
	b.WriteString(p.Help)
	if len(p.Commands) == 0 {
		fmt.Fprintf(&b, "\n%q prints a script for a shell, %q the version.\n", p.Name+" completion "+strings.Join(shells, "|"), p.Name+" --version")
		return b.String()
	}
	b.WriteString("\nCommands:\n")
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, c := range p.all() {
		fmt.Fprintf(table, "  %s\t%s\n", strings.TrimSpace(c.Name+" "+c.Arguments), c.Summary)
	}
	table.Flush()
	fmt.Fprintf(&b, "\n%q explains a command, %q prints the version.\n", p.Name+" COMMAND -h", p.Name+" --version")
	return b.String()
}

// run parses the line and runs the command.
func (c *Command) run(ctx context.Context, args []string, stdout, stderr io.Writer, help string) error {
	fs := NewFlagSet(c.Name, stdout, help)
	run := c.Define(fs)
	rest, err := Parse(fs, args)
	if err != nil {
		return err
	}
	return run(ctx, rest, stdout, stderr)
}

// options returns the options of a command in the order of their names.
func (c *Command) options() []*flag.Flag {
	if c.Define == nil {
		return nil
	}
	fs := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	c.Define(fs)
	var options []*flag.Flag
	fs.VisitAll(func(f *flag.Flag) { options = append(options, f) })
	return options
}

// isSwitch reports whether an option stands without a value.
func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// isText reports whether the value of an option is any text, and so perhaps the name of a file.
func isText(f *flag.Flag) bool {
	g, ok := f.Value.(flag.Getter)
	if !ok {
		return true
	}
	_, ok = g.Get().(string)
	return ok
}
