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
	if image := imageName(s); strings.HasPrefix(image, goImage) {
		return image
	}
	return ""
}

// imageName returns the name of a blackbox's image without registry and tag.
func imageName(s *Spec) string {
	image := strings.TrimPrefix(s.Image, "docker.io/")
	if i := strings.LastIndexAny(image, ":@"); i >= 0 {
		image = image[:i]
	}
	return image
}

// isSkeleton reports whether an action runs in OpenWhisk's docker skeleton.
func isSkeleton(s *Spec) bool {
	return s.Kind == "blackbox" && imageName(s) == "openwhisk/dockerskeleton"
}

// isStub reports whether an action is the docker skeleton without code, which answers with an error.
func isStub(s *Spec) bool { return isSkeleton(s) && len(s.Code) == 0 }

// stubAnswer is what the docker skeleton without code answers.
const stubAnswer = `{"error":"This is a stub action. Replace it with custom logic."}` + "\n"

// Provide returns nil if actions of this kind can run here. Otherwise it returns the outcome that OpenWhisk gives to an activation whose
// container cannot be created.
func Provide(s *Spec) *Outcome {
	var o Outcome
	switch {
	case !strings.HasPrefix(s.Kind, "go:") && s.Kind != "blackbox":
		o = internal("Failed to provision resources to run the action.")
	case s.Kind == "blackbox" && len(s.Code) == 0 && !isStub(s):
		o = lost(fmt.Sprintf("Failed to pull container image '%s'.", s.Image))
	default:
		return nil
	}
	return &o
}
