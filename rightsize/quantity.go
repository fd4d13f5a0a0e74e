package rightsize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var units = map[string]float64{
	"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
}

// ParseQuantity returns the value of a quantity as Kubernetes writes it: 40Mi, 100m, 0.5, 1e9. An error names it. Negative quantities are none.
func ParseQuantity(s string) (float64, error) {
	end := len(s)
	for end > 0 && strings.ContainsRune("numkKMGTPEi", rune(s[end-1])) {
		end--
	}
	unit, known := units[s[end:]]
	value, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || !known || value < 0 || math.IsInf(value*unit, 0) || math.IsNaN(value) || strings.ContainsAny(s, "xXpP_") {
		return 0, fmt.Errorf("quantity %q: want a number with a unit like 40Mi, 1.5Gi, 100m, 0.5", s)
	}
	return value * unit, nil
}

// FormatMemory returns bytes as people write them in limits: the value rounded up to a whole Mi, in Gi where it is a whole number of them.
func FormatMemory(bytes float64) string {
	mi := max(math.Ceil(bytes/(1<<20)-1e-9), 0) // not -0
	if mi >= 1024 && math.Mod(mi, 1024) == 0 {
		return strconv.FormatFloat(mi/1024, 'f', -1, 64) + "Gi"
	}
	return strconv.FormatFloat(mi, 'f', -1, 64) + "Mi"
}

// FormatCPU returns cores as people write them in limits: the value rounded up to a whole thousandth, in cores where it is a whole number of them.
func FormatCPU(cores float64) string {
	m := max(math.Ceil(cores*1000-1e-9), 0) // not -0
	if m > 0 && math.Mod(m, 1000) == 0 {
		return strconv.FormatFloat(m/1000, 'f', -1, 64)
	}
	return strconv.FormatFloat(m, 'f', -1, 64) + "m"
}
