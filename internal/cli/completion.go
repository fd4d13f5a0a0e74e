package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

// shells are those for which there is a completion script.
var shells = []string{"bash", "zsh", "fish"}

// completion returns the subcommand that prints a completion script. It also prints the program's part of the reference, for the
// generator of docs/reference.md.
func (p *Program) completion() Command {
	return Command{
		Name: "completion", Arguments: strings.Join(shells, "|"), Summary: "print a script that completes commands and options in a shell",
		Help: fmt.Sprintf(`Usage: %[1]s completion %[2]s

Prints a script with which the shell completes the commands of %[1]s, their options, and the values of options. Where any text will
do it completes the names of files.

Examples:
  source <(%[1]s completion bash)                                     in ~/.bashrc
  source <(%[1]s completion zsh)                                      in ~/.zshrc, after compinit
  %[1]s completion fish >~/.config/fish/completions/%[1]s.fish
`, p.Name, strings.Join(shells, "|")),
		Values: map[string][]string{"": shells},
		Define: func(*flag.FlagSet) Run {
			return func(_ context.Context, args []string, stdout, _ io.Writer) error {
				scripts := map[string]func(io.Writer) error{"bash": p.writeBash, "zsh": p.writeZsh, "fish": p.writeFish, "markdown": p.writeReference}
				if len(args) != 1 || scripts[args[0]] == nil {
					return Usagef("one shell, please: %s", strings.Join(shells, ", "))
				}
				return scripts[args[0]](stdout)
			}
		},
	}
}

// commands returns the program itself under the name "", and its subcommands.
func (p *Program) commands() []Command {
	root := p.Command
	root.Name = ""
	return append([]Command{root}, p.all()...)
}

// quote makes one word of text for all three shells.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Kinds of what stands behind an option, in the scripts for bash and zsh.
const (
	oneOfKind  = "values" // one of a few words
	fileKind   = "files"  // any text
	numberKind = "none"   // nothing that could be offered
)

// kind tells what stands behind an option that takes a value.
func (c *Command) kind(f *flag.Flag) string {
	switch {
	case len(c.Values[f.Name]) > 0:
		return oneOfKind
	case isText(f):
		return fileKind
	}
	return numberKind
}

// writeTables writes, for bash and zsh, a function that sets what the position on the line calls for: from the variables command and
// option it sets options, values and kind.
func (p *Program) writeTables(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "_%s_tables() {\n\tkind='' values='' options=''\n\tcase \"$command\" in\n", p.Name)
	for _, c := range p.commands() {
		options := []string{"-h"}
		if c.Name == "" {
			options = append(options, "--version")
		}
		for _, f := range c.options() {
			options = append(options, "-"+f.Name)
		}
		fmt.Fprintf(&b, "\t%s) options=%s ;;\n", quote(c.Name), quote(strings.Join(options, " ")))
	}
	b.WriteString("\tesac\n\tcase \"$command $option\" in\n")
	for _, c := range p.commands() {
		for _, f := range c.options() {
			if isSwitch(f) {
				continue
			}
			fmt.Fprintf(&b, "\t%s) kind=%s values=%s ;;\n", quote(c.Name+" "+f.Name), c.kind(f), quote(strings.Join(c.Values[f.Name], " ")))
		}
	}
	b.WriteString("\tesac\n\t[ -n \"$kind\" ] && return\n\tcase \"$command\" in\n")
	for _, c := range p.commands() {
		words := c.Values[""]
		if c.Name == "" {
			for _, sub := range p.all() {
				words = append(words, sub.Name)
			}
		}
		if len(words) > 0 {
			fmt.Fprintf(&b, "\t%s) values=%s ;;\n", quote(c.Name), quote(strings.Join(words, " ")))
		}
	}
	b.WriteString("\tesac\n}\n\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// subcommands lists the names as alternatives of a shell's case.
func (p *Program) subcommands() string {
	var names []string
	for _, c := range p.all() {
		names = append(names, c.Name)
	}
	return strings.Join(names, "|")
}

func (p *Program) writeBash(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "# Completion of %[1]s for bash: source <(%[1]s completion bash)\n\n", p.Name); err != nil {
		return err
	}
	if err := p.writeTables(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `_%[1]s() {
	local current="${COMP_WORDS[COMP_CWORD]}" previous="" command="" option="" kind values options
	[ "$COMP_CWORD" -gt 0 ] && previous="${COMP_WORDS[COMP_CWORD-1]}"
	if [ "$COMP_CWORD" -gt 1 ]; then
		case "${COMP_WORDS[1]}" in %[2]s) command="${COMP_WORDS[1]}" ;; esac
	fi
	# bash makes words of their own of the = in -option=value and of what is behind it.
	if [ "$current" = "=" ]; then
		current=""
	elif [ "$previous" = "=" ] && [ "$COMP_CWORD" -gt 1 ]; then
		previous="${COMP_WORDS[COMP_CWORD-2]}"
	fi
	case "$previous" in -?*) option="${previous#-}" option="${option#-}" ;; esac
	_%[1]s_tables
	COMPREPLY=()
	case "$kind:$current" in
	none:*) compopt +o default 2>/dev/null ;;
	files:*) ;;
	:-*)
		# Both -option and --option are understood; what is completed is what was begun.
		case "$current" in --*) options="${options// -/ --}" options="${options//---/--}" options="-$options" ;; esac
		local IFS=$' \t\n'
		COMPREPLY=($(compgen -W "$options" -- "$current"))
		;;
	*)
		# Behind the first word only a subcommand's own arguments are few words.
		[ -n "$kind$command" ] || [ "$COMP_CWORD" -eq 1 ] || values=""
		local IFS=$' \t\n'
		COMPREPLY=($(compgen -W "$values" -- "$current"))
		;;
	esac
	return 0
}
complete -o default -F _%[1]s %[1]s
`, p.Name, p.subcommands())
	return err
}

func (p *Program) writeZsh(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "#compdef %[1]s\n# Completion of %[1]s for zsh: source <(%[1]s completion zsh)\n\n", p.Name); err != nil {
		return err
	}
	if err := p.writeTables(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `_%[1]s() {
	local current="${words[CURRENT]}" previous="${words[CURRENT-1]}" command="" option="" kind values options
	if (( CURRENT > 2 )); then
		case "${words[2]}" in (%[2]s) command="${words[2]}" ;; esac
	fi
	case "$previous" in (-?*) option="${${previous#-}#-}" ;; esac
	if [[ "$current" == -*=* ]]; then
		option="${${${current%%%%=*}#-}#-}"
		compset -P '*='
	fi
	_%[1]s_tables
	case "$kind:$current" in
	(none:*) ;;
	(files:*) _files ;;
	(:-*) compadd -- ${=options} ;;
	(*)
		[[ -n "$kind$command" ]] || (( CURRENT == 2 )) || values=""
		{ [[ -n "$values" ]] && compadd -- ${=values} } || _files
		;;
	esac
}
compdef _%[1]s %[1]s
`, p.Name, p.subcommands())
	return err
}

func (p *Program) writeFish(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completion of %[1]s for fish: %[1]s completion fish >~/.config/fish/completions/%[1]s.fish\n\n", p.Name)
	all := strings.ReplaceAll(p.subcommands(), "|", " ")
	for _, c := range p.commands() {
		here := fmt.Sprintf("__fish_seen_subcommand_from %s", c.Name)
		if c.Name == "" {
			here = fmt.Sprintf("not __fish_seen_subcommand_from %s", all)
			fmt.Fprintf(&b, "complete -c %s -n %s -l version -d 'print the version'\n", p.Name, quote(here))
			for _, sub := range p.all() {
				fmt.Fprintf(&b, "complete -c %s -n '__fish_is_nth_token 1' -f -a %s -d %s\n", p.Name, sub.Name, quote(sub.Summary))
			}
		}
		if words := c.Values[""]; len(words) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n %s -f -a %s\n", p.Name, quote(here), quote(strings.Join(words, " ")))
		}
		for _, f := range c.options() {
			length := "-o"
			if len(f.Name) == 1 {
				length = "-s"
			}
			_, usage := flag.UnquoteUsage(f)
			fmt.Fprintf(&b, "complete -c %s -n %s %s %s", p.Name, quote(here), length, f.Name)
			switch {
			case isSwitch(f):
			case c.kind(f) == oneOfKind:
				fmt.Fprintf(&b, " -r -a %s", quote(strings.Join(c.Values[f.Name], " ")))
			case c.kind(f) == fileKind:
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", quote(usage))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
