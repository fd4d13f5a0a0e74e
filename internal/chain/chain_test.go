//go:build linux

package chain

import (
	"bytes"
	"os"
	"testing"

	"github.com/tppfaas/tppfaas/internal/testbin"
)

func TestMain(m *testing.M) { os.Exit(testbin.Main(m)) }

// start starts a chain, and stops it when the test ends.
func start(t *testing.T, o Options) *Chain {
	t.Helper()
	var err error
	if o.Sampler, err = testbin.Path("sampler/cmd/sampler"); err != nil {
		t.Fatal(err)
	}
	if o.Collector, err = testbin.Path("collector/cmd/collector"); err != nil {
		t.Fatal(err)
	}
	o.Dir = t.TempDir()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		for _, p := range c.Processes() {
			if t.Failed() {
				t.Logf("%s: %s", p.Name(), p.Log())
			}
		}
	})
	return c
}

// sample runs the sampler, which must succeed.
func (c *Chain) sample(t *testing.T, args ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := Run(t.Context(), c.Platform.path, append([]string{"-platform", "openwhisk"}, args...), append(os.Environ(), c.Env()...), &stdout, &stderr)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	t.Logf("%s%s", stdout.String(), stderr.String())
}
