package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
)

// maxAnswer is the maximum size of an action's answer in bytes, OpenWhisk's default.
const maxAnswer = 1 << 20

// Messages of OpenWhisk.
const (
	cannotStart      = "Cannot start action. Check logs for details."
	noBinary         = "The action failed to generate or locate a binary. See logs for details."
	noObject         = "The action did not return a dictionary or array."
	commandExited    = "command exited"
	exitedUnexpected = "The action did not produce a valid response and exited unexpectedly."
	outOfMemory      = "The action exhausted its memory and was aborted."
	exitedInInit     = "Command exited abruptly during initialization."
	notAsExpected    = "The action did not initialize or run as expected. Log data might be missing."
)

// errorResult returns {"error": text}.
func errorResult(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(map[string]string{"error": text}) // a text can always be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// broken returns the outcome of a failed action for which OpenWhisk's proxy answers; the answer has a size.
func broken(text string) Outcome {
	r := errorResult(text)
	return Outcome{Kind: DeveloperError, Result: r, Size: len(r) + 1, HasBody: true, Broken: true}
}

// lost returns the outcome of an action that has not answered.
func lost(text string) Outcome {
	return Outcome{Kind: DeveloperError, Result: errorResult(text), Broken: true}
}

// timedOut returns the outcome of an action that was killed after its time limit.
func timedOut(timeout time.Duration, when string) Outcome {
	o := lost(fmt.Sprintf("The action exceeded its time limits of %d milliseconds%s.", timeout.Milliseconds(), when))
	o.TimedOut = true
	return o
}

// internal returns the outcome of an activation that failed because of the platform.
func internal(text string) Outcome {
	return Outcome{Kind: InternalError, Result: errorResult(text), Broken: true}
}

// invalid returns the outcome of an action whose answer OpenWhisk's controller cannot read.
func invalid(answer string, size int) Outcome {
	o := lost("The action did not produce a valid JSON or JSON Array response: " + answer)
	o.Size, o.HasBody = size, true
	return o
}

// outcomeOf returns the outcome that the answer of an action means. The answer may be cut to maxAnswer bytes; size is its full size.
func outcomeOf(answer []byte, size int) Outcome {
	if size > maxAnswer {
		kept := answer[:min(len(answer), maxAnswer)]
		text := fmt.Sprintf("The action produced a response that exceeded the allowed length: %d > %d bytes. The truncated response was: %s", size, maxAnswer, kept)
		return Outcome{Kind: ApplicationError, Result: errorResult(text), Size: size, HasBody: true}
	}
	size += characters(answer) - len(answer)
	answer = bytes.TrimSpace(answer)
	if string(answer) == "null" {
		return invalid("null\n", size)
	}
	if len(answer) == 0 || answer[0] != '{' && answer[0] != '[' || !json.Valid(answer) {
		return broken(noObject)
	}
	if answer[0] == '{' && (bytes.Contains(answer, []byte(`"error"`)) || bytes.Contains(answer, []byte(`\u`))) {
		var fields map[string]json.RawMessage
		if json.Unmarshal(answer, &fields) == nil && fields["error"] != nil {
			return Outcome{Kind: ApplicationError, Result: append(append([]byte(`{"error":`), fields["error"]...), '}'), Size: size, HasBody: true}
		}
	}
	return Outcome{Kind: Success, Result: bytes.Clone(answer), Size: size, HasBody: true}
}

// characters returns the length of a text as OpenWhisk counts it: in units of UTF-16.
func characters(text []byte) int {
	n := 0
	for _, r := range string(text) {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// appendRequest appends the line that invokes an action in the action loop.
func appendRequest(b []byte, inv Invocation) ([]byte, error) {
	b = append(b, `{"action_name":`...)
	b = appendText(b, inv.ActionName)
	b = append(b, `,"action_version":`...)
	b = appendText(b, inv.ActionVersion)
	b = append(b, `,"activation_id":`...)
	b = appendText(b, inv.ActivationID)
	if inv.APIKey != "" {
		b = append(b, `,"api_key":`...)
		b = appendText(b, inv.APIKey)
	}
	b = append(b, `,"deadline":"`...)
	b = strconv.AppendInt(b, inv.Deadline.UnixMilli(), 10)
	b = append(b, `","namespace":`...)
	b = appendText(b, inv.Namespace)
	b = append(b, `,"transaction_id":`...)
	b = appendText(b, inv.TransactionID)
	b = append(b, `,"value":`...)
	value, err := oneLine(inv.Value)
	if err != nil {
		return nil, err
	}
	b = append(b, value...)
	return append(b, "}\n"...), nil
}

// oneLine returns the parameters without line breaks, which a client may have put between them.
func oneLine(value json.RawMessage) (json.RawMessage, error) {
	if len(value) == 0 {
		return json.RawMessage("{}"), nil
	}
	if bytes.IndexByte(value, '\n') < 0 {
		return value, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return nil, fmt.Errorf("the parameters: %w", err)
	}
	return b.Bytes(), nil
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a text can always be encoded
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
