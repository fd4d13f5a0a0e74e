package container

import (
	"context"
	"encoding/json"
	"time"
)

// Runtime starts containers. Its methods may be called by several goroutines at once.
type Runtime interface {
	// Start starts a container without an action; memoryMB is its limit in MiB.
	Start(ctx context.Context, memoryMB int) (Container, error)
	// Close removes all containers; it ends an Init or Run in progress.
	Close() error
}

// Preparer is a Runtime that can prepare code before a container needs it.
type Preparer interface {
	// Prepare prepares code in the background and returns at once. The code must not be modified afterwards, as that of a Spec.
	Prepare(code []byte)
}

// Container runs one version of one action, one invocation at a time. Its methods must not be called at the same time, except Remove.
type Container interface {
	// Init puts the action into the container. It returns nil, nil if the action can be run, an outcome if it cannot because of the
	// action, and an error if it cannot because of the platform.
	Init(ctx context.Context, spec Spec, timeout time.Duration) (*Outcome, error)
	// Run invokes the action. When the timeout has passed or ctx is done, it kills the action and returns.
	Run(ctx context.Context, invocation Invocation, timeout time.Duration) Outcome
	// Logs returns the lines written since the last call. The id is that of the activation that has just ended.
	Logs(activationID string) []Line
	// Pause stops the processes.
	Pause() error
	// Unpause continues them.
	Unpause() error
	// Remove kills the processes and their descendants, and returns when all are gone.
	Remove()
}

// Spec is what a container runs: one version of one action.
type Spec struct {
	Name    string // fully qualified: /guest/pkg/name
	Version string
	Kind    string // go:1.20, go:1.24, …, blackbox
	Image   string // of a blackbox
	Main    string
	// Code is a zip archive or the executable itself, decoded from base64. It must not be modified afterwards: the same slice is taken for the
	// same code without comparing it.
	Code   []byte
	Binary bool
	// Env has the __OW_* variables and the init parameters, as in a request to /init.
	Env      map[string]string
	MemoryMB int // 0: the container's
	// LogMB is the maximum size of the logs of one activation in MiB; 0 means that no logs are kept.
	LogMB int
}

// Invocation is one invocation of an action, as in a request to /run.
type Invocation struct {
	Value         json.RawMessage // the parameters, an object or an array; nil means {}
	ActionName    string          // fully qualified
	ActionVersion string
	ActivationID  string
	TransactionID string
	Namespace     string
	APIKey        string // "": none
	Deadline      time.Time
}

// OutcomeKind says how an activation ended. Its values are those of statusCode in an activation record.
type OutcomeKind int

// The kinds of outcomes.
const (
	Success OutcomeKind = iota
	ApplicationError
	DeveloperError
	InternalError
)

// String returns the status as in an activation record.
func (k OutcomeKind) String() string {
	switch k {
	case Success:
		return "success"
	case ApplicationError:
		return "application error"
	case DeveloperError:
		return "action developer error"
	default:
		return "whisk internal error"
	}
}

// Outcome is how an /init or a /run ended.
type Outcome struct {
	Kind OutcomeKind
	// Result is an object or an array; for errors it is {"error": …} with OpenWhisk's message.
	Result json.RawMessage
	// Size is the size of the answer in bytes; it is valid only if HasBody is set.
	Size    int
	HasBody bool
	// TimedOut is set if the time limit was exceeded.
	TimedOut bool
	// Broken is set if the container must be removed and not be used again.
	Broken bool
}

// Line is one line of an action's logs.
type Line struct {
	Time   time.Time
	Stream string // stdout or stderr
	Text   string // without the newline
}
