package manifest

import "go.yaml.in/yaml/v3"

// target returns the node, or the one that an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && (key.Tag == "" || key.Tag == "!" || key.ShortTag() == "!!merge")
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// own returns the index in Content of a key that a mapping has itself, −1 if it has none.
func own(m *yaml.Node, key string) int {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if k := m.Content[i]; k.Value == key && !isMerge(k) {
			return i
		}
	}
	return -1
}

// maxDepth bounds how deeply nodes are followed.
const maxDepth = 200

// lookup returns the value of a key as a program that reads the file sees it: its own, or one from a merge key; nil if there is none.
func lookup(m *yaml.Node, key string) *yaml.Node { return lookupTo(m, key, maxDepth) }

func lookupTo(m *yaml.Node, key string, depth int) *yaml.Node {
	m = target(m)
	if m == nil || m.Kind != yaml.MappingNode || depth == 0 {
		return nil
	}
	if i := own(m, key); i >= 0 {
		return target(m.Content[i+1])
	}
	for _, from := range merged(m) {
		if v := lookupTo(from, key, depth-1); v != nil {
			return v
		}
	}
	return nil
}

// merged returns what the merge key of a mapping names, those first that win.
func merged(m *yaml.Node) []*yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if !isMerge(m.Content[i]) {
			continue
		}
		v := target(m.Content[i+1])
		if v == nil || v.Kind != yaml.SequenceNode {
			return []*yaml.Node{v}
		}
		return v.Content
	}
	return nil
}

// path follows keys from a mapping; nil if one is missing.
func path(n *yaml.Node, keys ...string) *yaml.Node {
	n = target(n)
	for _, k := range keys {
		if n = lookup(n, k); n == nil {
			return nil
		}
	}
	return n
}

// text returns the value of a scalar below a mapping, "" if there is none.
func text(n *yaml.Node, keys ...string) string {
	if v := path(n, keys...); v != nil && v.Kind == yaml.ScalarNode && !isNull(v) {
		return v.Value
	}
	return ""
}

// elements returns what a mapping has at a key, if that is a sequence.
func elements(n *yaml.Node, key string) []*yaml.Node {
	if v := path(n, key); v != nil && v.Kind == yaml.SequenceNode {
		return v.Content
	}
	return nil
}
