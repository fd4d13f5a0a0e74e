package sprayjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCheck checks messages. Those of "", {, x and {bad json were recorded on an OpenWhisk.
func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		"":               "Unexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n",
		"{":              "Unexpected end-of-input at input index 1 (line 1, position 2), expected '\"':\n{\n ^\n",
		"{bad json":      "Unexpected character 'b' at input index 1 (line 1, position 2), expected '\"':\n{bad json\n ^\n",
		"x":              "Unexpected character 'x' at input index 0 (line 1, position 1), expected JSON Value:\nx\n^\n",
		"{\"a\":\n tru}": "Unexpected character '}' at input index 7 (line 2, position 2), expected JSON Value:\n tru}\n ^\n",
		`{"a" 1}`:        "Unexpected character '1' at input index 5 (line 1, position 6), expected ':':\n{\"a\" 1}\n     ^\n",
		`[1 2]`:          "Unexpected character '2' at input index 3 (line 1, position 4), expected ']':\n[1 2]\n   ^\n",
		`01`:             "Unexpected character '1' at input index 1 (line 1, position 2), expected end-of-input:\n01\n ^\n",
		`-`:              "Unexpected end-of-input at input index 1 (line 1, position 2), expected DIGIT:\n-\n ^\n",
		"\"a\tb\"":       "Unexpected character '\\u0009' at input index 2 (line 1, position 3), expected '\"':\n\"a?b\"\n  ^\n",
		`"\x"`:           "Unexpected character 'x' at input index 2 (line 1, position 3), expected JSON escape sequence:\n\"\\x\"\n  ^\n",
		`"\u00g0"`:       "Unexpected character 'g' at input index 5 (line 1, position 6), expected hex digit:\n\"\\u00g0\"\n     ^\n",
		`{"a":1,}`:       "Unexpected character '}' at input index 7 (line 1, position 8), expected '\"':\n{\"a\":1,}\n       ^\n",
		` {"a": [1, -2.5e+3, "ä\u00e4", true, false, null, {}, []]} `: "",
	} {
		require.Equal(t, want, Check([]byte(text)), text)
	}
	require.Contains(t, Check([]byte(strings.Repeat("[", 1<<20))), "nested more deeply")
	long := `"` + strings.Repeat("x", 1<<20)
	require.Equal(t, "Unexpected end-of-input at input index 1048577 (line 1, position 1048578), expected '\"'", Check([]byte(long)))
}

// FuzzCheck checks that what is right, and what is written, is right for Go too, and has the same meaning.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{``, `{"a":[1,2.50,"x"]}`, `"\ud800"`, `-0`, `1e5`, `"\u0041\/\ud83d\ude00\\u"`, "\x00", `[1,]`, `{"a":{}, "b" : [ ]}`, `nul`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		message := Check(text)
		if (message == "") != json.Valid(text) && !strings.Contains(message, "nested") {
			t.Fatalf("%q: %q", text, message)
		}
		if message != "" {
			return
		}
		for _, written := range []json.RawMessage{Compact(text), json.RawMessage(Pretty(text))} {
			if !json.Valid(written) {
				t.Fatalf("%q becomes %q", text, written)
			}
			var want, got any
			errWant, errGot := json.Unmarshal(text, &want), json.Unmarshal(written, &got)
			require.Equal(t, errWant == nil, errGot == nil)
			if errWant == nil {
				require.Equal(t, want, got)
			}
			require.Equal(t, string(Compact(text)), string(Compact(written)))
		}
	})
}

func TestNumbers(t *testing.T) {
	for number, want := range map[string]string{
		"0": "0", "-0": "0", "-0.0": "0.0", "1.10": "1.10", "1e400": "1E+400", "1.5e3": "1.5E+3", "1.50e1": "15.0", "1.50e2": "150", "0.000001": "0.000001",
		"0.0000001": "1E-7", "12.5e-8": "1.25E-7", "-1E2": "-1E+2", "0.010": "0.010", "123456789012345678901234567890": "123456789012345678901234567890",
		"0e5": "0E+5", "1e99999999999": "1e99999999999",
	} {
		require.Equal(t, want, Number(number), number)
	}
	for number, want := range map[string]int32{
		"256": 256, "256.0": 256, "2.56e2": 256, "1e+20": 1661992960, "1000000000000000000000000000000": 1073741824, "4294967552": 256, "-1": -1, "0.00": 0,
		"1e999999999": 0, "2147483648": -2147483648,
	} {
		n, whole := Int32(number)
		require.True(t, whole, number)
		require.Equal(t, want, n, number)
	}
	for _, number := range []string{"1.5", "128.5", "1e-1", "0.1", "1e99999999999"} {
		_, whole := Int32(number)
		require.False(t, whole, number)
	}
}

func TestWriting(t *testing.T) {
	text := json.RawMessage(` {"a" : [1, {"b": "x, {\"y\": 1 }", "c":1.0}, []], "d":{} , "e":1e2}`)
	require.Equal(t, `{"a":[1,{"b":"x, {\"y\": 1 }","c":1.0},[]],"d":{},"e":1E+2}`, string(Compact(text)))
	require.Equal(t, "{\n  \"a\": [1, {\n    \"b\": \"x, {\\\"y\\\": 1 }\",\n    \"c\": 1.0\n  }, []],\n  \"d\": {},\n  \"e\": 1E+2\n}", Pretty(text))
	escapes := json.RawMessage(`"\u003c\/\u00E4\ud83d\ude00\ud83d\u0022\u005C\u000a\u0000\u001F\n\\u0041\""`)
	require.Equal(t, `"</ä😀\ud83d\"\\\n\u0000\u001f\n\\u0041\""`, string(Compact(escapes)))
	same := json.RawMessage(`{"a":[1,2.5,"  "]}`)
	require.Equal(t, &same[0], &Compact(same)[0], "a copy")
}
