// Package cli is what the commands share: options that may stand before or after the arguments, one-line errors, exit
// statuses and Ctrl-C.
//
//	func main() { cli.Main(run) }
//
//	func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
//		fs := cli.NewFlagSet("tool", stdout, "Usage: tool [options] FILE\n\nExamples:\n  tool -n 3 a.json\n")
//		n := fs.Int("n", 1, "how `many`")
//		return cli.Exit(stderr, "tool", func() error {
//			files, err := cli.Parse(fs, args)
//			if err != nil {
//				return err
//			}
//			if len(files) != 1 {
//				return cli.Usagef("give one FILE, not %d", len(files))
//			}
//			return work(ctx, files[0], *n)
//		}())
//	}
package cli
