package main

import (
	"flag"
	"os"

	"github.com/tppfaas/tppfaas/rightsize/acquire"
)

// Environment variables with secrets, which do not stand on a line that others can read.
const (
	passwordVariable = "TPPFAAS_PASSWORD"
	tokenVariable    = "TPPFAAS_TOKEN"
)

// accessOptions are the options that say who asks a server.
type accessOptions struct{ acquire.Access }

func (a *accessOptions) define(fs *flag.FlagSet) {
	fs.StringVar(&a.Username, "user", "", "`name` for the server, with -password-file or the password in "+passwordVariable)
	fs.StringVar(&a.PasswordFile, "password-file", "", "`file` with the password of -user")
	fs.StringVar(&a.TokenFile, "token-file", "", "`file` with a bearer token for the server (or the token in "+tokenVariable+")")
	fs.StringVar(&a.CAFile, "ca-file", "", "`file` with the certificates, in PEM, of those who sign the server's")
	fs.StringVar(&a.CertFile, "cert-file", "", "`file` with a certificate, in PEM, for the server that asks for one")
	fs.StringVar(&a.KeyFile, "key-file", "", "`file` with the key of -cert-file")
	fs.BoolVar(&a.InsecureSkipVerify, "insecure", false, "do not check the server's certificate")
}

// complete takes secrets from the environment where the line names none.
func (a *accessOptions) complete() {
	if a.Username != "" && a.PasswordFile == "" {
		a.Password = os.Getenv(passwordVariable)
	}
	if a.Username == "" && a.TokenFile == "" {
		a.Token = os.Getenv(tokenVariable)
	}
}
