package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// certificate returns a new certificate in PEM.
func certificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// debian writes the files of a Debian system on which ca-certificates has the given certificates.
func debian(t *testing.T, certificates map[string][]byte) (root string) {
	t.Helper()
	root = t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, text, 0o666))
	}
	sums := "d41d8cd98f00b204e9800998ecf8427e  usr/share/doc/ca-certificates/README\n"
	for name, text := range certificates {
		name = "usr/share/ca-certificates/mozilla/" + name
		write(name, text)
		sums += fmt.Sprintf("%x  %s\n", md5.Sum(text), name)
	}
	write("var/lib/dpkg/info/ca-certificates.md5sums", []byte(sums))
	write("etc/os-release", []byte("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n"))
	write("var/lib/dpkg/status", []byte("Package: bash\nStatus: install ok installed\nVersion: 5.2\n\nPackage: ca-certificates\nStatus: install ok installed\n"+
		"Description: Common CA certificates\n Version: 1\nVersion: 20230311+deb12u1\n"))
	return root
}

// TestDebiansCertificates checks that certificates come from the package, in the order of their names, and none from elsewhere.
func TestDebiansCertificates(t *testing.T) {
	a, b, own := certificate(t), certificate(t), certificate(t)
	root := debian(t, map[string][]byte{"B.crt": b, "A.crt": a})
	// What somebody has added to this machine is not in images that run elsewhere.
	added := filepath.Join(root, "usr/local/share/ca-certificates/own.crt")
	require.NoError(t, os.MkdirAll(filepath.Dir(added), 0o777))
	require.NoError(t, os.WriteFile(added, own, 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(root, "usr/share/ca-certificates/own.crt"), own, 0o666))

	got, err := fromDebian(root)
	require.NoError(t, err)
	require.Equal(t, string(a)+string(b), string(got.pem))
	require.Equal(t, "ca-certificates 20230311+deb12u1 of Debian GNU/Linux", got.origin)
	require.NoError(t, os.Remove(filepath.Join(root, "etc/os-release")))
	got, err = fromDebian(root)
	require.NoError(t, err)
	require.Equal(t, "ca-certificates 20230311+deb12u1 of an unknown system", got.origin)

	require.NoError(t, os.WriteFile(filepath.Join(root, "usr/share/ca-certificates/mozilla/A.crt"), own, 0o666))
	_, err = fromDebian(root)
	require.ErrorContains(t, err, "A.crt is not as in the Debian package ca-certificates")
	require.NoError(t, os.Remove(filepath.Join(root, "usr/share/ca-certificates/mozilla/A.crt")))
	_, err = fromDebian(root)
	require.ErrorContains(t, err, "the Debian package ca-certificates is damaged")
	_, err = fromDebian(t.TempDir())
	require.ErrorContains(t, err, "install it, or name a file with certificates by -certificates")
	_, err = fromDebian(debian(t, nil))
	require.ErrorContains(t, err, "no certificates")
	_, err = installed(filepath.Join(root, "var/lib/dpkg/status"), "zsh")
	require.ErrorContains(t, err, "no package zsh is installed")
}

// TestCertificatesOfAFile checks that a file with anything else than certificates is refused: a key in an image is a key in public.
func TestCertificatesOfAFile(t *testing.T) {
	good := certificate(t)
	file := filepath.Join(t.TempDir(), "bundle.pem")
	for _, c := range []struct {
		text []byte
		want string
	}{
		{append([]byte("# A comment\n"), good...), ""},
		{append(bytes.Clone(good), certificate(t)...), ""},
		{nil, "no certificates"},
		{[]byte("certificates?"), "no certificates"},
		{append(bytes.Clone(good), "-----BEGIN CERTIFICATE-----\nMIIB"...), "what follows certificate 1 cannot be read"},
		{append(bytes.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("k")})...), "has a private key"},
		{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no DER")}), "certificate 1: "},
	} {
		require.NoError(t, os.WriteFile(file, c.text, 0o666))
		got, err := fromFile(file)
		if c.want != "" {
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, file)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, string(c.text), string(got.pem))
		require.Equal(t, "bundle.pem", got.origin)
	}
}
