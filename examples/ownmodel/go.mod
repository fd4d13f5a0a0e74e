module example.com/ownmodel

go 1.26.0

require github.com/tppfaas/tppfaas v0.0.0

require (
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
)

replace github.com/tppfaas/tppfaas => ../..
