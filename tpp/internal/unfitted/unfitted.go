// Package unfitted has the state of models that were neither fitted nor read from a file: the zero values of their types.
//
//	if m.params == nil {
//		return unfitted.State()
//	}
package unfitted

import (
	"errors"

	"github.com/tppfaas/tppfaas/tpp"
)

// Err is the error of everything that such a model cannot do.
var Err = errors.New("the model was neither fitted nor read from a file")

// State returns a state that accepts no event and expects none.
func State() tpp.State { return &state{} }

type state struct{ next tpp.Next }

func (*state) Observe(tpp.Event) error  { return Err }
func (s *state) Next(float64) *tpp.Next { return &s.next }
func (*state) Clone() tpp.State         { return &state{} }

// Workspace returns a workspace whose states are those of State.
func Workspace() tpp.Workspace { return workspace{} }

type workspace struct{}

func (workspace) NewState(float64) tpp.State { return State() }
func (workspace) Release()                   {}
