//go:build unix

package fire

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"

	controlled "github.com/tppfaas/tppfaas/prewarm/controller/serve"
)

// profiles is a folder for profiles of the controller. With it the controllers of tests are this program, which serves as prewarm serve -learn does.
var profiles = flag.String("profiles", "", "have the controllers write profiles of processor and memory into a `folder`, of memory also at each SIGUSR1")

// profiled is the variable that has this program serve, and says where profiles go.
const profiled = "TPPFAAS_FIRE_PROFILES"

// serveProfiled serves with the arguments that process.start has, until a signal, and returns the exit status.
func serveProfiled(folder string) int {
	if err := tryServeProfiled(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func tryServeProfiled(folder string) error {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	o := controlled.Options{Policy: "newsvendor:2560", Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	fs.StringVar(&o.Listen, "listen", "", "")
	fs.StringVar(&o.GRPC, "grpc", "", "")
	fs.StringVar(&o.State, "state", "", "")
	fs.BoolVar(&o.Learn, "learn", false, "")
	if err := fs.Parse(os.Args[2:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := controlled.New(ctx, o)
	if err != nil {
		return err
	}
	used, err := os.Create(filepath.Join(folder, "cpu.pprof"))
	if err != nil {
		return err
	}
	defer used.Close()
	if err := pprof.StartCPUProfile(used); err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for n := 1; ; n++ {
			<-asked
			if err := profileHeap(filepath.Join(folder, fmt.Sprintf("heap-%d.pprof", n))); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	err = s.Run(ctx)
	pprof.StopCPUProfile()
	err = errors.Join(err, profileHeap(filepath.Join(folder, "heap.pprof")))
	runtime.KeepAlive(s) // what it has is what is looked at
	return err
}

// profileHeap writes what is in use after a collection.
func profileHeap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}
