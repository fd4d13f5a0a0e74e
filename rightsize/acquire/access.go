package acquire

import (
	"fmt"

	"github.com/tppfaas/tppfaas/internal/httpclient"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Access says who asks a server, and how that is known. Secrets need https, or a server on this machine.
type Access struct {
	// Username and Password or PasswordFile, or Token or TokenFile, authenticate the questions. Files are read each time.
	Username, Password, PasswordFile, Token, TokenFile string
	// CAFile has the certificates of those who sign the server's; InsecureSkipVerify trusts any. CertFile and KeyFile are the client's own.
	CAFile, CertFile, KeyFile string
	InsecureSkipVerify        bool
}

// transport returns a transport for the server at an address, and its name for errors.
func (a *Access) transport(kind, address string, o httpclient.Options) (transport *httpclient.Transport, base, name string, err error) {
	u, err := whisk.ParseAddress(address)
	if err != nil {
		return nil, "", "", fmt.Errorf("the address of %s: %w", kind, err) // which may have a password, so it is not repeated
	}
	name = kind + " at " + whisk.DisplayAddress(u)
	o.Username, o.Password, o.PasswordFile, o.Token, o.TokenFile = a.Username, a.Password, a.PasswordFile, a.Token, a.TokenFile
	o.CAFile, o.CertFile, o.KeyFile, o.InsecureSkipVerify = a.CAFile, a.CertFile, a.KeyFile, a.InsecureSkipVerify
	transport, err = httpclient.New(name, u, o)
	return transport, whisk.DisplayAddress(u), name, err
}
