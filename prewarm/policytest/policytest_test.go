package policytest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlatform runs tests of the platform itself, under policies that do nothing but keep.
func TestPlatform(t *testing.T) { Run(t, "testdata/*.txt") }

const head = "policy keepalive:600\nfunction main\nfunction next\n"

// TestWrongExpectationsFail checks that the tester finds what is not so: each line is wrong after a cold start at 0 that ends at 3.
func TestWrongExpectationsFail(t *testing.T) {
	for line, message := range map[string]string{
		"at 0 arrive main expect warm":                    "t.txt:5: at 0: expected warm, got cold",
		"at 0 arrive main expect cold next":               "expected cold, got no start",
		"at 0 arrive main expect cold main 2":             "expected cold 2 times, got 1",
		"at 0 expect cold":                                "nothing has happened then",
		"at 0 arrive main\nat 1 expect start":             "t.txt:6: at 1: expected start once at least",
		"at 0 arrive main\nat 3 expect end main 0":        "expected end 0 times, got 1",
		"at 0 arrive main\nat 4 expect idle main 0":       "expected idle main 0, got 1",
		"at 0 arrive main\nat 1 expect busy next 1":       "expected busy next 1, got 0",
		"at 0 arrive main\nat 1 expect waiting main 1":    "expected waiting main 1, got 0",
		"at 0 arrive main\nat 4 expect wake":              "asked again",
		"at 0 arrive main\nat 603.1 expect quiet":         "",
		"at 0 arrive main\nat 603.000000001 expect quiet": "nothing is decided",
		"at 0 arrive main\nat 700 expect victims main":    "expected victims [main], got []",
		"at 0 arrive main\nat 3 expect done 2":            "has taken 2 s, got 3",
		"at 0 arrive main\nat 2 expect done":              "complete",
		"at 0 arrive main\nat 4 expect idle-time 2":       "idle-time 2 s, got 1",
		"at 0 arrive main\nat 2 expect run main 1":        "expected run main 1, got 2",
		"at 0 expect rank main 1":                         "got none",
		"at 0 expect scale main 1":                        "got none",
		"at 0 expect replicas main 1":                     "expected 1 replicas of main, got 0",
	} {
		tests, err := Parse("t.txt", head+"test x\n"+line)
		require.NoError(t, err, line)
		err = tests[0].Run()
		if message == "" {
			require.NoError(t, err, line)
			continue
		}
		require.ErrorContains(t, err, message, line)
		require.ErrorContains(t, err, "t.txt:", line)
	}
}

// TestParseErrors checks that mistakes are named with their line.
func TestParseErrors(t *testing.T) {
	for text, message := range map[string]string{
		"":                                 "t.txt: there is no test",
		"test x":                           "t.txt:1: the test has no policy",
		"policy none\ntest x":              "t.txt:2: the test has no function",
		"policy\ntest x":                   "t.txt:1: there is no policy",
		"polic none":                       `"polic" is none of`,
		"at 0 arrive f":                    "there is no test yet",
		head + "test":                      "a test without a name",
		head + "test a\ntest a":            "two tests",
		head + "function 12":               "cannot be called",
		head + "function f x=1":            `no setting "x"; there are app, concurrency`,
		head + "function f start=1 init=2": "init is longer than start",
		head + "function f start=-1":       "is no time",
		head + "function f memory=0":       "must be a whole number from 1 on",
		head + "platform late=no":          "must be takes or own",
		head + "platform warm=maybe":       "must be yes or no",
		head + "recorded 3 tepid main":     "warm or cold",
		head + "recorded 1.5 warm main":    "must be a whole one",
		head + "recorded gaps x":           "is no time",
		head + "test x\nat x":              `"x" is no time`,
		head + "test x\nat 1 arrive":       `no function ""`,
		head + "test x\nat 1 arrive gone":  `t.txt:5: there is no function "gone"`,
		head + "test x\nat 1 leave main":   `"leave" is none of`,
		head + "test x\nat 2 arrive main\nat 1 arrive main": "is before the last time",
		head + "test x\nat 1 arrive main (":                 `no function ""`,
		head + "test x\nat 1 arrive main (next x0)":         "no number of calls",
		head + "test x\nat 1 arrive main (next":             "expected , or )",
		head + "test x\nat 1 arrive main 1 (next @2)":       "after its caller's end",
		head + "test x\nat 1 arrive main x2":                "x2 is for calls in brackets",
		head + "test x\nat 1 arrive main 1 @2":              "@2 is for calls in brackets",
		head + "test x\nat 1 arrive main x2y":               `expected "expect"`,
		head + "test x\nat 1 expect nothing":                "cannot expect",
		head + "test x\nat 1 expect count main":             "is no number",
		head + "test x\nat 1 rate main 1e9":                 "at most 10000",
	} {
		_, err := Parse("t.txt", text)
		require.ErrorContains(t, err, message, text)
		require.True(t, strings.HasPrefix(err.Error(), "t.txt:"), err)
	}
	tests, err := Parse("t.txt", "policy nothing\nfunction f\ntest x")
	require.NoError(t, err)
	require.ErrorContains(t, tests[0].Run(), `t.txt:3: there is no policy "nothing"`)
}

// TestExpects checks that a test which expects nothing is told from one that does.
func TestExpects(t *testing.T) {
	tests, err := Parse("t.txt", head+"test a\ntest b\nat 0 arrive main\ntest c\nat 0 expect quiet")
	require.NoError(t, err)
	for i, want := range []bool{false, false, true} {
		require.Equal(t, want, tests[i].expects(), tests[i].Name)
	}
}

// FuzzParse checks that no text makes the parser panic, and that what is wrong is named with the file.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/platform.txt")
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(head + "test x\nat 0 +1 +1.5 arrive main 1 (next @0.5 x3, main) expect cold main 1 expect wake 3")
	f.Fuzz(func(t *testing.T, text string) {
		tests, err := Parse("t.txt", text)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "t.txt:"), err)
			return
		}
		require.NotEmpty(t, tests)
	})
}
