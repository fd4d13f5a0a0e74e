package container

import (
	"fmt"
	"strings"
)

const goImage = "openwhisk/action-golang-v"

// loopRuntime returns the name that the runtime of an action has for itself, which the action's exec.env must have, where the runtime
// speaks the action loop: that of the kinds go:*, and their image where it was named as one of a blackbox. It is "" where each
// invocation has a process of its own.
func loopRuntime(s *Spec) string {
	if version, ok := strings.CutPrefix(s.Kind, "go:"); ok {
		return goImage + version
	}
	image := strings.TrimPrefix(s.Image, "docker.io/")
	if i := strings.LastIndexAny(image, ":@"); i >= 0 {
		image = image[:i]
	}
	if strings.HasPrefix(image, goImage) {
		return image
	}
	return ""
}

// Provide says whether there is something to run an action of this kind with, as OpenWhisk finds when it starts the container; nil if
// there is.
func Provide(s *Spec) *Outcome {
	var o Outcome
	switch {
	case !strings.HasPrefix(s.Kind, "go:") && s.Kind != "blackbox":
		o = internal("Failed to provision resources to run the action.")
	case s.Kind == "blackbox" && len(s.Code) == 0:
		o = lost(fmt.Sprintf("Failed to pull container image '%s'.", s.Image))
	default:
		return nil
	}
	return &o
}
