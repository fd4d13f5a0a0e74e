package distribution

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"sigs.k8s.io/yaml"
)

// entry is an entry of builder.yaml.
type entry struct {
	Gomod  string `json:"gomod"`
	Import string `json:"import"`
	Path   string `json:"path"`
}

// TestBuilderManifest checks that the manifest for the OpenTelemetry Collector Builder has the packages of our own collector, each once
// and in the section of its kind, in the versions of go.mod.
func TestBuilderManifest(t *testing.T) {
	text, err := os.ReadFile("../builder.yaml")
	require.NoError(t, err)
	var manifest struct {
		Dist struct {
			Name        string `json:"name"`
			Description string `json:"description"`
			Version     string `json:"version"`
			OutputPath  string `json:"output_path"`
		} `json:"dist"`
		Receivers  []entry `json:"receivers"`
		Processors []entry `json:"processors"`
		Exporters  []entry `json:"exporters"`
		Connectors []entry `json:"connectors"`
		Extensions []entry `json:"extensions"`
		Providers  []entry `json:"providers"`
	}
	require.NoError(t, yaml.UnmarshalStrict(text, &manifest))
	require.Equal(t, Settings().BuildInfo.Description, manifest.Dist.Description)

	content, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	module, err := modfile.ParseLax("go.mod", content, nil)
	require.NoError(t, err)
	versions := map[string]string{}
	for _, r := range module.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}

	// The kind of a package shows in its name.
	sections := map[string][]string{}
	for kind, components := range map[string][]entry{
		"receiver": manifest.Receivers, "processor": manifest.Processors, "exporter": manifest.Exporters, "extension": manifest.Extensions,
		"connector": manifest.Connectors, "provider": manifest.Providers,
	} {
		for _, c := range components {
			name, version, _ := strings.Cut(c.Gomod, " ")
			if name == module.Module.Mod.Path {
				require.Equal(t, entry{name + " v0.0.0", c.Import, "."}, c)
			} else {
				require.Equal(t, entry{Gomod: name + " " + versions[name]}, c, version)
				c.Import = name
			}
			sections[kind] = append(sections[kind], c.Import)
		}
	}
	ours := map[string][]string{}
	source, err := parser.ParseFile(token.NewFileSet(), "distribution.go", nil, parser.ImportsOnly)
	require.NoError(t, err)
	kind := regexp.MustCompile(`[a-z](receiver|processor|exporter|connector|extension|provider)$`)
	for _, i := range source.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		require.NoError(t, err)
		switch match := kind.FindStringSubmatch(name); {
		case match != nil:
			ours[match[1]] = append(ours[match[1]], name)
		case strings.HasSuffix(name, "/filestorage"):
			ours["extension"] = append(ours["extension"], name)
		}
	}
	require.Len(t, sections, len(ours))
	for kind, names := range ours {
		require.ElementsMatch(t, names, sections[kind], kind)
	}

	// What is imported is also there: the manifest has as many components as our collector.
	factories, err := Factories()
	require.NoError(t, err)
	require.Len(t, manifest.Receivers, distinct(factories.Receivers))
	require.Len(t, manifest.Processors, distinct(factories.Processors))
	require.Len(t, manifest.Exporters, distinct(factories.Exporters))
	require.Len(t, manifest.Extensions, distinct(factories.Extensions))

	// The builder's version is that of the components.
	builder := regexp.MustCompile(`cmd/builder@(\S+)`).FindSubmatch(text)
	require.NotNil(t, builder)
	require.Equal(t, versions["go.opentelemetry.io/collector/otelcol"], string(builder[1]))
}

// distinct returns the number of different factories. Some are registered by an old name too.
func distinct[K comparable, F any](factories map[K]F) int {
	seen := map[any]bool{}
	for _, f := range factories {
		seen[f] = true
	}
	return len(seen)
}
