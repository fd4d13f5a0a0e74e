package rest

import (
	"net/http"
	"strconv"
	"strings"
)

// acceptedRange is an element of the header Accept or Accept-Charset: type/*, for example, or utf-8.
type acceptedRange struct {
	name string
	q    float64
}

// acceptedRanges returns the elements of a header. A line that is malformed counts as missing, as in OpenWhisk.
func acceptedRanges(lines []string, valid func(name string) bool) []acceptedRange {
	var all []acceptedRange
	for _, line := range lines {
		var ranges []acceptedRange
		for element := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(element, ";")
			r := acceptedRange{strings.ToLower(strings.TrimSpace(name)), 1}
			for p := range strings.SplitSeq(parameters, ";") {
				key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(key, "q") {
					if q, err := strconv.ParseFloat(value, 64); err == nil {
						r.q = q
					}
				}
			}
			if !valid(r.name) {
				ranges = nil
				break
			}
			ranges = append(ranges, r)
		}
		all = append(all, ranges...)
	}
	return all
}

// accepts reports whether the client accepts an answer of a media type, in any charset or else in UTF-8.
func accepts(h http.Header, main, sub string, anyCharset bool) bool {
	types := acceptedRanges(h.Values("Accept"), func(name string) bool {
		t, s, ok := strings.Cut(name, "/")
		return name == "*" || ok && t != "" && s != "" && (t != "*" || s == "*")
	})
	if !accepted(types, main+"/"+sub, main+"/*", "*/*", "*") {
		return false
	}
	charsets := acceptedRanges(h.Values("Accept-Charset"), func(name string) bool { return name != "" })
	return anyCharset || accepted(charsets, "utf-8", "*")
}

// accepted reports whether the most specific of the names that is in the list has a weight above 0. An empty list accepts everything.
func accepted(list []acceptedRange, names ...string) bool {
	for _, name := range names {
		for _, r := range list {
			if r.name == name {
				return r.q > 0
			}
		}
	}
	return len(list) == 0
}

// notAcceptable is the error for a successful request of a client that accepts no answer of the type.
func notAcceptable(mediaType string) *apiError {
	return &apiError{http.StatusNotAcceptable, "Resource representation is only available with these types:\n" + mediaType, false, ""}
}

// answerAcceptedText answers with plain text if the client accepts that.
func (c *call) answerAcceptedText(body string) {
	if !accepts(c.r.Header, "text", "plain", true) {
		c.fail(notAcceptable("text/plain"))
		return
	}
	c.answerText(http.StatusOK, false, body)
}
