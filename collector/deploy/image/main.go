package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/cli"
)

const usage = `Usage: image [-program NAME] [-o FILE] [-name NAME:TAG] [-platform LIST] [-certificates FILE]

Builds the collector, or the controller of prewarming, and makes an image of it, without a container engine. Run it in a checkout of the project. The file is an OCI layout in
a tar archive, with what docker load needs beside it.

Certificates are those of the package ca-certificates of Debian or Ubuntu, where that is installed, without what was added to this machine;
elsewhere name a file. All times are SOURCE_DATE_EPOCH, or 1970.

Examples:
  image                                                     of the collector, for amd64 and arm64
  image -program prewarm -platform linux/amd64
  image -platform linux/arm64 -name registry.example.com/collector:1
  image -certificates /etc/ssl/cert.pem -o collector.tar
`

func main() {
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "image", run(ctx, args, stdout, stderr))
	})
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := cli.NewFlagSet("image", stdout, usage)
	chosen := fs.String("program", "collector", "what the image is of: the `name` collector or prewarm")
	output := fs.String("o", "", "the `file` to write (build/PROGRAM.tar)")
	reference := fs.String("name", "", "the `name` of the image, with a tag (tppfaas/PROGRAM:devel)")
	platforms := fs.String("platform", "linux/amd64,linux/arm64", "a `list` of platforms; docker load without containerd's image store takes the first")
	bundle := fs.String("certificates", "", "a `file` with certificates (PEM), instead of Debian's")
	if rest, err := cli.Parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("unexpected argument %q", rest[0])
	}
	i := slices.IndexFunc(products, func(o *product) bool { return o.name == *chosen })
	if i < 0 {
		return cli.Usagef("-program: there are images of collector and prewarm, not of %q", *chosen)
	}
	of := products[i]
	*output = cmp.Or(*output, "build/"+of.name+".tar")
	*reference = cmp.Or(*reference, "tppfaas/"+of.name+":devel")
	archs, err := architectures(*platforms)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(*reference)
	if err != nil {
		return cli.Usagef("-name: %v", err)
	}
	if !strings.HasSuffix(*reference, ":"+tag.TagStr()) {
		return cli.Usagef("-name: %s has no tag", *reference)
	}
	created, err := epoch(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	var certs certificates
	if *bundle != "" {
		certs, err = fromFile(*bundle)
	} else {
		certs, err = fromDebian("/")
	}
	if err != nil {
		return err
	}
	if err := atomicfile.Check(*output); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var programs []program
	for _, arch := range archs {
		fmt.Fprintf(stderr, "building %s for linux/%s\n", of.name, arch)
		p, err := of.build(ctx, arch, filepath.Join(dir, of.name+"-"+arch))
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	img := image{tag: tag, created: created, certificates: certs}
	if err := img.write(*output, programs); err != nil {
		return err
	}
	info, err := os.Stat(*output)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %s, version %s, %.1f MB\n", *output, *reference, programs[0].version, float64(info.Size())/1e6)
	return nil
}

// architectures returns those of a list like linux/amd64,linux/arm64.
func architectures(list string) (archs []string, err error) {
	seen := map[string]bool{}
	for p := range strings.SplitSeq(list, ",") {
		arch, ok := strings.CutPrefix(strings.TrimSpace(p), "linux/")
		if !ok || arch == "" || strings.Contains(arch, "/") {
			return nil, cli.Usagef("-platform %s: %q is not like linux/amd64", list, p)
		}
		if seen[arch] {
			return nil, cli.Usagef("-platform %s: %s is there twice", list, p)
		}
		seen[arch] = true
		archs = append(archs, arch)
	}
	return archs, nil
}

// epoch returns the time that all times in the image are: the value of SOURCE_DATE_EPOCH, in seconds.
func epoch(value string) (time.Time, error) {
	if value == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<33-1 { // which is what a tar archive has room for
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s is no number of seconds since 1970", value)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
