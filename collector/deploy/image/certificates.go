package main

import (
	"bytes"
	"crypto/md5"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// certificates are those of the authorities that the collector trusts, in PEM, and where they came from.
type certificates struct {
	pem    []byte
	origin string
}

// fromDebian returns the certificates of the Debian package ca-certificates that is installed under root: those that are in the package,
// and none that somebody added to the machine.
func fromDebian(root string) (certificates, error) {
	list := filepath.Join(root, "var/lib/dpkg/info/ca-certificates.md5sums")
	sums, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return certificates{}, fmt.Errorf("the Debian package ca-certificates is not installed (there is no %s): install it, or name a file with certificates by -certificates", list)
	}
	if err != nil {
		return certificates{}, err
	}
	version, err := installed(filepath.Join(root, "var/lib/dpkg/status"), "ca-certificates")
	if err != nil {
		return certificates{}, err
	}
	type file struct{ name, sum string }
	var files []file
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if strings.HasPrefix(name, "usr/share/ca-certificates/") && strings.HasSuffix(name, ".crt") {
			files = append(files, file{name, sum})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var all []byte
	for _, f := range files {
		name := filepath.Join(root, f.name)
		text, err := os.ReadFile(name)
		if err != nil {
			return certificates{}, fmt.Errorf("the Debian package ca-certificates is damaged: %w", err)
		}
		if sum := md5.Sum(text); hex.EncodeToString(sum[:]) != f.sum {
			return certificates{}, fmt.Errorf("%s is not as in the Debian package ca-certificates: install that again", name)
		}
		all = append(append(all, bytes.TrimSpace(text)...), '\n')
	}
	return checked(all, "ca-certificates "+version+" of "+system(root), list)
}

// system returns the name of the system, as Debian's derivatives have packages of the same name.
func system(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if err != nil {
		return "an unknown system"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return "an unknown system"
}

// installed returns the version of a Debian package, from the file in which dpkg keeps what is installed.
func installed(status, name string) (string, error) {
	text, err := os.ReadFile(status)
	if err != nil {
		return "", err
	}
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(paragraph) {
			key, value, ok := strings.Cut(line, ": ")
			if ok && !strings.HasPrefix(key, " ") {
				fields[key] = strings.TrimSpace(value)
			}
		}
		if fields["Package"] == name && strings.HasSuffix(fields["Status"], " installed") {
			return fields["Version"], nil
		}
	}
	return "", fmt.Errorf("%s: no package %s is installed", status, name)
}

// fromFile returns the certificates in a file.
func fromFile(name string) (certificates, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return certificates{}, fmt.Errorf("-certificates: %w", err)
	}
	return checked(text, filepath.Base(name), name)
}

// checked returns certificates after a look at each of them.
func checked(text []byte, origin, place string) (certificates, error) {
	count := 0
	for rest := text; ; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) > 0 && bytes.Contains(rest, []byte("-----BEGIN")) {
				return certificates{}, fmt.Errorf("%s: what follows certificate %d cannot be read", place, count)
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return certificates{}, fmt.Errorf("%s: has a %s, and must have nothing but certificates", place, strings.ToLower(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return certificates{}, fmt.Errorf("%s: certificate %d: %w", place, count+1, err)
		}
	}
	if count == 0 {
		return certificates{}, fmt.Errorf("%s: no certificates", place)
	}
	return certificates{text, origin}, nil
}
