package openwhisk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// TestPrecedence checks that options come before the environment, that before the configuration, and that before .wskprops.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, ".config"))
	local, localFile, err := whisk.LocalKey()
	require.NoError(t, err)
	config, props := filepath.Join(dir, "config.yaml"), filepath.Join(dir, ".wskprops")
	require.NoError(t, os.WriteFile(config, []byte("apihost: config.example\nauth: c:onfig\nzipkin: http://config:1\ninsecure: true\n"), 0o600))
	require.NoError(t, os.WriteFile(props, []byte("# of wsk\nAPIHOST=props.example\n AUTH = p:rops=\nNAMESPACE=_\nnonsense\nIGNORE_CERTS=false\n"), 0o600))
	env := func(more ...string) map[string]string {
		m := map[string]string{"HOME": dir}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	for _, c := range []struct {
		name          string
		flags         map[string]string
		env           map[string]string
		config        string
		apihost, auth Setting
	}{
		{"options", map[string]string{"apihost": "flag.example", "auth": "f:lag"}, env("OW_APIHOST", "env.example", "OW_AUTH", "e:nv"), config,
			Setting{"https://flag.example", "-apihost"}, Setting{"f:lag", "-auth"}},
		{"environment", nil, env("OW_APIHOST", "env.example:444", "OW_AUTH", "e:nv", "__OW_API_HOST", "http://within"), config,
			Setting{"https://env.example:444", "OW_APIHOST"}, Setting{"e:nv", "OW_AUTH"}},
		{"environment within an action", nil, env("__OW_API_HOST", "http://within/", "__OW_API_KEY", "w:ithin"), config,
			Setting{"http://within", "__OW_API_HOST"}, Setting{"w:ithin", "__OW_API_KEY"}},
		{"configuration", nil, env(), config, Setting{"https://config.example", config + ":1"}, Setting{"c:onfig", config + ":2"}},
		{"properties", nil, env(), "", Setting{"https://props.example", props + ":2"}, Setting{"p:rops=", props + ":3"}},
		{"properties elsewhere", nil, map[string]string{"WSK_CONFIG_FILE": props}, "", Setting{"https://props.example", props + ":2"}, Setting{"p:rops=", props + ":3"}},
		{"each on its own", map[string]string{"auth": "f:lag"}, env(), config, Setting{"https://config.example", config + ":1"}, Setting{"f:lag", "-auth"}},
		{"none", nil, map[string]string{}, "", Setting{"http://127.0.0.1:3233", here}, Setting{local, localFile}},
		{"an address of this machine", nil, map[string]string{"OW_APIHOST": "http://localhost:4000"}, "",
			Setting{"http://localhost:4000", "OW_APIHOST"}, Setting{local, localFile}},
		{"a key and no address", nil, map[string]string{"OW_AUTH": "e:nv"}, "", Setting{"http://127.0.0.1:3233", here}, Setting{"e:nv", "OW_AUTH"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Find(Sources{Flags: c.flags, Getenv: func(name string) string { return c.env[name] }, Config: c.config, ConfigGiven: c.config != ""})
			require.NoError(t, err)
			require.Equal(t, c.apihost, s.APIHost)
			require.Equal(t, c.auth, s.Auth)
			if strings.HasPrefix(c.apihost.Value, "http://127.0.0.1:") || strings.HasPrefix(c.apihost.Value, "http://localhost:") {
				require.Empty(t, s.ActionAPIHost, "on this machine functions take the address that OpenWhisk tells them")
			} else {
				require.Equal(t, c.apihost, s.ActionAPIHost, "without one of its own")
			}
			require.Equal(t, c.config != "", s.insecure())
		})
	}
}

// TestLocalKeyStaysHere checks that the key of the local platform is sent to no other machine, and that the error says what draws it.
func TestLocalKeyStaysHere(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	find := func(apihost string) error {
		_, err := Find(Sources{Flags: map[string]string{"apihost": apihost}, Getenv: func(string) string { return "" }})
		return err
	}
	err := find("http://127.0.0.1:3233")
	require.ErrorContains(t, err, "the key is missing: give it with -auth")
	require.ErrorContains(t, err, "sampler platform draws one and keeps it in ")
	_, file, err := whisk.LocalKey()
	require.NoError(t, err)
	require.NoError(t, find("http://127.0.0.1:3233"))
	for _, apihost := range []string{"openwhisk.example.com", "http://10.0.0.1:3233", "http://127.0.0.1.example.com"} {
		require.EqualError(t, find(apihost), "the key is missing: give it with -auth, OW_AUTH, auth in the configuration, or AUTH in .wskprops")
	}
	require.NoError(t, os.Chmod(file, 0o644))
	require.ErrorContains(t, find("http://127.0.0.1:3233"), file+": others may read this key")
}

// TestUnreadableHome checks that properties of wsk that cannot be read are an error only where the key or the address may stand in them.
func TestUnreadableHome(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.Symlink(".wskprops", filepath.Join(home, ".wskprops"))) // a loop: not even root can read it
	getenv := func(name string) string { return map[string]string{"HOME": home}[name] }
	s, err := Find(Sources{Flags: map[string]string{"auth": "f:lag", "apihost": "http://127.0.0.1:3233"}, Getenv: getenv})
	require.NoError(t, err)
	require.Equal(t, "f:lag", s.Auth.Value)
	_, err = Find(Sources{Getenv: getenv})
	require.ErrorContains(t, err, filepath.Join(home, ".wskprops")+": too many levels of symbolic links")
	props := filepath.Join(home, ".wskprops")
	_, err = Find(Sources{Flags: map[string]string{"auth": "f:lag"}, Getenv: func(name string) string { return map[string]string{"WSK_CONFIG_FILE": props}[name] }})
	require.ErrorContains(t, err, props) // it was asked for
}

// TestFileWhereAFolderIsExpected checks that a configuration below a path that is a file, such as the sampler's binary, counts as
// absent unless it was asked for.
func TestFileWhereAFolderIsExpected(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "sampler")
	require.NoError(t, os.WriteFile(binary, nil, 0o700))
	sources := Sources{Flags: map[string]string{"auth": "f:lag"}, Getenv: func(string) string { return "" }, Config: filepath.Join(binary, "config.yaml")}
	_, err := Find(sources)
	require.NoError(t, err)
	sources.ConfigGiven = true
	_, err = Find(sources)
	require.ErrorContains(t, err, sources.Config)
}

// TestWskpropsComments checks that comments behind values are ignored, as wsk does.
func TestWskpropsComments(t *testing.T) {
	props := filepath.Join(t.TempDir(), "wskprops")
	require.NoError(t, os.WriteFile(props, []byte("# all of it\nAPIHOST=http://127.0.0.1:3233 # this machine\nAUTH=user:password # mine\n #INSECURE=x\nIGNORE_CERTS=#\n"), 0o600))
	s, err := Find(Sources{Getenv: func(name string) string { return map[string]string{"WSK_CONFIG_FILE": props}[name] }})
	require.NoError(t, err)
	require.Equal(t, Setting{"http://127.0.0.1:3233", props + ":2"}, s.APIHost)
	require.Equal(t, Setting{"user:password", props + ":3"}, s.Auth)
	require.False(t, s.insecure())
}

// TestHomeThatCannotBeEntered checks that a home folder that cannot be entered does no harm when it is not needed.
func TestHomeThatCannotBeEntered(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Symlink(home, home)) // a circle: nobody, not even root, can enter it
	env := map[string]string{"HOME": home, "OW_APIHOST": "http://127.0.0.1:3233", "OW_AUTH": "user:password"}
	find := func() error {
		_, err := Find(Sources{Getenv: func(name string) string { return env[name] }})
		return err
	}
	require.NoError(t, find())
	for _, needed := range []string{"OW_APIHOST", "OW_AUTH"} {
		value := env[needed]
		delete(env, needed)
		require.ErrorContains(t, find(), filepath.Join(home, ".wskprops")+": ")
		env[needed] = value
	}
	env["WSK_CONFIG_FILE"] = filepath.Join(home, "other")
	require.ErrorContains(t, find(), env["WSK_CONFIG_FILE"]+": ", "a file that was asked for is needed")
}

// TestWrongSettings checks that errors name the place of a wrong value, and never contain a key.
func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, c := range []struct {
		config, props string
		env, flags    map[string]string
		want          string
	}{
		{config: "zipkin: http://x\n\napi_host: y\n", want: `CONFIG:3: unknown key "api_host" (known: apihost, auth, insecure, zipkin, collector, sampler_collector, action_apihost)`},
		{config: "zipkin: http://x\nzipkin: http://y\n", want: "CONFIG:2: key zipkin comes twice"},
		{config: "- apihost\n", want: "CONFIG:1: this must be lines of the form key: value"},
		{config: "auth: [secret]\n", want: "CONFIG:1: auth must be a text"},
		{config: "apihost: x: y\n", want: "CONFIG: mapping values are not allowed in this context"},
		{config: "auth: secret\n", want: "CONFIG:1: the key must be of the form user:password"},
		{config: "apihost: http://\nauth: secret:secret\n", want: "CONFIG:1: this address has no host"},
		{props: "APIHOST=https://x?y\nAUTH=secret:secret\n", want: "PROPS:1: an address ends with its host or path"},
		{props: "APIHOST=x\nAUTH=secret\n", want: "PROPS:2: the key must be of the form user:password"},
		{props: "APIHOST=x\n", want: "the key is missing: give it with -auth, OW_AUTH, auth in the configuration, or AUTH in .wskprops"},
		{props: "APIHOST=https://user:secret@x\nAUTH=secret:secret\n", want: "PROPS:1: the key does not belong into the address"},
		{env: map[string]string{"OW_IGNORE_CERTS": "perhaps"}, want: `OW_IGNORE_CERTS: "perhaps" is neither true nor false`},
		{flags: map[string]string{"collector": "grpc://x:4317"}, want: "-collector: the scheme grpc is neither http nor https"},
		{flags: map[string]string{"zipkin": "http://a b"}, want: "-zipkin: this is no address: invalid character \" \" in host name"},
	} {
		t.Run(c.want, func(t *testing.T) {
			env := map[string]string{"WSK_CONFIG_FILE": file("props", c.props)}
			for name, value := range c.env {
				env[name] = value
			}
			config := file("config.yaml", c.config)
			_, err := Find(Sources{Flags: c.flags, Getenv: func(name string) string { return env[name] }, Config: config})
			require.ErrorContains(t, err, strings.NewReplacer("CONFIG", config, "PROPS", env["WSK_CONFIG_FILE"]).Replace(c.want))
			require.NotContains(t, err.Error(), "secret")
		})
	}
	_, err := Find(Sources{Getenv: func(string) string { return "" }, Config: dir + "/nowhere", ConfigGiven: true})
	require.EqualError(t, err, dir+"/nowhere: no such file or directory")
}

// TestCommittedConfiguration checks that config.yaml mentions every key, and sets none.
func TestCommittedConfiguration(t *testing.T) {
	text, err := os.ReadFile("../config.yaml")
	require.NoError(t, err)
	found, err := parseConfig("config.yaml", text)
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = parseConfig("config.yaml", []byte(uncommented(string(text))))
	require.NoError(t, err)
	require.Len(t, found, len(settings))
}

// uncommented returns the lines that are commented out, without the #.
func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			b.WriteString(rest)
		}
	}
	return b.String()
}

func FuzzConfig(f *testing.F) {
	f.Add("apihost: https://openwhisk.example.com\nauth: user:password\ninsecure: true\n")
	f.Add("a: &x {b: *x}\n")
	f.Add("? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseConfig("file", []byte(text))
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "file:"), err)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for name, s := range found {
			require.Contains(t, Flags(), name)
			require.NotEmpty(t, s.Value)
			require.True(t, strings.HasPrefix(s.From, "file:"))
		}
	})
}

func FuzzWskprops(f *testing.F) {
	f.Add("APIHOST=https://openwhisk.example.com\nAUTH=user:password\n# x\nNAMESPACE=_")
	f.Add("AUTH==\nAUTH\r\n=AUTH")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseWskprops("file", []byte(text))
		require.NoError(t, err)
		for name, s := range found {
			require.Contains(t, Flags(), name)
			require.Contains(t, text, s.Value)
		}
	})
}
