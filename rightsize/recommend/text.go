package recommend

import (
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
)

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func memoryText(bytes float64) string { return rightsize.FormatMemory(bytes) }

func cpuText(cores float64) string { return rightsize.FormatCPU(cores) }

// length writes a time of some ms: 3d 4h, 5h 20m, 45m, 12s.
func length(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case days > 0 && hours > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	}
	if minutes == 0 {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return fmt.Sprintf("%dm", minutes)
}
