package recent

import (
	"testing"
	"time"
)

func TestMax(t *testing.T) {
	m := Max{Span: time.Minute}
	for _, step := range []struct{ at, v, want time.Duration }{
		{0, 0, 0},
		{time.Second, 5, 5},
		{2 * time.Second, 3, 5},
		{61 * time.Second, 4, 5},
		{119 * time.Second, 1, 5},
		{122 * time.Second, 1, 4},
		{183 * time.Second, 2, 2},
		{time.Hour, 1, 1},
	} {
		m.Add(step.at, step.v)
		if got := m.Get(); got != step.want {
			t.Errorf("at %v it is %v, want %v", step.at, got, step.want)
		}
	}
}
