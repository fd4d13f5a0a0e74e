// Package cli is what the commands share: options that may stand before or after the arguments, one-line errors, exit statuses, Ctrl-C,
// and a description of each program from which dispatch, help, --version, shell completion and docs/reference.md are derived.
//
//	var program = cli.Program{Command: cli.Command{
//		Name: "tool", Arguments: "FILE", Summary: "do a thing to a file",
//		Help: "Usage: tool [options] FILE\n\nExamples:\n  tool -n 3 a.json\n",
//		Define: func(fs *flag.FlagSet) cli.Run {
//			n := fs.Int("n", 1, "how `many`")
//			return func(ctx context.Context, files []string, stdout, stderr io.Writer) error {
//				if len(files) != 1 {
//					return cli.Usagef("give one FILE, not %d", len(files))
//				}
//				return work(ctx, files[0], *n)
//			}
//		},
//	}}
//
//	func main() { program.Main() }
//
// A program without subcommands that nobody installs may do with NewFlagSet, Parse, Exit and Main instead.
package cli
