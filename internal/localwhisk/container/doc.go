// Package container holds what a container of an OpenWhisk platform is given and what it answers: the code of one version of one
// action, its invocations, their outcomes and logs.
//
//	spec := container.Spec{Name: "/guest/hello", Version: "0.0.1", Kind: "go:1.24", Code: zip, LogMB: 10}
//	outcome := container.Outcome{Kind: container.Success, Result: json.RawMessage(`{"greeting": "hello"}`)}
package container
