package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// withoutDots returns an escaped path in which the segments . and .. are resolved, as OpenWhisk does before it looks at a path.
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") && !strings.Contains(strings.ToLower(path), "%2e") {
		return path
	}
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain != "." && plain != ".." {
			kept = append(kept, segment)
			continue
		}
		if plain == ".." {
			kept = kept[:max(len(kept)-1, 0)]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// checkQuery returns an error if an escape in the query of a request is malformed. Package net/http refuses those in paths itself.
func checkQuery(r *http.Request) *apiError {
	start := strings.IndexByte(r.RequestURI, '?')
	if start < 0 {
		return nil
	}
	target := r.RequestURI
	if i := strings.Index(target[:start], "://"); i >= 0 { // a proxy's
		target = target[i+len("://"):]
		if start = strings.IndexAny(target, "/?"); start >= 0 {
			target = target[start:]
		}
		start = strings.IndexByte(target, '?')
	}
	digits := 0 // still missing
	for i := start; i <= len(target); i++ {
		switch {
		case digits > 0 && i == len(target):
			return badRequest(fmt.Sprintf("Illegal request-target: Unexpected end of input, expected HEXDIG (line 1, column %d)", i+1))
		case digits > 0 && strings.IndexByte("0123456789abcdefABCDEF", target[i]) < 0:
			return badRequest(fmt.Sprintf("Illegal request-target: Invalid input '%c', expected HEXDIG (line 1, column %d)", target[i], i+1))
		case digits > 0:
			digits--
		case i < len(target) && target[i] == '%':
			digits = 2
		}
	}
	return nil
}
