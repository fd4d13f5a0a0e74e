package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Options are what a policy is made with, besides its spec.
type Options struct {
	// Platform and Functions are those of the fleet that the policy will be handed.
	Platform  prewarm.Platform
	Functions []prewarm.Function
	// Knowledge is what was recorded before.
	Knowledge prewarm.Knowledge
	// Seed is that of everything random about the policy.
	Seed uint64
}

// Kind is a kind of policy: a name, and how to make one.
type Kind struct {
	// Name is what a spec begins with.
	Name string
	// Form is the whole spec, with placeholders and what may be left out in brackets: "keepalive[:K]".
	Form string
	// Help says in one line what the policy does.
	Help string
	// New makes a policy from what follows the name in its spec. It reads every argument that is allowed, also after an error.
	New func(a *Args, o Options) (prewarm.Policy, error)
}

var kinds []Kind

// Register adds a kind of policy to those of New and Kinds. It is called before the first use of these, from a function init. It panics if
// there is a kind of that name already.
func Register(k Kind) {
	i, found := slices.BinarySearchFunc(kinds, k.Name, func(k Kind, name string) int { return strings.Compare(k.Name, name) })
	if found {
		panic("policy: there are two kinds " + k.Name)
	}
	kinds = slices.Insert(kinds, i, k)
}

// Kinds returns all kinds of policies in the order of their names.
func Kinds() []Kind { return slices.Clone(kinds) }

// New returns the policy that a spec asks for: the name of a kind, and arguments behind colons: "keepalive:600", "openwhisk:idle=300:grace=5".
// An error says what is wrong with the spec, and what is allowed.
func New(spec string, o Options) (prewarm.Policy, error) {
	name, rest, hasArgs := strings.Cut(spec, ":")
	for _, k := range kinds {
		if k.Name != name {
			continue
		}
		a := &Args{}
		if hasArgs {
			a.fields = strings.Split(rest, ":")
		}
		p, err := k.New(a, o)
		if err = errors.Join(a.finish(), err); err != nil {
			return nil, fmt.Errorf("policy %s: %w (its form is %s)", spec, oneLine(err), k.Form)
		}
		return p, nil
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return nil, fmt.Errorf("there is no policy %q; there are %s", name, strings.Join(names, ", "))
}

// oneLine returns err with its lines behind each other.
func oneLine(err error) error {
	if !strings.Contains(err.Error(), "\n") {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
