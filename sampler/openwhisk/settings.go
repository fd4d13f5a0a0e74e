package openwhisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Setting is a value with its source.
type Setting struct {
	Value string
	From  string // like "-apihost", "OW_APIHOST", or "config.yaml:3"
}

// wrong adds to an error about the value where it comes from.
func (s Setting) wrong(err error) error { return fmt.Errorf("%s: %w", s.From, err) }

// address returns the value, an address, as messages show it: without user and password.
func (s Setting) address() string {
	u, err := whisk.ParseAddress(s.Value)
	if err != nil {
		return "an address that is none"
	}
	return whisk.DisplayAddress(u)
}

// Settings says where OpenWhisk, the collector and Zipkin are.
type Settings struct {
	// APIHost is the address of OpenWhisk's API, without path; without scheme it is https. Auth is the key, user:password.
	APIHost, Auth Setting
	// ActionAPIHost is the address under which the functions reach the API. If it is "", they take that of APIHost, or where that is this
	// machine, which in a container is the container, the one that OpenWhisk tells them.
	ActionAPIHost Setting
	// Collector is where the functions send their spans, OTLP over HTTP, as they see it; Zipkin where the traces are found.
	Collector, Zipkin Setting
	// SamplerCollector is the address under which the sampler reaches the collector, to which it announces its requests; "" stands for
	// Collector.
	SamplerCollector Setting
	// Insecure is a boolean; if it is true certificates are not checked.
	Insecure Setting
}

// setting describes one of the settings: its names in each source.
type setting struct {
	flag     string   // also the key in the configuration, with _ for -
	env      []string // variables of the environment; the first that is set counts
	wskprops string   // key in .wskprops
	usage    string
	of       func(*Settings) *Setting
}

var settings = []setting{
	{"apihost", []string{"OW_APIHOST", "__OW_API_HOST"}, "APIHOST", "`address` of OpenWhisk's API (without scheme: https)",
		func(s *Settings) *Setting { return &s.APIHost }},
	{"auth", []string{"OW_AUTH", "__OW_API_KEY"}, "AUTH", "`key`, user:password (others see the command line: better in OW_AUTH or a file)",
		func(s *Settings) *Setting { return &s.Auth }},
	{"insecure", []string{"OW_IGNORE_CERTS", "__OW_IGNORE_CERTS"}, "IGNORE_CERTS", "do not check certificates; nor do the functions",
		func(s *Settings) *Setting { return &s.Insecure }},
	{"zipkin", []string{"TPPFAAS_ZIPKIN"}, "TPPFAAS_ZIPKIN", "`address` of the Zipkin server that the collector ships to",
		func(s *Settings) *Setting { return &s.Zipkin }},
	{"collector", []string{"TPPFAAS_COLLECTOR"}, "TPPFAAS_COLLECTOR", "`address` of the collector, OTLP over HTTP, as the functions see it",
		func(s *Settings) *Setting { return &s.Collector }},
	{"sampler-collector", []string{"TPPFAAS_SAMPLER_COLLECTOR"}, "TPPFAAS_SAMPLER_COLLECTOR", "`address` of the collector as the sampler sees it, for -announce (without: that of -collector)",
		func(s *Settings) *Setting { return &s.SamplerCollector }},
	{"action-apihost", []string{"TPPFAAS_ACTION_APIHOST"}, "TPPFAAS_ACTION_APIHOST", "`address` of OpenWhisk's API as the functions see it (without: that of -apihost, or the one that OpenWhisk tells them)",
		func(s *Settings) *Setting { return &s.ActionAPIHost }},
}

// Flags returns the names of the settings as command line options, with their usage.
func Flags() map[string]string {
	usage := map[string]string{}
	for _, s := range settings {
		usage[s.flag] = s.usage
	}
	return usage
}

// Defaults: all on this machine. The key is then that of the local platform, see [whisk.LocalKey].
const (
	defaultAPIHost   = "http://127.0.0.1:3233"
	defaultZipkin    = "http://127.0.0.1:9411"
	defaultCollector = "http://127.0.0.1:4318"
)

// Sources are where settings are looked for, in this order of precedence; .wskprops comes last.
type Sources struct {
	// Flags has the options that were given, by name.
	Flags map[string]string
	// Getenv looks up a variable of the environment.
	Getenv func(string) string
	// Config is the name of the configuration file. It must exist if ConfigGiven is set.
	Config      string
	ConfigGiven bool
}

// Find looks for the settings in options, the environment, the configuration file, and .wskprops (that of WSK_CONFIG_FILE, or the one in the
// home folder). Without an address in any of them, OpenWhisk is on this machine; without a key an OpenWhisk on this machine is asked with that
// of the local platform. A .wskprops in the home folder that cannot be read is an error only if the address or the key is not given elsewhere.
func Find(s Sources) (Settings, error) {
	config, err := readSettings(s.Config, s.ConfigGiven, parseConfig)
	if err != nil {
		return Settings{}, err
	}
	props := s.Getenv("WSK_CONFIG_FILE")
	given := props != ""
	if home := s.Getenv("HOME"); !given && home != "" {
		props = filepath.Join(home, ".wskprops")
	}
	wskprops, unreadable := readSettings(props, given, parseWskprops)
	if unreadable != nil && given {
		return Settings{}, unreadable
	}
	var found Settings
	for _, one := range settings {
		to := one.of(&found)
		if value, ok := s.Flags[one.flag]; ok {
			*to = Setting{value, "-" + one.flag}
			continue
		}
		for _, name := range one.env {
			if value := s.Getenv(name); value != "" && to.Value == "" {
				*to = Setting{value, name}
			}
		}
		for _, from := range []map[string]Setting{config, wskprops} {
			if value, ok := from[one.flag]; ok && to.Value == "" {
				*to = value
			}
		}
	}
	if unreadable != nil && (found.APIHost.Value == "" || found.Auth.Value == "") {
		return Settings{}, unreadable // the file that cannot be read may have them
	}
	return found.complete()
}

// readSettings reads a file of settings. One that does not exist is an error only if it is needed.
func readSettings(file string, needed bool, parse func(file string, text []byte) (map[string]Setting, error)) (map[string]Setting, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	// A file whose folder is itself a file (the sampler's binary, say) is not there either.
	if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) && !needed {
		return nil, nil
	}
	if err != nil {
		var onPath *fs.PathError
		if errors.As(err, &onPath) {
			err = onPath.Err
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return parse(file, text)
}

// here is the source of defaults.
const here = "the defaults for this machine"

// complete sets defaults and checks the values. The key of the local platform is a default only for an address of this machine: it is not
// sent to other servers.
func (s Settings) complete() (Settings, error) {
	if s.APIHost.Value == "" {
		s.APIHost = Setting{defaultAPIHost, here}
	}
	if s.Insecure.Value != "" {
		if _, err := strconv.ParseBool(s.Insecure.Value); err != nil {
			return s, s.Insecure.wrong(fmt.Errorf("%q is neither true nor false", s.Insecure.Value))
		}
	}
	if s.Auth.Value != "" {
		if err := whisk.CheckKey(s.Auth.Value); err != nil {
			return s, s.Auth.wrong(err)
		}
	}
	if s.Zipkin.Value == "" {
		s.Zipkin = Setting{defaultZipkin, here}
	}
	if s.Collector.Value == "" {
		s.Collector = Setting{defaultCollector, here}
	}
	if s.SamplerCollector.Value == "" {
		s.SamplerCollector = s.Collector
	}
	if u, err := whisk.ParseAddress(s.APIHost.Value); s.ActionAPIHost.Value == "" && (err != nil || !whisk.IsLoopback(u)) {
		s.ActionAPIHost = s.APIHost
	}
	for _, one := range []*Setting{&s.APIHost, &s.ActionAPIHost, &s.Zipkin, &s.Collector, &s.SamplerCollector} {
		if one == &s.ActionAPIHost && one.Value == "" {
			continue
		}
		u, err := whisk.ParseAddress(one.Value)
		if err != nil {
			return s, one.wrong(err)
		}
		if u.User != nil && (one == &s.APIHost || one == &s.ActionAPIHost) {
			return s, one.wrong(errors.New("the key does not belong into the address"))
		}
		one.Value = u.String()
	}
	if s.Auth.Value == "" {
		auth, err := localKey(s.APIHost.Value)
		if err != nil {
			return s, err
		}
		s.Auth = auth
	}
	return s, nil
}

// localKey returns the key of the local platform, if the address is one of this machine.
func localKey(apihost string) (Setting, error) {
	const missing = "the key is missing: give it with -auth, OW_AUTH, auth in the configuration, or AUTH in .wskprops"
	u, err := whisk.ParseAddress(apihost)
	if err != nil || !whisk.IsLoopback(u) {
		return Setting{}, errors.New(missing)
	}
	key, file, err := whisk.ReadLocalKey()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Setting{}, fmt.Errorf("%s; sampler platform draws one and keeps it in %s", missing, file)
	case err != nil:
		return Setting{}, fmt.Errorf("%s; %w", missing, err)
	}
	return Setting{key, file}, nil
}

func (s Settings) insecure() bool {
	insecure, _ := strconv.ParseBool(s.Insecure.Value)
	return insecure
}

// parseConfig reads the configuration file, a YAML mapping from names of settings to values. Anything else in it is an error, with its
// line.
func parseConfig(file string, text []byte) (map[string]Setting, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %s", file, whisk.OneLine(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	found := map[string]Setting{}
	if len(document.Content) == 0 {
		return found, nil
	}
	top := document.Content[0]
	wrong := func(n *yaml.Node, format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s", file, n.Line, fmt.Sprintf(format, args...))
	}
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return found, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, wrong(top, "this must be lines of the form key: value")
	}
	var known []string
	for _, s := range settings {
		known = append(known, s.key())
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		name := ""
		for _, s := range settings {
			if key.Value == s.key() {
				name = s.flag
			}
		}
		if key.Kind != yaml.ScalarNode || name == "" {
			return nil, wrong(key, "unknown key %q (known: %s)", whisk.OneLine(key.Value), strings.Join(known, ", "))
		}
		if _, twice := found[name]; twice {
			return nil, wrong(key, "key %s comes twice", key.Value)
		}
		// The value is not repeated: it may be the key.
		if value.Kind != yaml.ScalarNode {
			return nil, wrong(value, "%s must be a text", key.Value)
		}
		if value.Tag == "!!null" || value.Value == "" {
			continue
		}
		found[name] = Setting{value.Value, fmt.Sprintf("%s:%d", file, value.Line)}
	}
	return found, nil
}

// key returns the name in the configuration file.
func (s setting) key() string { return strings.ReplaceAll(s.flag, "-", "_") }

// parseWskprops reads the properties of wsk, KEY=VALUE. What follows a #, other keys, and lines that are no property are ignored, as wsk
// does.
func parseWskprops(file string, text []byte) (map[string]Setting, error) {
	found := map[string]Setting{}
	for n, one := range strings.Split(string(text), "\n") {
		one, _, _ = strings.Cut(one, "#")
		key, value, ok := strings.Cut(one, "=")
		if !ok {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		for _, s := range settings {
			if key == s.wskprops && value != "" {
				found[s.flag] = Setting{value, fmt.Sprintf("%s:%d", file, n+1)}
			}
		}
	}
	return found, nil
}
