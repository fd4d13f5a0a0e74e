package rest

import (
	"encoding/json"
	"slices"
	"strings"
)

// family has the kinds of one language. Only kinds of Go, blackboxes and sequences can run here; actions of the others can be deployed, and fail
// when they are invoked.
type family struct {
	name        string
	kinds       []string
	byDefault   string
	requireMain bool
}

var families = []family{
	{"go", []string{"go:1.20", "go:1.22", "go:1.23", "go:1.24"}, "go:1.20", false},
	{"nodejs", []string{"nodejs:18", "nodejs:20"}, "nodejs:20", false},
	{"python", []string{"python:3.10", "python:3.11"}, "python:3.10", false},
	{"java", []string{"java:8"}, "java:8", true},
	{"php", []string{"php:8.1"}, "php:8.1", false},
	{"ruby", []string{"ruby:2.5"}, "ruby:2.5", false},
	{"rust", []string{"rust:1.34"}, "rust:1.34", false},
	{"swift", []string{"swift:5.3", "swift:5.7"}, "swift:5.3", false},
	{"dotnet", []string{"dotnet:3.1", "dotnet:6.0"}, "dotnet:3.1", true},
}

// kindOf returns the kind for a client's kind, which may be NAME:default, and whether its actions need a main. It returns false for an unknown kind.
func kindOf(kind string) (canonical string, requireMain, ok bool) {
	for _, f := range families {
		if kind == f.name+":default" {
			return f.byDefault, f.requireMain, true
		}
		if slices.Contains(f.kinds, kind) {
			return kind, f.requireMain, true
		}
	}
	return "", false, false
}

// kinds returns a list of all kinds for an error message.
func kinds() string {
	var all []string
	for _, f := range families {
		for _, k := range f.kinds {
			all = append(all, "'"+k+"'")
		}
	}
	return strings.Join(append(all, "'blackbox'", "'sequence'"), ", ")
}

// infoDocument returns the answer to GET /, which has the kinds and the limits.
func infoDocument(l Limits) []byte {
	type runtime struct {
		Attached    bool   `json:"attached"`
		Default     bool   `json:"default"`
		Deprecated  bool   `json:"deprecated"`
		Image       string `json:"image"`
		Kind        string `json:"kind"`
		RequireMain bool   `json:"requireMain"`
	}
	runtimes := map[string][]runtime{}
	for _, f := range families {
		for _, kind := range f.kinds {
			image := "openwhisk/action-" + strings.Replace(strings.Replace(kind, "go:", "golang:", 1), ":", "-v", 1) + ":nightly"
			if kind == "java:8" {
				image = "openwhisk/java8action:nightly"
			}
			runtimes[f.name] = append(runtimes[f.name], runtime{true, kind == f.byDefault, false, image, kind, f.requireMain})
		}
	}
	const mb = 1 << 20
	b, _ := json.Marshal(map[string]any{
		"api_paths": []string{apiPath}, "description": "OpenWhisk", "runtimes": runtimes,
		"support": map[string]string{"github": "https://github.com/apache/openwhisk/issues", "slack": "http://slack.openwhisk.org"},
		"limits": map[string]int64{
			"actions_per_minute": int64(unlimited(l.InvocationsPerMinute)), "triggers_per_minute": int64(unlimited(l.FiresPerMinute)),
			"concurrent_actions": int64(unlimited(l.ConcurrentInvocations)), "sequence_length": int64(l.SequenceLength),
			"min_action_duration": l.MinTimeout.Milliseconds(), "max_action_duration": l.MaxTimeout.Milliseconds(),
			"default_min_action_duration": l.MinTimeout.Milliseconds(), "default_max_action_duration": l.MaxTimeout.Milliseconds(),
			"min_action_memory": int64(l.MinMemoryMB) * mb, "max_action_memory": int64(l.MaxMemoryMB) * mb,
			"default_min_action_memory": int64(l.MinMemoryMB) * mb, "default_max_action_memory": int64(l.MaxMemoryMB) * mb,
			"min_action_logs": 0, "max_action_logs": maxLogs * mb, "default_min_action_logs": 0, "default_max_action_logs": maxLogs * mb,
		},
	})
	return b
}

// maxLogs is the maximum log limit of an action in MB.
const maxLogs = 10
