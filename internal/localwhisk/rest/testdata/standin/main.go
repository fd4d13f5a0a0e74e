// Standin behaves as the actions with which the transcripts were recorded, as far as the transcripts show it. It speaks the action loop, or runs once if
// its parameters are an argument.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// faster is the factor by which its sleeps are shortened, unless they exceed its time limit.
const faster = 100

type request struct {
	Value    json.RawMessage `json:"value"`
	Deadline json.Number     `json:"deadline"` // a text of digits
}

type parameters struct {
	Name     *string `json:"name"`
	Mode     string  `json:"mode"`
	Sleep    int     `json:"sleep"` // ms
	Size     int     `json:"size"`
	Logs     int     `json:"logs"`     // lines
	LogBytes int     `json:"logbytes"` // in lines of 1000
	// Those of the image that its tests call cap.
	Raw   *string `json:"raw"`
	Die   bool    `json:"die"`
	Alloc int     `json:"alloc"` // MiB
	// That of the action that returns its parameters.
	Do string `json:"do"`
}

var n int // invocations

func main() {
	if os.Getenv("INIT_FAIL") != "" {
		fmt.Println("failing init on purpose")
		os.Exit(1)
	}
	if d, err := time.ParseDuration(os.Getenv("INIT_SLEEP")); err == nil {
		time.Sleep(d)
	}
	args := os.Args[1:]
	if len(args) > 0 && strings.HasSuffix(args[0], "/exec") {
		args = args[1:] // of a script that this is the interpreter of
	}
	if len(args) == 1 {
		run(os.Stdout, request{Value: json.RawMessage(args[0]), Deadline: json.Number(os.Getenv("__OW_DEADLINE"))}, nil)
		return
	}
	results := os.NewFile(3, "results")
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		fmt.Fprintln(results, `{ "ok": true}`)
	}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			fmt.Fprintf(results, "{\"error\":%q}\n", err)
			continue
		}
		run(results, r, line)
	}
}

func run(results *os.File, r request, line []byte) {
	n++
	var p parameters
	_ = json.Unmarshal(r.Value, &p) // what has another type is not for us
	answer := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		results.Write(append(b, '\n'))
	}
	if sleep := time.Duration(p.Sleep) * time.Millisecond; sleep > 0 {
		deadline, _ := r.Deadline.Int64()
		if time.Now().Add(sleep).Before(time.UnixMilli(deadline)) {
			sleep /= faster
		}
		time.Sleep(sleep)
	}
	for i := range p.Logs {
		fmt.Println("stdout line", i)
		fmt.Fprintln(os.Stderr, "stderr line", i)
	}
	for range p.LogBytes / 1000 {
		fmt.Println(strings.Repeat("x", 999))
	}
	switch {
	case p.Raw != nil:
		fmt.Fprint(results, *p.Raw) // without the end of a line: the recorded image had no lines
		return
	case p.Die:
		os.Exit(1)
	case p.Alloc > 0:
		memory := make([]byte, p.Alloc<<20)
		for i := 0; i < len(memory); i += 512 {
			memory[i] = 1
		}
		answer(map[string]int{"held": len(memory)})
		return
	}
	if os.Getenv("ECHO") != "" {
		write := func(text string) { fmt.Fprintln(results, text) }
		switch p.Do {
		case "array":
			write("[1,2,3]")
		case "dup":
			write(`{"a":1,"a":2}`)
		case "error":
			write(`{"error":"this is an error"}`)
		case "exit":
			os.Exit(1)
		case "http":
			write(`{"statusCode":418,"headers":{"content-type":"text/plain"},"body":"tea"}`)
		case "null":
			write("null")
		case "numbers":
			write(`{"i":9007199254740993,"f":1.0,"e":1e400,"n":-0,"big":123456789012345678901234567890,"x":1.10}`)
		default:
			if r.Value[0] == '[' { // as Go actions do that expect an object
				write("null")
				return
			}
			answer(r.Value)
		}
		return
	}
	switch p.Mode {
	case "error":
		answer(map[string]string{"error": "this is an application error"})
	case "errorobj":
		answer(map[string]any{"error": map[string]any{"code": 42, "msg": "obj"}, "extra": 1})
	case "http":
		answer(map[string]any{"statusCode": 201, "headers": map[string]string{"X-My": "yes", "content-type": "text/plain"}, "body": "hello web"})
	case "string":
		answer("just a string")
	case "notjson":
		fmt.Fprintln(results, "this is not JSON")
	case "array":
		answer([]int{1, 2, 3})
	case "crash":
		fmt.Println("about to crash")
		fmt.Fprintln(os.Stderr, "panic: boom")
		os.Exit(2)
	case "big":
		answer(map[string]string{"data": strings.Repeat("a", p.Size)})
	case "env":
		env := map[string]string{}
		for _, kv := range os.Environ() {
			if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "__OW_") {
				env[name] = value
			}
		}
		answer(map[string]any{"env": env, "input": json.RawMessage(line), "n": n})
	default:
		name := "stranger"
		if p.Name != nil {
			name = *p.Name
		}
		fmt.Println("Hello log", name)
		answer(map[string]any{"greeting": "Hello, " + name + "!", "n": n, "params": r.Value})
	}
}
