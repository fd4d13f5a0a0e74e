package cli

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Reference is what docs/reference.md says of a program or of one of its subcommands.
type Reference struct {
	Name    string // as on the line: "tpp train"
	Summary string // a line
	Help    string // how it is called, and examples; ends with a newline
	Options []Option
}

// Option is an option in the reference.
type Option struct {
	Name, Value, Default, Usage string // Name with its dashes, Value the word for what it takes, "" for a switch
	Values                      []string
}

// writeReference writes the program's part of the reference.
func (p *Program) writeReference(w io.Writer) error {
	all := []Reference{p.reference(p.Name)}
	for _, c := range p.Commands {
		all = append(all, c.reference(p.Name+" "+c.Name))
	}
	return WriteReference(w, all...)
}

func (c *Command) reference(name string) Reference {
	r := Reference{Name: name, Summary: c.Summary, Help: c.Help}
	for _, f := range c.options() {
		value, usage := flag.UnquoteUsage(f)
		r.Options = append(r.Options, Option{Name: "-" + f.Name, Value: value, Default: f.DefValue, Usage: usage, Values: c.Values[f.Name]})
	}
	return r
}

// WriteReference writes, in Markdown, a section about a program, which comes first, and one about each of its subcommands: the help and a
// table of the options.
func WriteReference(w io.Writer, all ...Reference) error {
	var b strings.Builder
	for i, r := range all {
		if i == 0 {
			fmt.Fprintf(&b, "## %s\n\n%s\n", r.Name, sentence(r.Summary))
			for j, sub := range all[1:] {
				if j == 0 {
					b.WriteString("\n| command | what it does |\n|---|---|\n")
				}
				fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", sub.Name, strings.ReplaceAll(sub.Name, " ", "-"), cell(sub.Summary))
			}
		} else {
			fmt.Fprintf(&b, "\n### %s\n\n%s\n", r.Name, sentence(r.Summary))
		}
		fmt.Fprintf(&b, "\n```text\n%s```\n", r.Help)
		for j, o := range r.Options {
			if j == 0 {
				b.WriteString("\n| option | default | what it does |\n|---|---|---|\n")
			}
			standard := ""
			if !slices.Contains([]string{"", "0", "false", "0s", "[]"}, o.Default) {
				standard = "`" + o.Default + "`"
			}
			usage := o.Usage
			if len(o.Values) > 0 {
				usage += "; values: `" + strings.Join(o.Values, "`, `") + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.TrimSpace(o.Name+" "+o.Value), standard, cell(usage))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sentence makes a sentence of a summary.
func sentence(summary string) string {
	return strings.ToUpper(summary[:1]) + summary[1:] + "."
}

// cell makes text fit for a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}
