package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/testbin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(programs{m}) }

// programs removes the programs that were built for tests.
type programs struct{ *testing.M }

func (p programs) Run() int { return testbin.Main(p.M) }
