package rest

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSequenceInItself checks that a sequence cannot contain itself by way of a binding to its package.
func TestSequenceInItself(t *testing.T) {
	c := serve(t, Options{})
	c.want(200, "", "PUT", under+"packages/p", `{}`)
	c.want(200, "", "PUT", under+"packages/b", `{"binding":{"namespace":"_","name":"p"}}`)
	c.want(200, "", "PUT", under+"actions/p/s1", goAction)
	c.want(200, "", "PUT", under+"actions/p/seq", `{"exec":{"kind":"sequence","components":["/_/b/s1"]}}`)
	const self = "Sequence may not refer to itself."
	c.want(400, self, "PUT", under+"actions/p/seq?overwrite=true", `{"exec":{"kind":"sequence","components":["/_/b/seq"]}}`)
	c.want(200, "", "PUT", under+"actions/outer", `{"exec":{"kind":"sequence","components":["/_/b/seq"]}}`)
	c.want(400, self, "PUT", under+"actions/p/seq?overwrite=true", `{"exec":{"kind":"sequence","components":["/_/outer"]}}`)
}

// TestSequenceThatGrew checks that sequences end that have become too long, or a part of themselves, since they were put: by another version of a
// component, or because a binding leads to another package.
func TestSequenceThatGrew(t *testing.T) {
	c := serve(t, Options{Limits: Limits{SequenceLength: 3}})
	const tooMany = "Too many actions in the sequence."
	sequence := func(components ...string) string {
		text, _ := json.Marshal(map[string]any{"exec": map[string]any{"kind": "sequence", "components": components}})
		return string(text)
	}
	// run runs a sequence, which fails, and returns its record.
	run := func(name string) record {
		_, body := c.do("POST", under+"actions/"+name+"?blocking=true", "")
		var r record
		if err := json.Unmarshal([]byte(body), &r); err != nil || r.Response.Success || !strings.Contains(string(r.Response.Result), tooMany) {
			t.Errorf("%s: %v %.500s", name, err, body)
		}
		return r
	}
	for _, pack := range []string{"p", "q"} {
		c.want(200, "", "PUT", under+"packages/"+pack, `{}`)
		c.want(200, "", "PUT", under+"actions/"+pack+"/x", goAction)
	}
	c.want(200, "", "PUT", under+"packages/b", `{"binding":{"namespace":"_","name":"q"}}`)

	c.want(200, "", "PUT", under+"actions/long", sequence("/_/p/x", "/_/q/x", "/_/p/x"))
	c.want(200, "", "PUT", under+"actions/q/x?overwrite=true", sequence("/_/p/x", "/_/p/x"))
	if parts := run("long").Logs; len(parts) != 2 || len(c.record(parts[1]).Logs) != 2 { // p/x, and q/x with p/x twice
		t.Errorf("%v have run in a sequence of at most 3 actions", parts)
	}

	c.want(200, "", "PUT", under+"actions/circle", sequence("/_/b/x"))
	c.want(200, "", "PUT", under+"actions/p/x?overwrite=true", goAction)
	c.want(200, "", "PUT", under+"packages/r", `{}`)
	c.want(200, "", "PUT", under+"actions/r/x", sequence("/_/circle"))
	c.want(200, "", "PUT", under+"packages/b?overwrite=true", `{"binding":{"namespace":"_","name":"r"}}`)
	run("circle")
	c.want(400, tooMany, "PUT", under+"actions/more", sequence("/_/circle"))
}
