package serve

import (
	"context"
	"errors"
	"testing"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// flaky is a source that ends with an error the first time.
type flaky struct{ runs chan struct{} }

func (f flaky) Run(ctx context.Context, _ source.Sink) error {
	f.runs <- struct{}{}
	if len(f.runs) == 1 {
		return errors.New("no route")
	}
	<-ctx.Done()
	return nil
}

// TestSourceWorksAgain checks that it is shown why a source cannot go on, and not any more once it is tried again and goes on.
func TestSourceWorksAgain(t *testing.T) {
	f := flaky{make(chan struct{}, 10)}
	s, _ := start(t, Options{Policy: "keepalive:60", Sources: map[string]source.Source{"flaky": f}})
	says := func() string {
		for _, one := range state(t, s).Sources {
			if one.Name == "flaky" {
				return one.Error
			}
		}
		return "there is no such source"
	}
	eventually(t, "it is said", func() bool { return says() == "no route" })
	eventually(t, "it is run again", func() bool { return len(f.runs) == 2 })
	eventually(t, "it is over", func() bool { return says() == "" })
}
