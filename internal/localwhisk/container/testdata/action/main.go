// Action is the action that the tests of package container run. It speaks both protocols; the parameter mode says what it does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

type parameters struct {
	Mode  string        `json:"mode"`
	Name  string        `json:"name"`
	Size  int           `json:"size"`
	Sleep time.Duration `json:"sleep"` // ms
}

type request struct {
	Value json.RawMessage `json:"value"`
}

var (
	n        int
	memory   [][]byte
	pipeline *os.File // the answers of the action loop
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "daemon" {
		daemon(os.Args[2])
	}
	if os.Getenv("INIT_FAIL") != "" {
		fmt.Println("failing init on purpose")
		os.Exit(3)
	}
	if d, err := time.ParseDuration(os.Getenv("INIT_SLEEP")); err == nil {
		time.Sleep(d)
	}
	if len(os.Args) == 2 {
		pipeline = os.Stdout
		answer(json.RawMessage(os.Args[1]), nil)
		return
	}
	pipeline = os.NewFile(3, "results")
	if text := os.Getenv("INIT_SAY"); text != "" {
		fmt.Println(text)
	}
	if ack := os.Getenv("INIT_ACK"); ack != "" {
		fmt.Fprintln(pipeline, ack)
	} else {
		fmt.Fprintln(pipeline, `{ "ok": true}`)
	}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			switch farewell := os.Getenv("FAREWELL"); farewell {
			case "":
			case "never":
				select {}
			default:
				_ = os.WriteFile(farewell, []byte("done"), 0o666)
			}
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			fmt.Fprintf(pipeline, "{\"error\": %q}\n", err)
			continue
		}
		answer(r.Value, line)
	}
}

func answer(value json.RawMessage, line []byte) {
	n++
	var p parameters
	_ = json.Unmarshal(value, &p)
	time.Sleep(p.Sleep * time.Millisecond)
	reply := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		pipeline.Write(append(b, '\n'))
	}
	switch p.Mode {
	case "error":
		reply(map[string]any{"error": "this is an application error", "more": 1})
	case "errorobj":
		reply(map[string]any{"error": map[string]any{"code": 42, "msg": "obj"}})
	case "notjson":
		fmt.Fprintln(pipeline, "this is no JSON")
	case "string":
		reply("a string")
	case "null":
		reply(nil)
	case "array":
		reply([]int{1, 2, 3})
	case "big":
		reply(map[string]any{"data": strings.Repeat("a", p.Size)})
	case "crash":
		fmt.Println("about to crash")
		panic("boom")
	case "last":
		reply(map[string]any{"last": n})
		os.Exit(0)
	case "close":
		pipeline.Close()
		time.Sleep(time.Hour)
	case "silent":
	case "quiet":
		reply(struct{}{})
	case "deaf":
		reply(map[string]any{"deaf": true})
		time.Sleep(time.Hour)
	case "twice":
		reply(map[string]any{"n": n})
		reply(map[string]any{"nobody": "asked"})
	case "partial":
		fmt.Print("no newline")
		reply(map[string]any{"n": n})
	case "print":
		for range p.Size {
			fmt.Println(strings.Repeat("x", 1000))
		}
		reply(map[string]any{"n": n})
	case "logs":
		for i := range p.Size {
			fmt.Println("stdout line", i)
			fmt.Fprintln(os.Stderr, "stderr line", i)
		}
		reply(map[string]any{"n": n})
	case "later":
		reply(map[string]any{"n": n})
		for range p.Size {
			fmt.Println(strings.Repeat("y", 1000))
		}
	case "memory":
		for range p.Size {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 512 {
				b[i] = 1
			}
			memory = append(memory, b)
		}
		if p.Name == "hold" {
			time.Sleep(time.Hour)
		}
		reply(map[string]any{"held": len(memory)})
	case "memory child":
		c := exec.Command("/proc/self/exe", fmt.Sprintf(`{"mode": "memory", "size": %d, "name": "hold"}`, p.Size))
		out, err := c.CombinedOutput()
		reply(map[string]any{"out": string(out), "problem": fmt.Sprint(err)})
	case "daemon":
		// A proper daemon: in a session of its own, started by a child that has died.
		reply(map[string]any{"pid": start("fork")})
	case "environment":
		reply(map[string]any{"pid": os.Getpid(), "env": os.Environ(), "dir": must(os.Getwd()), "args": os.Args})
	case "descriptors":
		entries, err := os.ReadDir("/proc/self/fd")
		files := map[string]string{}
		for _, e := range entries {
			target, err := os.Readlink("/proc/self/fd/" + e.Name())
			if err == nil {
				files[e.Name()] = target
			}
		}
		reply(map[string]any{"files": files, "error_text": fmt.Sprint(err)})
	case "read":
		b, err := os.ReadFile(p.Name)
		reply(map[string]any{"text": string(b), "problem": fmt.Sprint(err)})
	case "open":
		f, err := os.Open(p.Name)
		f.Close()
		reply(map[string]any{"problem": fmt.Sprint(err)})
	case "write":
		err := os.WriteFile(p.Name, []byte("written"), 0o600)
		reply(map[string]any{"problem": fmt.Sprint(err)})
	case "request":
		reply(map[string]any{"line": string(line)})
	default:
		if p.Name == "" {
			p.Name = "stranger"
		}
		fmt.Println("Hello log", p.Name)
		reply(map[string]any{"greeting": "Hello, " + p.Name + "!", "n": n, "params": value})
	}
}

func must(s string, err error) string {
	if err != nil {
		return err.Error()
	}
	return s
}

// start starts this program as a daemon in a session of its own, and returns its process id.
func start(what string) string {
	c := exec.Command("/proc/self/exe", "daemon", what)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := c.Start(); err != nil {
		panic(err)
	}
	text, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && err != io.EOF {
		panic(err)
	}
	if what == "fork" {
		c.Wait()
	}
	return strings.TrimSpace(text)
}

func daemon(what string) {
	if what == "fork" {
		fmt.Println(start("stay"))
		os.Exit(0)
	}
	fmt.Println(os.Getpid())
	select {
	case <-time.After(10 * time.Minute): // if nobody kills it
	}
	os.Exit(0)
}
