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
	// Close removes every container; an Init or Run in progress ends.
	Close() error
}

// Preparer is a Runtime that can be told of code before it is wanted.
type Preparer interface {
	// Prepare returns at once; the code must not be modified afterwards, as that of a Spec.
	Prepare(code []byte)
}

// Container is where one version of one action runs, one invocation at a time. Only Remove may be called at any time.
type Container interface {
	// Init puts the action into the container. Nil, nil says that it can be run; an outcome, that it cannot, because of the
	// action; an error, that it cannot, because of the platform.
	Init(ctx context.Context, spec Spec, timeout time.Duration) (*Outcome, error)
	// Run invokes the action. It returns at the latest when timeout has passed and the action has been killed, or when ctx is done.
	Run(ctx context.Context, invocation Invocation, timeout time.Duration) Outcome
	// Logs returns what has been written since it was called before; the activation is the one that has ended.
	Logs(activationID string) []Line
	// Pause stops the processes, Unpause lets them go on.
	Pause() error
	Unpause() error
	// Remove kills the processes and whatever descends from them, and returns when all is gone.
	Remove()
}

// Spec is what a container runs: one version of one action.
type Spec struct {
	Name    string // fully qualified: /guest/pkg/name
	Version string
	Kind    string // go:1.20, go:1.24, …, blackbox
	Image   string // of a blackbox
	Main    string
	// Code is a zip archive or the executable itself, decoded from base64. It must not be modified afterwards; code that
	// comes in the same slice again is known to be the same without being read.
	Code   []byte
	Binary bool
	// Env has the __OW_* variables and the init parameters, as /init has them.
	Env      map[string]string
	MemoryMB int // 0: that of the container
	// LogMB bounds the logs of one activation in MiB; at 0 no logs are kept.
	LogMB int
}

// Invocation is what /run gets.
type Invocation struct {
	Value         json.RawMessage // the parameters, an object or an array; nil: {}
	ActionName    string          // fully qualified
	ActionVersion string
	ActivationID  string
	TransactionID string
	Namespace     string
	APIKey        string // "": the action gets none
	Deadline      time.Time
}

// OutcomeKind tells how an activation ended; the values are the statusCode of a record.
type OutcomeKind int

// The kinds of outcomes.
const (
	Success OutcomeKind = iota
	ApplicationError
	DeveloperError
	InternalError
)

// String returns the status as a record has it.
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
	// Result is an object, or an array; for errors it is {"error": …} with OpenWhisk's own words.
	Result json.RawMessage
	// Size is the size of the answer's body in bytes; it counts only if HasBody is set.
	Size    int
	HasBody bool
	// TimedOut tells that the time limit was exceeded.
	TimedOut bool
	// Broken tells that the container must not be used again, and be removed.
	Broken bool
}

// Line is one line of an action's logs.
type Line struct {
	Time   time.Time
	Stream string // stdout or stderr
	Text   string // without the newline
}
