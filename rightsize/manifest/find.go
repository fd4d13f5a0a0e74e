package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// holder is a mapping below which limits and requests stand, or will.
type holder struct {
	source *source
	kind   string // "Deployment"
	line   int
	// node is the value that holds them, an alias where it is one: a function of stack.yml, a container, the spec of a Function.
	node *yaml.Node
	// steps lead to the node from the beginning of its file: the number of the document, keys, and indices of sequences.
	steps []string
	// below are the keys between node and the groups: "resources" for containers.
	below []string
}

// workload is something with a name that may be the target.
type workload struct {
	kind, name, namespace string
	line                  int
	holders               func() ([]*holder, []string, error) // with the names of the containers
}

// podSpecs are the places of pod specs, by kind.
var podSpecs = map[string][]string{
	"Deployment": {"spec", "template", "spec"}, "StatefulSet": {"spec", "template", "spec"}, "DaemonSet": {"spec", "template", "spec"},
	"ReplicaSet": {"spec", "template", "spec"}, "Job": {"spec", "template", "spec"}, "CronJob": {"spec", "jobTemplate", "spec", "template", "spec"},
	"Pod": {"spec"},
}

// workloads returns all that could be a target in a document, or in an item of a list.
func (s *source) workloads(n *yaml.Node, steps []string) []workload {
	n = target(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	kind, group := text(n, "kind"), text(n, "apiVersion")
	group, _, _ = strings.Cut(group, "/")
	at := func(more ...string) []string { return slices.Concat(steps, more) }
	var found []workload
	if functions := path(n, "functions"); kind == "" && functions != nil && functions.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(functions.Content); i += 2 {
			k, v := functions.Content[i], functions.Content[i+1]
			if isMerge(k) {
				continue
			}
			found = append(found, workload{"function of OpenFaaS", k.Value, text(v, "namespace"), k.Line, func() ([]*holder, []string, error) {
				return []*holder{{node: v, steps: at("functions", k.Value)}}, []string{""}, nil
			}})
		}
		return found
	}
	w := workload{kind: kind, name: text(n, "metadata", "name"), namespace: text(n, "metadata", "namespace"), line: n.Line}
	spec := podSpecs[kind]
	switch {
	case strings.HasSuffix(kind, "List"):
		for i, item := range elements(n, "items") {
			found = append(found, s.workloads(item, at("items", strconv.Itoa(i)))...)
		}
		return found
	case kind == "Function" && group == "openfaas.com":
		w.kind = "Function of OpenFaaS"
		if name := text(n, "spec", "name"); name != "" {
			w.name = name
		}
		w.holders = func() ([]*holder, []string, error) {
			i := own(n, "spec")
			if i < 0 {
				return nil, nil, errors.New("it has no spec")
			}
			return []*holder{{node: n.Content[i+1], steps: at("spec")}}, []string{""}, nil
		}
		return []workload{w}
	case (kind == "Service" || kind == "Configuration") && group == "serving.knative.dev":
		w.kind, spec = kind+" of Knative", []string{"spec", "template", "spec"}
	case kind == "Revision" && group == "serving.knative.dev":
		w.kind, spec = "Revision of Knative", []string{"spec"}
	case spec == nil:
		return nil
	}
	w.holders = func() (holders []*holder, names []string, err error) {
		pod := path(n, spec...)
		for i, c := range elements(pod, "containers") {
			holders = append(holders, &holder{node: c, steps: at(slices.Concat(spec, []string{"containers", strconv.Itoa(i)})...), below: []string{"resources"}})
			names = append(names, text(c, "name"))
		}
		if len(holders) == 0 {
			return nil, nil, errors.New("it has no containers")
		}
		return holders, names, nil
	}
	return []workload{w}
}

// find finds what holds the resources of a target.
func (s *source) find(t Target) (*holder, error) {
	if t.Function == "" {
		return nil, errors.New("no function is named")
	}
	var all, found []workload
	for i, doc := range s.docs {
		if len(doc.Content) > 0 {
			all = append(all, s.workloads(doc.Content[0], []string{strconv.Itoa(i)})...)
		}
	}
	for _, w := range all {
		if w.name == t.Function && (t.Namespace == "" || w.namespace == t.Namespace) {
			found = append(found, w)
		}
	}
	if len(found) == 0 { // where nothing names the namespace, it may be any
		for _, w := range all {
			if w.name == t.Function && w.namespace == "" {
				found = append(found, w)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("it has neither functions of OpenFaaS nor workloads of Kubernetes")
	case len(found) == 0:
		return nil, fmt.Errorf("it has no %s%s: it has %s", t.Function, ofNamespace(t.Namespace), names(all))
	case len(found) > 1:
		return nil, fmt.Errorf("it has %s several times: %s%s", t.Function, names(found), hint(found))
	}
	w := found[0]
	holders, containers, err := w.holders()
	if err != nil {
		return nil, fmt.Errorf("line %d: %s %s: %w", w.line, w.kind, w.name, err)
	}
	i := 0
	switch {
	case t.Container != "":
		i = slices.Index(containers, t.Container)
		if i < 0 || slices.Contains(containers[i+1:], t.Container) {
			return nil, fmt.Errorf("line %d: %s %s has not one container %q: it has %s", w.line, w.kind, w.name, t.Container, strings.Join(containers, ", "))
		}
	case len(holders) > 1:
		return nil, fmt.Errorf("line %d: %s %s has several containers, %s: name one", w.line, w.kind, w.name, strings.Join(containers, ", "))
	}
	h := holders[i]
	h.source, h.kind, h.line = s, w.kind, w.line
	if n := target(h.node); n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: %s has nothing below it", h.node.Line, t.Function)
	}
	return h, nil
}

func ofNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in the namespace " + namespace
}

// hint says how to tell workloads of one name apart.
func hint(found []workload) string {
	namespaces := map[string]bool{}
	for _, w := range found {
		namespaces[w.namespace] = true
	}
	if len(namespaces) == len(found) {
		return "; name the namespace"
	}
	return ""
}

// mostNames is how many names an error lists.
const mostNames = 10

func names(all []workload) string {
	var list []string
	for _, w := range all[:min(len(all), mostNames)] {
		name := w.name
		if name == "" {
			name = "one without a name"
		}
		if w.namespace != "" {
			name += " in " + w.namespace
		}
		list = append(list, fmt.Sprintf("%s (%s, line %d)", name, w.kind, w.line))
	}
	if more := len(all) - mostNames; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, ", ")
}

// display returns the path of a value for people: functions.qrcode.limits.memory.
func (h *holder) display(p place) string {
	return strings.Join(slices.Concat(h.steps[1:], h.below, []string{p.group, p.resource}), ".")
}

// variable is what OpenFaaS's command fills in from the environment.
var variable = regexp.MustCompile(`\$\{`)

// resources returns the limits and requests that a program that reads the file sees.
func (h *holder) resources() (r Resources, err error) {
	for _, p := range places {
		keys := slices.Concat(h.below, []string{p.group, p.resource})
		for i := range keys {
			v := path(h.node, keys[:i+1]...)
			switch {
			case v == nil || isNull(v):
			case i+1 < len(keys) && v.Kind != yaml.MappingNode, i+1 == len(keys) && v.Kind != yaml.ScalarNode:
				return r, fmt.Errorf("line %d: %s is not what is due there", v.Line, h.display(p))
			case i+1 == len(keys) && (template.MatchString(v.Value) || variable.MatchString(v.Value)):
				return r, fmt.Errorf("line %d: %s is filled in elsewhere: %s", v.Line, h.display(p), v.Value)
			case i+1 == len(keys):
				*r.at(p) = v.Value
			}
		}
	}
	return r, nil
}
