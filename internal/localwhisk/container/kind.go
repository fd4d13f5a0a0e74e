package container

import (
	"fmt"
	"strings"
)

const goImage = "openwhisk/action-golang-v"

// loopRuntime returns the name of the action's runtime, which the action's exec.env must contain, if the runtime speaks the action loop. These
// are the runtimes of the kinds go:*, and blackboxes with one of their images. Otherwise it returns "": each invocation has its own process.
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

// Provide returns nil if actions of this kind can run here. Otherwise it returns the outcome that OpenWhisk gives to an activation whose
// container cannot be created.
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
