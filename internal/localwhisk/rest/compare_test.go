package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// comparison compares an answer with the recorded one.
type comparison struct {
	*replay
	e           *exchange
	answer      *http.Response
	body        []byte
	sentID      string // the request id, if one was sent
	differences []string
}

func (c *comparison) differ(format string, args ...any) {
	if len(c.differences) < 5 {
		text := fmt.Sprintf(format, args...)
		c.differences = append(c.differences, text[:min(len(text), 900)])
	}
}

func (c *comparison) compare() {
	if c.answer.StatusCode != c.e.Response.Status {
		c.differ("status %d, want %d: %.400s", c.answer.StatusCode, c.e.Response.Status, c.body)
		return
	}
	c.headers()
	want := string(c.e.Response.Body)
	switch {
	case want == "" || want == "null":
		if len(c.body) > 0 {
			c.differ("body %.300q, want none", c.body)
		}
	case c.e.Response.Headers["Content-Type"] != "application/json":
		var text string
		if err := json.Unmarshal(c.e.Response.Body, &text); err != nil || string(c.body) != text {
			c.differ("body %.300q, want %q", c.body, text)
		}
	default:
		var w, g any
		if err := json.Unmarshal(c.e.Response.Body, &w); err != nil {
			c.differ("the recording: %v", err)
		} else if text, ok := w.(string); ok {
			// The recorder kept only the beginning of answers that it could not parse.
			beginning, _, _ := strings.Cut(text, "...<")
			if got := c.translateBack(string(c.body)); !strings.HasPrefix(got, beginning) {
				c.differ("body %.300q, want it to begin with %q", got, beginning)
			}
		} else if err := json.Unmarshal(c.body, &g); err != nil {
			c.differ("body %.300q: %v", c.body, err)
		} else {
			c.value("", w, g)
		}
	}
}

func (c *comparison) translateBack(text string) string {
	for recorded, own := range c.ids {
		text = strings.ReplaceAll(text, own, recorded)
	}
	return text
}

var requestID = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)

// headers compares all headers except those that identify the recorded server or belong to the connection.
func (c *comparison) headers() {
	want, got := map[string]string{}, map[string]string{}
	for name, v := range c.e.Response.Headers {
		want[name] = v
	}
	for name := range c.answer.Header {
		got[name] = c.answer.Header.Get(name)
	}
	delete(want, "Server")
	delete(got, "Date")
	delete(got, "Content-Length")
	if w, ok := want["X-Request-Id"]; ok {
		if g := got["X-Request-Id"]; c.sentID != "" && g != c.sentID || c.sentID == "" && !requestID.MatchString(g) {
			c.differ("X-Request-Id %q, want something like %q", g, w)
		}
		want["X-Request-Id"] = got["X-Request-Id"]
	}
	if w, ok := want["X-Openwhisk-Activation-Id"]; ok {
		c.id("X-Openwhisk-Activation-Id", w, got["X-Openwhisk-Activation-Id"])
		want["X-Openwhisk-Activation-Id"] = got["X-Openwhisk-Activation-Id"]
	}
	if !maps.Equal(want, got) {
		c.differ("headers %v, want %v", got, want)
	}
}

// id compares activation ids: each recorded id must correspond to one id here.
func (c *comparison) id(path, want, got string) {
	if !hexID.MatchString(got) || len(got) != 32 {
		c.differ("%s: %q is no activation id", path, got)
		return
	}
	own, ok := c.ids[want]
	if !ok {
		for recorded, known := range c.ids {
			if known == got {
				c.differ("%s: activation %s, want another: that is %s in the recording", path, got, recorded)
				return
			}
		}
		c.ids[want] = got
		return
	}
	if own != got {
		c.differ("%s: activation %s, want %s", path, got, own)
	}
}

// value compares two values at the path.
func (c *comparison) value(path string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			c.differ("%s: %v, want an object", path, got)
			return
		}
		c.object(path, w, g)
	case []any:
		g, ok := got.([]any)
		if !ok {
			c.differ("%s: %v, want a list", path, got)
			return
		}
		if strings.HasSuffix(path, ".annotations") || strings.HasSuffix(path, ".parameters") {
			w, g = c.ordered(w), c.ordered(g)
		}
		if len(w) != len(g) {
			c.differ("%s: %d elements, want %d: %.400s", path, len(g), len(w), compactly(got))
			return
		}
		for i := range w {
			c.value(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])
		}
	case string:
		g, ok := got.(string)
		if !ok {
			c.differ("%s: %v, want %q", path, got, w)
			return
		}
		c.text(path, w, g)
	default:
		if !reflect.DeepEqual(want, got) {
			c.differ("%s: %v, want %v", path, got, want)
		}
	}
}

func compactly(v any) string {
	b, _ := marshal(v)
	return string(b)
}

func (c *comparison) object(path string, want, got map[string]any) {
	want, got = maps.Clone(want), maps.Clone(got)
	if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(w, g) {
		c.differ("%s: fields %v, want %v", path, g, w)
		return
	}
	if _, isRecord := want["activationId"]; isRecord && want["annotations"] != nil {
		c.record(path, want, got)
	}
	if size, ok := want["size"]; ok && want["status"] != nil {
		// Values in the result that differ from run to run may have another length here.
		if difference := len(compactly(got["result"])) - len(compactly(lengthened(want["result"]))); got["size"] != size.(float64)+float64(difference) {
			c.differ("%s: size %v, want %v%+d", path, got["size"], size, difference)
		}
		want["size"] = got["size"]
	}
	if want["key"] == "waitTime" && got["key"] == "waitTime" || want["key"] == "initTime" && got["key"] == "initTime" {
		if v, ok := got["value"].(float64); !ok || v < 0 || v == 0 && want["key"] == "initTime" {
			c.differ("%s: %s %v", path, want["key"], got["value"])
		}
		want["value"] = got["value"]
	}
	if path == "" && len(want) == 2 && want["code"] != nil && want["error"] != nil {
		if got["code"] != c.answer.Header.Get("X-Request-Id") {
			c.differ("code %v, want the request id %s", got["code"], c.answer.Header.Get("X-Request-Id"))
		}
		delete(want, "code")
	}
	if updated, ok := want["updated"].(float64); ok {
		// The update time of one version of an entity does not change.
		key := fmt.Sprintf("%v %.0f", want["name"], updated)
		if known, ok := c.updated[key]; ok && known != got["updated"] {
			c.differ("%s: updated %v, want %v as before", path, got["updated"], known)
		}
		c.updated[key] = got["updated"]
		if g, ok := got["updated"].(float64); !ok || g < 1e12 {
			c.differ("%s: updated %v", path, got["updated"])
		}
		delete(want, "updated")
	}
	if logs, ok := want["logs"].([]any); ok && path == "" && len(want) == 1 {
		c.logs(".logs", logs, got["logs"])
		delete(want, "logs")
	}
	if runtimes, ok := got["go"].([]any); ok && path == ".runtimes" {
		got["go"] = runtimes[:1] // there are newer ones here
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if k == "n" && c.e.loose("n") {
			continue
		}
		c.value(path+"."+k, want[k], got[k])
	}
}

func lengthened(v any) any {
	switch v := v.(type) {
	case string:
		return lengthen(v)
	case map[string]any:
		m := map[string]any{}
		for k := range v {
			m[k] = lengthened(v[k])
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i := range v {
			l[i] = lengthened(v[i])
		}
		return l
	}
	return v
}

// ordered sorts parameters and annotations where OpenWhisk does not keep their order: its map keeps the order of up to four elements. In the one
// transcript where there were more and then fewer again, the order is not kept either.
func (c *comparison) ordered(list []any) []any {
	if len(list) < 5 && c.e.transcript != "raw-update-semantics" {
		return list
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(keyOf(a), keyOf(b)) })
	return list
}

func keyOf(v any) string {
	m, _ := v.(map[string]any)
	key, _ := m["key"].(string)
	return key
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

// record compares the times and the logs of an activation, and removes them.
func (c *comparison) record(path string, want, got map[string]any) {
	number := func(m map[string]any, key string) int64 {
		v, _ := m[key].(float64)
		return int64(v)
	}
	annotation := func(key string) any {
		for _, a := range listOf(got["annotations"]) {
			if m, ok := a.(map[string]any); ok && m["key"] == key {
				return m["value"]
			}
		}
		return nil
	}
	start, end, duration := number(got, "start"), number(got, "end"), number(got, "duration")
	if _, ended := want["end"]; ended {
		init, _ := annotation("initTime").(float64)
		_, isSummary := want["statusCode"]
		parts := int64(len(listOf(got["logs"])))
		sum := annotation("kind") == "sequence" && !isSummary // the sum of the components' durations, each of which is rounded
		if start < 1e12 || end < start || duration < int64(init) || !sum && duration != end-start || sum && duration > end-start+parts {
			c.differ("%s: start %d, end %d, duration %d, initTime %v", path, start, end, duration, init)
		}
	}
	if known, ok := c.starts[number(want, "start")]; !ok || known < start {
		c.starts[number(want, "start")] = start
	}
	delete(want, "start")
	delete(want, "end")
	delete(want, "duration")
	if logs, ok := want["logs"].([]any); ok {
		c.logs(path+".logs", logs, got["logs"])
		delete(want, "logs")
	}
}

var (
	logLine       = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z *) (stdout|stderr): (.*)$`)
	recordedPlain = regexp.MustCompile(`^(.{30}) (.*)$`)
	capStarting   = regexp.MustCompile(`^cap starting .*`)
)

// isCut reports whether logs were truncated.
func isCut(stderr []string) bool {
	return slices.ContainsFunc(stderr, func(line string) bool { return strings.HasPrefix(line, "Logs were truncated") })
}

func (c *comparison) logs(path string, want []any, got any) {
	list, ok := got.([]any)
	if !ok {
		c.differ("%s: %v, want a list", path, got)
		return
	}
	first := ""
	if len(want) > 0 {
		first, _ = want[0].(string)
	}
	switch {
	case c.e.loose("logs"):
		return
	case strings.HasPrefix(first, "{"): // of a trigger: one rule a line
		parse := func(list []any) []any {
			parsed := make([]any, len(list))
			for i, line := range list {
				text, _ := line.(string)
				if err := json.Unmarshal([]byte(text), &parsed[i]); err != nil {
					c.differ("%s: %q: %v", path, text, err)
				}
			}
			return parsed
		}
		c.value(path, parse(want), parse(list))
		return
	case hexID.MatchString(first) && len(first) == 32: // of a sequence: its parts
		c.value(path, want, list)
		return
	}
	lines := map[string][]string{}
	for _, line := range list {
		text, _ := line.(string)
		m := logLine.FindStringSubmatch(text)
		if m == nil || len(m[1]) != 30 {
			c.differ("%s: %q is not of the form of a log line", path, text)
			return
		}
		lines[m[2]] = append(lines[m[2]], m[3])
	}
	wanted := map[string][]string{}
	for _, line := range want {
		text := lengthen(line.(string))
		if c.session.stdoutOnly {
			wanted["stdout"] = append(wanted["stdout"], recordedPlain.FindStringSubmatch(text)[2])
		} else if m := logLine.FindStringSubmatch(text); m != nil {
			wanted[m[2]] = append(wanted[m[2]], m[3])
		}
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if c.session.stdoutOnly && stream == "stderr" || c.e.loose(stream) {
			continue
		}
		w, g := wanted[stream], lines[stream]
		for _, l := range [][]string{w, g} {
			for i := range l {
				l[i] = capStarting.ReplaceAllString(l[i], "cap starting")
			}
		}
		if n := min(len(w), len(g)); stream == "stdout" && isCut(lines["stderr"]) && isCut(wanted["stderr"]) && max(len(w), len(g))-n <= 1 {
			// Where logs are truncated depends on the number of digits of their times.
			w, g = w[:n], g[:n]
		}
		if !slices.Equal(w, g) {
			c.differ("%s: %d lines of %s %.200q, want %d %.200q", path, len(g), stream, g, len(w), w)
		}
	}
}

var (
	validKinds = regexp.MustCompile(`'[a-z]+(:[0-9.]+)?'`)
	digits     = regexp.MustCompile(`^\d{13}$`)
)

func (c *comparison) text(path, want, got string) {
	key := path[strings.LastIndexByte(path, '.')+1:]
	switch {
	case key == "__OW_DEADLINE" || key == "deadline":
		if !digits.MatchString(got) {
			c.differ("%s: %q is no time", path, got)
		}
		return
	case key == "__OW_TRANSACTION_ID" || key == "transaction_id":
		if !requestID.MatchString(got) {
			c.differ("%s: %q is no request id", path, got)
		}
		return
	case key == "__OW_API_HOST":
		want = c.server.URL()
	case key == "host":
		want = c.host()
	case hexID.MatchString(want) && len(want) == 32 && c.ids[want] != "" || key == "activationId" || key == "cause" || key == "activation_id" || key == "__OW_ACTIVATION_ID" || strings.Contains(path, ".logs["):
		if hexID.MatchString(want) && want != strings.Repeat("0", 32) {
			c.id(path, want, got)
			return
		}
	case strings.Contains(want, kindsFollow):
		want, got = sortedKinds(want), sortedKinds(got) // the order is arbitrary, and there are newer kinds here
	case c.e.loose("words"):
		want, _, _ = strings.Cut(want, "\n")
		got, _, _ = strings.Cut(got, "\n")
	}
	if want = lengthen(want); want != got {
		c.differ("%s: %.300q, want %.300q", path, got, want)
	}
}
