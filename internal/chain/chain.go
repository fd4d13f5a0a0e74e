//go:build unix

package chain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Options configures a chain.
type Options struct {
	// Sampler and Collector are the paths of the programs.
	Sampler, Collector string
	// Zipkin is the URL of a running Zipkin server, without /api/v2; "" means that of Sampler, which is started.
	Zipkin string
	// Dir is the folder for the collector's state.
	Dir string
	// MemoryMB is the platform's memory for containers in MiB; 0 means 8192.
	MemoryMB int
	// Prewarm is the path of the program prewarm; "" means that there is no controller.
	Prewarm string
	// PlatformArgs, ZipkinArgs, CollectorArgs and PrewarmArgs are additional arguments of the platform, of Sampler's Zipkin server, of the
	// collector, and of prewarm serve.
	PlatformArgs, ZipkinArgs, CollectorArgs, PrewarmArgs []string
}

// Chain is a running chain.
type Chain struct {
	// Platform, Zipkin and Collector are its processes; Zipkin is nil if Options.Zipkin was given.
	Platform, Zipkin, Collector *Process
	// Prewarm is the process of the controller, and PrewarmURL its URL; nil and "" if there is none.
	Prewarm    *Process
	PrewarmURL string
	// APIHost, ZipkinURL and CollectorURL are their URLs: of OpenWhisk's API, of Zipkin without /api/v2, and of OTLP over HTTP.
	APIHost, ZipkinURL, CollectorURL string
	// Key is the platform's key, UUID:KEY.
	Key string
}

// Start starts the processes, and returns when all of them are ready. The chain must be stopped.
func Start(ctx context.Context, o Options) (*Chain, error) {
	var errs [3]error
	o.Sampler, errs[0] = executable(o.Sampler)
	o.Collector, errs[1] = executable(o.Collector)
	addresses, err := loopback.FreeAddresses(8)
	errs[2] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	if o.MemoryMB == 0 {
		o.MemoryMB = 8192
	}
	c := &Chain{APIHost: "http://" + addresses[0], ZipkinURL: o.Zipkin, CollectorURL: "http://" + addresses[1], Key: whisk.NewKey()}
	env := []string{"HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	var parts []*Process
	if c.ZipkinURL == "" {
		c.ZipkinURL = "http://" + addresses[2]
		c.Zipkin = &Process{name: "zipkin", path: o.Sampler, args: append([]string{"zipkin", "-listen", addresses[2]}, o.ZipkinArgs...), env: env, ready: c.ZipkinURL + "/health"}
		parts = append(parts, c.Zipkin)
	}
	c.Platform = &Process{
		name: "platform", path: o.Sampler, env: append([]string{"OW_AUTH=" + c.Key}, env...), ready: c.APIHost + "/ping",
		args: append([]string{
			"platform", "-listen", addresses[0], "-memory", strconv.Itoa(o.MemoryMB), "-per-minute", "0", "-concurrent", "0", "-fires", "0",
		}, o.PlatformArgs...),
	}
	host, port, _ := net.SplitHostPort(addresses[5])
	c.Collector = &Process{
		name: "collector", path: o.Collector, args: o.CollectorArgs, ready: "http://" + addresses[3],
		env: append([]string{
			"OW_APIHOST=" + c.APIHost, "OW_AUTH=" + c.Key, "TPPFAAS_ZIPKIN=" + c.ZipkinURL, "TPPFAAS_STATE=" + filepath.Join(o.Dir, "collector"),
			"TPPFAAS_OTLP_HTTP=" + addresses[1], "TPPFAAS_OTLP_GRPC=" + addresses[4], "TPPFAAS_HEALTH=" + addresses[3],
			"TPPFAAS_METRICS_HOST=" + host, "TPPFAAS_METRICS_PORT=" + port,
		}, env...),
	}
	parts = append(parts, c.Platform)
	if o.Prewarm != "" {
		if o.Prewarm, err = executable(o.Prewarm); err != nil {
			return nil, fmt.Errorf("chain: %w", err)
		}
		c.PrewarmURL = "http://" + addresses[6]
		c.Prewarm = &Process{
			name: "prewarm", path: o.Prewarm, ready: c.PrewarmURL + "/healthz", env: append([]string{"OW_APIHOST=" + c.APIHost, "OW_AUTH=" + c.Key}, env...),
			args: append([]string{"serve", "-listen", addresses[6], "-grpc", addresses[7], "-state", filepath.Join(o.Dir, "prewarm")}, o.PrewarmArgs...),
		}
		parts = append(parts, c.Prewarm)
		c.Collector.args = append([]string{"--config", "builtin:local", "--config", "builtin:prewarm"}, c.Collector.args...)
		c.Collector.env = append(c.Collector.env, "TPPFAAS_PREWARM="+addresses[7])
	}
	for _, p := range append(parts, c.Collector) {
		if err := p.Start(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("chain: %w", err), c.Stop())
		}
	}
	return c, nil
}

// Env returns the environment variables by which clients find the chain.
func (c *Chain) Env() []string {
	return []string{"OW_APIHOST=" + c.APIHost, "OW_AUTH=" + c.Key, "TPPFAAS_ZIPKIN=" + c.ZipkinURL, "TPPFAAS_COLLECTOR=" + c.CollectorURL}
}

// Processes returns the processes that Start has started, in that order.
func (c *Chain) Processes() []*Process {
	all := []*Process{c.Platform, c.Collector}
	if c.Prewarm != nil {
		all = []*Process{c.Platform, c.Prewarm, c.Collector}
	}
	if c.Zipkin != nil {
		all = append([]*Process{c.Zipkin}, all...)
	}
	return all
}

// Stop ends all processes, in the reverse order.
func (c *Chain) Stop() error {
	var errs []error
	all := c.Processes()
	for i := range all {
		errs = append(errs, all[len(all)-1-i].Stop())
	}
	return errors.Join(errs...)
}
