package recommend

import (
	"fmt"
	"strings"
)

var heaps = []struct {
	runtime string
	hint    func(mib float64) string
}{
	// The runtime itself, stacks and what is mapped beside the heap need the rest.
	{"go", func(mib float64) string { return fmt.Sprintf("GOMEMLIMIT=%.0fMiB", mib*0.9) }},
	{"node", func(mib float64) string { return fmt.Sprintf("NODE_OPTIONS=--max-old-space-size=%.0f", mib*0.75) }},
	{"java", func(float64) string { return "JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75" }},
}

// Runtimes returns the names of those that HeapHint knows.
func Runtimes() []string {
	var names []string
	for _, h := range heaps {
		names = append(names, h.runtime)
	}
	return names
}

// HeapHint returns the variable of the environment that tells a runtime of a memory limit (bytes), so that it collects garbage before it is killed:
// 90 % of it for Go, 75 % for the old space of Node.js and the heap of Java.
func HeapHint(runtime string, limit float64) (string, error) {
	for _, h := range heaps {
		if h.runtime == runtime {
			return h.hint(limit / (1 << 20)), nil
		}
	}
	return "", fmt.Errorf("runtime %q: it is one of %s", runtime, strings.Join(Runtimes(), ", "))
}
