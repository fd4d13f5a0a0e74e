package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What the reader of YAML says of keys and values that do not fit, in the words of Go's types.
var (
	yamlUnknownKey = regexp.MustCompile(`^line (\d+): field (.+) not found in type (\S+)$`)
	yamlWrongValue = regexp.MustCompile("(?s)^line (\\d+): cannot unmarshal !!\\w+(?: `(.*)`)? into (\\S+)$")
)

// yamlDue says what is due in place of a value that a field of a type cannot hold.
var yamlDue = map[string]string{
	"float64": "a number", "[]float64": "a list of numbers", "[][]float64": "a list of lists of numbers",
	"string": "a text", "[]string": "a list of texts",
	typeName[parametersFile](): "a file of keys like kind: hawkes", typeName[gapsFile](): "a mapping of " + yamlKeys[gapsFile](),
	typeName[furtherFile](): "a mapping of " + yamlKeys[furtherFile](), "[]" + typeName[furtherFile](): "a list of mappings of " + yamlKeys[furtherFile](),
}

// yamlKnown are the keys of each type that has some.
var yamlKnown = map[string]string{
	typeName[parametersFile](): yamlKeys[parametersFile](), typeName[gapsFile](): yamlKeys[gapsFile](), typeName[furtherFile](): yamlKeys[furtherFile](),
}

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

// yamlKeys returns the keys that a struct has in YAML.
func yamlKeys[T any]() string {
	var keys []string
	for i := range reflect.TypeFor[T]().NumField() {
		keys = append(keys, reflect.TypeFor[T]().Field(i).Tag.Get("yaml"))
	}
	return strings.Join(keys, ", ")
}

// parametersError says of a file of parameters what is wrong with it in the words of who has written it, in one line.
func parametersError(err error) error {
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var mistakes *yaml.TypeError
	if errors.As(err, &mistakes) {
		texts = nil
		for _, text := range mistakes.Errors {
			if m := yamlUnknownKey.FindStringSubmatch(text); m != nil {
				text = fmt.Sprintf("line %s: unknown key %q (known: %s)", m[1], m[2], yamlKnown[m[3]])
			} else if m := yamlWrongValue.FindStringSubmatch(text); m != nil && yamlDue[m[3]] != "" {
				text = fmt.Sprintf("line %s: %s is due", m[1], yamlDue[m[3]])
				if m[2] != "" {
					text += fmt.Sprintf(", not %q", m[2])
				}
			}
			texts = append(texts, text)
		}
	}
	return errors.New(strings.Join(strings.Fields(strings.Join(texts, "; ")), " "))
}
